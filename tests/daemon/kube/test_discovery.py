"""Asking a cluster what it serves."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.catalog import Catalog
from orka.daemon.kube.discovery import (
    AGGREGATED_ACCEPT,
    CONCURRENT_MAX_COUNT,
    CRD_PAGES_MAX_COUNT,
    DISCOVERY_SECONDS,
    fetch,
)
from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.http import ByteStream, Params, Response
from orka.daemon.model import UpstreamLedger

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def entry(plural: str, kind: str) -> dict[str, object]:
    """A resource of an aggregated document."""
    return {
        "resource": plural,
        "responseKind": {"kind": kind},
        "scope": "Namespaced",
        "verbs": ["list", "watch"],
    }


def groups(**versions: object) -> dict[str, object]:
    """An aggregated document; `__` in a name is a dot, versions are lists of entries."""
    items = [
        {"metadata": {"name": name.replace("__", ".")}, "versions": value}
        for name, value in versions.items()
    ]
    return {"kind": "APIGroupDiscoveryList", "items": items}


def current(*resources: object, version: str = "v1", freshness: str = "Current") -> object:
    """One version of a group."""
    return {"version": version, "freshness": freshness, "resources": list(resources)}


def answer(document: object, content_type: str = "application/json", etag: str = "") -> Response:
    """A 200."""
    headers = {"content-type": content_type, **({"etag": etag} if etag else {})}
    return Response(200, headers, json.dumps(document).encode())


CORE = answer(groups(**{"": [current(entry("pods", "Pod"))]}), V2, '"core"')
CRD_GROUP = [current(entry("customresourcedefinitions", "CustomResourceDefinition"))]
APIS = groups(
    apiextensions__k8s__io=CRD_GROUP,
    cert__io=[current(entry("certificates", "Certificate"))],
    metrics__k8s__io=[current(entry("nodes", "NodeMetrics"), version="v1beta1")],
)
CRD_LIST = answer({"metadata": {}, "items": [{"metadata": {"name": "certificates.cert.io"}}]})
NOT_FOUND = Response(404, {}, b"404 page not found")
NOT_MODIFIED = Response(304, {}, b"")


@dataclass
class Server:
    """A KubeClient that answers from a table; what is not in it is 404."""

    answers: dict[str, Response | KubeError | Callable[[Params], Response]]
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    accepts: dict[str, str] = field(default_factory=dict)
    at_once: int = 0
    most_at_once: int = 0

    async def get(
        self, path: str, params: Params, accept: str, etag: str | None = None
    ) -> Response:
        """One answer, after everybody else had a chance to ask."""
        self.asked.append((path, etag))
        self.accepts[path] = accept
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await trio.sleep(0.1)
        self.at_once -= 1
        found = self.answers.get(path, NOT_FOUND)
        if isinstance(found, KubeError):
            raise found
        if callable(found):
            return found(params)
        matches = etag is not None and etag == found.headers.get("etag")
        return NOT_MODIFIED if matches else found

    def stream(
        self, path: str, params: Params, accept: str
    ) -> AbstractAsyncContextManager[ByteStream]:
        """Discovery has none."""
        raise AssertionError((path, params, accept))

    async def aclose(self) -> None:
        """Nothing to close."""


def aggregated_server() -> Server:
    """Both endpoints aggregated, CRDs readable."""
    return Server({"/api": CORE, "/apis": answer(APIS, V2, '"apis"'), CRD_PATH: CRD_LIST})


async def fetched(server: Server, previous: Catalog | None = None) -> Catalog:
    """One discovery."""
    return await fetch(server, previous, ledger=UpstreamLedger())


async def refusal(server: Server, previous: Catalog | None = None) -> Failure:
    """What discovery fails with."""
    with pytest.raises(KubeError) as caught:
        await fetched(server, previous)
    return caught.value.failure


async def test_two_aggregated_documents_are_the_whole_answer(autojump_clock: MockClock) -> None:
    """Asked for together; then the names of CRDs."""
    server, ledger = aggregated_server(), UpstreamLedger()
    catalog = await fetch(server, None, ledger=ledger)

    assert [r.gvk for r in catalog.resources] == [
        "v1/Pod",
        "apiextensions.k8s.io/v1/CustomResourceDefinition",
        "cert.io/v1/Certificate",
        "metrics.k8s.io/v1beta1/NodeMetrics",
    ]
    assert [r.gvk for r in catalog.resources if r.crd] == ["cert.io/v1/Certificate"]
    assert server.accepts["/apis"] == AGGREGATED_ACCEPT
    assert trio.current_time() == pytest.approx(0.2)
    assert ledger.counts == {
        ("discovery", "/api"): 1,
        ("discovery", "/apis"): 1,
        ("discovery", CRD_PATH): 1,
    }


async def test_nothing_new_costs_two_304(autojump_clock: MockClock) -> None:
    """And the very same catalog."""
    server = aggregated_server()
    catalog = await fetched(server)
    server.asked.clear()

    assert await fetched(server, catalog) is catalog
    assert sorted(server.asked) == [("/api", '"core"'), ("/apis", '"apis"')]


async def test_one_new_document_beside_an_unchanged_one(autojump_clock: MockClock) -> None:
    """What is unchanged is kept, with its ETag; CRDs are asked for again."""
    server = aggregated_server()
    catalog = await fetched(server)
    server.answers["/apis"] = answer(groups(apiextensions__k8s__io=CRD_GROUP), V2, '"new"')
    catalog = await fetched(server, catalog)

    assert [r.resource for r in catalog.resources] == ["pods", "customresourcedefinitions"]
    assert (catalog.core.etag, catalog.groups.etag) == ('"core"', '"new"')
    assert server.asked.count((CRD_PATH, None)) == 2


async def test_a_stale_version_keeps_what_was_known(autojump_clock: MockClock) -> None:
    """Marked as failed; not gone."""
    server = aggregated_server()
    catalog = await fetched(server)
    stale = groups(metrics__k8s__io=[current(version="v1beta1", freshness="Stale")])
    server.answers["/apis"] = answer(stale, V2)
    for _ in range(2):
        catalog = await fetched(server, catalog)

        assert list(catalog.failed) == ["metrics.k8s.io/v1beta1"]
        assert catalog.resolve("nodes").gvk == "metrics.k8s.io/v1beta1/NodeMetrics"
    assert list((await fetched(server)).failed) == ["metrics.k8s.io/v1beta1"]


def plain_server(metrics: Response | KubeError) -> Server:
    """An old server: one document per group-version."""
    group_list = {
        "kind": "APIGroupList",
        "groups": [
            {"name": "apps", "versions": [{"version": "v1"}]},
            {"name": "metrics.k8s.io", "versions": [{"version": "v1beta1"}]},
        ],
    }

    def resources(name: str, kind: str) -> Response:
        item = {"name": name, "kind": kind, "namespaced": True, "verbs": ["list", "watch"]}
        return answer({"kind": "APIResourceList", "resources": [item]})

    return Server(
        {
            "/api": answer({"kind": "APIVersions", "versions": ["v1"]}),
            "/apis": answer(group_list),
            "/api/v1": resources("pods", "Pod"),
            "/apis/apps/v1": resources("deployments", "Deployment"),
            "/apis/metrics.k8s.io/v1beta1": metrics,
        }
    )


METRICS = answer(
    {"kind": "APIResourceList", "resources": [{"name": "nodes", "kind": "N", "verbs": ["list"]}]}
)


async def test_an_old_server_is_asked_for_every_document(autojump_clock: MockClock) -> None:
    """Nothing is aggregated, so nothing has an ETag."""
    server = plain_server(METRICS)
    catalog = await fetched(server)

    assert [r.resource for r in catalog.resources] == ["pods", "deployments", "nodes"]
    assert [v.name for v in catalog.core.versions] == ["v1"]
    assert catalog.crds == frozenset()
    assert server.accepts["/apis/apps/v1"] == "application/json"
    await fetched(server, catalog)
    assert all(etag is None for _, etag in server.asked)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (Response(503, {}, b"service unavailable"), "503: service unavailable"),
        (KubeError(Failure(FailureKind.CUT, "connection lost")), "cut: connection lost"),
        (answer({}, "text/html"), "Content-Type 'text/html' instead of JSON"),
    ],
)
async def test_a_broken_document_fails_alone(
    broken: Response | KubeError, why: str, autojump_clock: MockClock
) -> None:
    """With what was known of it, or without."""
    catalog = await fetched(plain_server(METRICS))
    later = await fetched(plain_server(broken), catalog)
    first = await fetched(plain_server(broken))

    assert [r.resource for r in later.resources] == ["pods", "deployments", "nodes"]
    assert [r.resource for r in first.resources] == ["pods", "deployments"]
    assert why in later.failed["metrics.k8s.io/v1beta1"]


async def test_one_aggregated_endpoint_is_not_enough(autojump_clock: MockClock) -> None:
    """Then every document is read, those of the aggregated endpoint too."""
    server = plain_server(METRICS)
    server.answers["/api"] = CORE
    catalog = await fetched(server)

    assert "/api/v1" in server.accepts
    assert [r.resource for r in catalog.resources] == ["pods", "deployments", "nodes"]
    assert catalog.core.etag is None


async def test_documents_are_asked_for_a_few_at_a_time(autojump_clock: MockClock) -> None:
    """A server with a hundred groups is not flooded."""
    names = [{"name": f"g{n}", "versions": [{"version": "v1"}]} for n in range(35)]
    server = plain_server(METRICS)
    server.answers["/apis"] = answer({"kind": "APIGroupList", "groups": names})
    catalog = await fetched(server)

    assert server.most_at_once == CONCURRENT_MAX_COUNT
    assert len(catalog.failed) == 35


async def test_a_server_without_the_core_group(autojump_clock: MockClock) -> None:
    """`/api` may be 404: some aggregated servers and control planes have only groups."""
    server = aggregated_server()
    del server.answers["/api"]
    catalog = await fetched(server)

    assert catalog.core.versions == ()
    assert catalog.resolve("certificates").crd
    assert set(server.accepts) == {"/api", "/apis", CRD_PATH}


@pytest.mark.parametrize("path", ["/api", "/apis"])
@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (Response(403, {}, b"{}"), FailureKind.FORBIDDEN),
        (Response(500, {}, b""), FailureKind.SERVER),
        (KubeError(Failure(FailureKind.CONNECT, "refused")), FailureKind.CONNECT),
        (answer("hello", "text/html"), FailureKind.NOT_KUBERNETES),
    ],
)
async def test_an_endpoint_that_cannot_be_read_fails_discovery(
    path: str, broken: Response | KubeError, kind: FailureKind, autojump_clock: MockClock
) -> None:
    """Then nobody knows what is there; the previous catalog is still the best."""
    server = aggregated_server()
    catalog = await fetched(server)
    server.answers[path] = broken

    assert (await refusal(server, catalog)).kind is kind


async def test_without_groups_there_is_no_discovery(autojump_clock: MockClock) -> None:
    """`/apis` may not be 404."""
    server = aggregated_server()
    del server.answers["/apis"]

    assert (await refusal(server)).kind is FailureKind.NOT_FOUND


async def test_discovery_has_a_deadline(autojump_clock: MockClock) -> None:
    """However many documents hang."""

    class Hung(Server):
        async def get(
            self, path: str, params: Params, accept: str, etag: str | None = None
        ) -> Response:
            await trio.sleep_forever()
            raise AssertionError((path, params, accept, etag))

    assert (await refusal(Hung({}))).kind is FailureKind.TIMEOUT
    assert trio.current_time() == DISCOVERY_SECONDS


async def test_crds_are_listed_page_by_page(autojump_clock: MockClock) -> None:
    """Their names are enough; an item without a name is skipped."""
    server = aggregated_server()

    def page(params: Params) -> Response:
        if "continue" not in params:
            items: list[object] = [{"metadata": {"name": "a.b"}}, {}, {"metadata": {}}]
            return answer({"metadata": {"continue": "next"}, "items": items})
        assert params == {"limit": "500", "continue": "next"}
        return CRD_LIST

    server.answers[CRD_PATH] = page

    assert (await fetched(server)).crds == frozenset({"a.b", "certificates.cert.io"})


async def test_a_list_of_crds_without_end_is_given_up(autojump_clock: MockClock) -> None:
    """No loop is endless."""
    server = aggregated_server()
    server.answers[CRD_PATH] = lambda _: answer({"metadata": {"continue": "next"}})

    assert (await fetched(server)).crds == frozenset()
    assert server.asked.count((CRD_PATH, None)) == CRD_PAGES_MAX_COUNT


@pytest.mark.parametrize(
    "broken", [Response(403, {}, b"{}"), answer([]), answer({"items": None, "metadata": None})]
)
async def test_crds_that_cannot_be_listed_are_not_the_end(
    broken: Response, autojump_clock: MockClock
) -> None:
    """What was known stays; without anything known it is guessed."""
    server = aggregated_server()
    known = await fetched(server)
    server.answers["/apis"] = answer(APIS, V2, '"new"')
    server.answers[CRD_PATH] = broken
    listed = broken.status == 200 and broken.body.startswith(b"{")

    assert (await fetched(server, known)).crds == (frozenset() if listed else known.crds)
    assert (await fetched(server)).crds == (frozenset() if listed else None)
