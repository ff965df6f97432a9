"""The API servers under the suite: the bundled fake and the real one, alike to a test.

Both speak Kubernetes' HTTP, so changes are made by the same requests on both.
"""

from __future__ import annotations

import itertools
import json
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeVar

import trio
import yaml

from replay.apiserver import ApiServer, Endpoint, Model, definition
from replay.apiserver.clusters import populate
from replay.apiserver.kubeconfig import kubeconfig
from tests.controlplane.fixture import ADMIN_TOKEN, NOBODY_TOKEN, ControlPlane
from tests.e2e.processes import eventually

T = TypeVar("T")
Object = dict[str, Any]

REQUEST_SECONDS = 30.0
MERGE_PATCH = "application/merge-patch+json"
SERIES = re.compile(r"apiserver_(longrunning_requests|request_total)\{(.*)\} ([0-9.e+]+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Kind:
    """A kind that tests make objects of."""

    group: str
    version: str
    kind: str
    plural: str
    content: Object = field(default_factory=dict)  # what its schema demands beside the metadata
    short_names: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """As `kubectl` and `status` name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def group_version(self) -> str:
        """As `apiVersion` has it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def gvk(self) -> str:
        """As `orkad --watch` takes it."""
        return f"{self.group_version}/{self.kind}"

    def path(self, namespace: str = "", name: str = "") -> str:
        """Of its collection, in one namespace or in all, or of one object."""
        parts = ["/apis" if self.group else "/api", self.group_version]
        parts += ["namespaces", namespace] if namespace else []
        return "/".join([*parts, self.plural, *([name] if name else [])])


ISSUER_REF = {"issuerRef": {"name": "ca"}, "secretName": "web-tls"}
CERTIFICATES = Kind(
    *("cert-manager.io", "v1", "Certificate", "certificates"),
    {"spec": ISSUER_REF},
    short_names=("cert", "certs"),
)
ISSUERS = Kind("cert-manager.io", "v1", "Issuer", "issuers", {"spec": {"selfSigned": {}}})
CONFIGMAPS = Kind("", "v1", "ConfigMap", "configmaps")
NAMESPACES = Kind("", "v1", "Namespace", "namespaces")
CRDS = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")


class Api:
    """An administrator's requests to an API server."""

    def __init__(self, url: str, ca_pem: str, token: str) -> None:
        self.url = url
        self.ca_pem = ca_pem
        self.token = token
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=ca_pem)),
        )

    def get(self, path: str) -> str:
        """The body of a GET."""
        return self.ask("GET", path).decode()

    def ask(
        self, method: str, path: str, body: Object | None = None, content: str = "application/json"
    ) -> bytes:
        """The body of an answer; urllib.error.HTTPError if it is not a 2xx."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": content},
        )
        with self._opener.open(request, timeout=REQUEST_SECONDS) as response:
            answer: bytes = response.read()
        return answer

    def create(self, kind: Kind, name: str, namespace: str = "") -> str:
        """Make an object and return its uid."""
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        body = {"apiVersion": kind.group_version, "kind": kind.kind, "metadata": metadata}
        made = json.loads(self.ask("POST", kind.path(namespace), {**body, **kind.content}))
        return str(made["metadata"]["uid"])

    def touch(self, kind: Kind, name: str, namespace: str = "") -> None:
        """Change an object."""
        change = {"metadata": {"labels": {"touched": str(time.monotonic_ns())}}}
        self.patch(kind, name, change, namespace)

    def patch(self, kind: Kind, name: str, change: Object, namespace: str = "") -> None:
        """Merge a change into an object."""
        self.ask("PATCH", kind.path(namespace, name), change, MERGE_PATCH)

    def delete(self, kind: Kind, name: str, namespace: str = "") -> None:
        """Remove an object."""
        self.ask("DELETE", kind.path(namespace, name))

    def objects(self, kind: Kind, namespace: str = "") -> dict[tuple[str, str], Object]:
        """The metadata of every object, by namespace and name, as the server lists them."""
        items = json.loads(self.get(kind.path(namespace)))["items"]
        metadata = [item["metadata"] for item in items]
        return {(meta.get("namespace", ""), meta["name"]): meta for meta in metadata}

    def uids(self, kind: Kind, namespace: str = "") -> dict[tuple[str, str], str]:
        """The same with uids alone: what `Watch.shown` is compared with."""
        return {key: meta["uid"] for key, meta in self.objects(kind, namespace).items()}

    def requests(self, kind: Kind) -> Counter[tuple[str, str]]:
        """The server's own figures: `open` watches and `ended` requests of a kind, by verb."""
        counts: Counter[tuple[str, str]] = Counter()
        for name, inner, value in SERIES.findall(self.get("/metrics")):
            labels = dict(LABEL.findall(inner))
            if (labels["resource"], labels["group"]) == (kind.plural, kind.group):
                which = "open" if name == "longrunning_requests" else "ended"
                counts[which, labels["verb"]] += round(float(value))
        return counts

    def define(self, kind: Kind) -> None:
        """Make a CRD for a kind and wait until it is served."""
        crd = definition(
            *(kind.group, kind.kind, kind.plural),
            versions=(kind.version,),
            short_names=kind.short_names,
        )
        self.ask("POST", CRDS.path(), {"apiVersion": CRDS.group_version, "kind": CRDS.kind, **crd})
        for _ in range(100):
            try:
                self.get(kind.path())
            except urllib.error.HTTPError as exc:
                if exc.code not in (404, 429):
                    raise
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"{kind.resource} is not served")


class Server(Protocol):
    """An API server that a test may use."""

    real: bool
    context: str  # the admin's, in the kubeconfig
    url: str
    kubeconfig: Path  # an administrator's
    nobody_kubeconfig: Path  # of one who may do nothing but discover
    api: Api

    def kill(self) -> None:
        """It is gone at once: connections break, new ones are refused."""

    def start(self) -> None:
        """It is back on the same port with the same objects, and a history that begins anew."""


class RealServer:
    """A kube-apiserver on its etcd."""

    real = True

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.context = f"{plane.directory.name}-admin"
        self.url = plane.server
        self.kubeconfig = plane.kubeconfig
        self.nobody_kubeconfig = plane.nobody_kubeconfig
        self.api = Api(plane.server, plane.ca.read_text(), ADMIN_TOKEN)

    def kill(self) -> None:
        """See `Server`."""
        self.plane.kill()

    def start(self) -> None:
        """See `Server`."""
        self.plane.start()


class FakeServer:
    """The bundled API server over TLS, in a trio run of its own in a thread."""

    real = False

    def __init__(self, folder: Path, context: str) -> None:
        self.context = context
        self.kubeconfig = folder / f"{context}.kubeconfig"
        self.nobody_kubeconfig = folder / f"{context}-nobody.kubeconfig"
        self._ready = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._run,), name=context)

    async def _run(self) -> None:
        model = Model(random=Random(7), wall_clock=time.time, now=time.monotonic)
        tokens = {ADMIN_TOKEN: "admin", NOBODY_TOKEN: "nobody"}
        self.fake = ApiServer(model, random=Random(7), tokens=tokens, powerless=("nobody",))
        self._trio = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            endpoint: Endpoint = await nursery.start(partial(self.fake.serve_tcp, tls=True))
            self.url = endpoint.url
            self.api = Api(endpoint.url, endpoint.ca_pem.decode(), ADMIN_TOKEN)
            for path, token in (
                (self.kubeconfig, ADMIN_TOKEN),
                (self.nobody_kubeconfig, NOBODY_TOKEN),
            ):
                text = kubeconfig(endpoint, context=self.context, token=token)
                await trio.Path(path).write_text(text)
            self._ready.set()

    def call(self, act: Callable[..., T], *args: object, **named: object) -> T:
        """Run a function in the server's own thread: its fault verbs and its model."""
        return trio.from_thread.run_sync(partial(act, *args, **named), trio_token=self._trio)

    def kill(self) -> None:
        """See `Server`."""
        self.call(self.fake.refuse)
        self.call(self.fake.cut_connections)

    def start(self) -> None:
        """See `Server`."""
        self.call(self.fake.restart)
        self.call(self.fake.accept)
        eventually(self._answers, REQUEST_SECONDS, "the fake API server listens again")

    def _answers(self) -> bool:
        try:
            return self.api.get("/readyz") == "ok"
        except urllib.error.URLError:
            return False

    @contextmanager
    def running(self) -> Iterator[FakeServer]:
        """Serve for the block."""
        self._thread.start()
        assert self._ready.wait(REQUEST_SECONDS), "the fake API server did not start"
        try:
            yield self
        finally:
            self.call(self._nursery.cancel_scope.cancel, reason="the test is over")
            self._thread.join()


def kubeconfig_of(
    *servers: Server, current: int = 0, namespace: str = "", context: Object | None = None
) -> str:
    """The servers' kubeconfigs as one file, in which one context is current."""
    merged: dict[str, list[Object]] = {"clusters": [], "users": [], "contexts": []}
    for server in servers:
        document = yaml.safe_load(server.kubeconfig.read_text())
        for part, entries in merged.items():
            entries.extend(document[part])
    if namespace:
        merged["contexts"][current]["context"]["namespace"] = namespace
    if context is not None:
        merged["contexts"].append(context)
    head = {"apiVersion": "v1", "kind": "Config", "current-context": servers[current].context}
    return json.dumps({**head, **merged})


_numbers = itertools.count(1)


def new_namespace(server: Server) -> str:
    """A namespace that no other test has."""
    name = f"e2e-{next(_numbers)}"
    server.api.create(NAMESPACES, name)
    return name


@contextmanager
def fake_server(folder: Path, context: str) -> Iterator[FakeServer]:
    """A fake with cert-manager's two kinds that the tests use."""
    with FakeServer(folder, context).running() as server:
        for kind in (CERTIFICATES, ISSUERS):
            server.api.define(kind)
        yield server


def fill(server: FakeServer, count: int, namespaces: int, prefix: str = "load") -> None:
    """Make Certificates as the real server's load program does, in one go."""
    server.call(
        populate,
        *(server.fake.model, CERTIFICATES.resource, count),
        namespaces=namespaces,
        prefix=prefix,
        managers=2,
    )
