"""A real kube-apiserver on etcd for tests: built once, started on free ports, gone with the test.

Knows nothing of orka. Everything here blocks: from trio, call it in a worker thread.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, cast
from urllib.parse import urlsplit

START_SECONDS = 150.0  # over the program's own limit, whose message says more
STOP_SECONDS = 15.0  # the program gives open watches two
COMMAND_SECONDS = 180.0
NO_GO = 3  # exit code of scripts/controlplane
LOG_TAIL_BYTES = 4000

ADMIN_TOKEN = "admin-token"  # group system:masters
NOBODY_TOKEN = "nobody-token"  # user nobody: authenticated, without rights
CERTIFICATES = "certificates.v1.cert-manager.io"


class ControlPlaneError(Exception):
    """The control plane, or a command run against it, failed; the text has its stderr."""


class Load(TypedDict):
    """What the load program did. Only churn counts errors, the other verbs raise at the first."""

    objects: int  # made, deleted, or patched (each patch counts)
    errors: int
    seconds: float


class Informer(TypedDict):
    """What one client-go informer took until it had synced."""

    objects: int
    synced_seconds: float
    rss_bytes: int


@dataclass(frozen=True)
class Binaries:
    """The folder that scripts/controlplane builds."""

    folder: Path

    @property
    def controlplane(self) -> Path:
        """Etcd and kube-apiserver in one process."""
        return self.folder / "controlplane"

    @property
    def kubectl(self) -> Path:
        """The release that belongs to the server."""
        return self.folder / "kubectl"

    @property
    def informer(self) -> Path:
        """The client-go peer of the benchmarks."""
        return self.folder / "informer"

    @property
    def load(self) -> Path:
        """Makes, churns and deletes many objects."""
        return self.folder / "load"

    @property
    def kubeconfig_oracle(self) -> Path:
        """What client-go makes of kubeconfig setups."""
        return self.folder / "kubeconfig-oracle"

    def crds(self, name: str) -> Path:
        """Return the folder of manifests called ``name``; ValueError names those there are."""
        folder = self.folder / "crds" / name
        if not folder.is_dir():
            known = sorted(path.name for path in folder.parent.iterdir())
            raise ValueError(f"no CRDs called {name!r}, only {known}")
        return folder


@functools.cache
def binaries() -> Binaries | None:
    """Build the control plane if need be (minutes, once); None where there is no Go toolchain.

    With ORKA_REQUIRE_CONTROLPLANE=1 a missing toolchain raises instead. This function alone
    decides that: a test skips on None and nothing else.
    """
    script = Path(__file__).parents[2] / "scripts" / "controlplane"
    # stderr is passed through: the first build takes minutes and says so.
    built = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode == 0:
        return Binaries(Path(built.stdout.splitlines()[-1]))
    if built.returncode == NO_GO and os.environ.get("ORKA_REQUIRE_CONTROLPLANE") != "1":
        return None
    raise ControlPlaneError(f"{script} failed with exit code {built.returncode}")


class ControlPlane:
    """One control plane in ``directory``; made by ``control_plane``, which also ends it.

    Its process may come and go, by ``kill``, ``stop`` and ``start``; directory, port, data and
    certificates stay.
    """

    server: str  # https://127.0.0.1:PORT
    ca: Path  # trust this to talk to it
    pid: int

    def __init__(
        self, binaries: Binaries, directory: Path, *, port: int = 0, client_ca: bool = False
    ) -> None:
        self.binaries = binaries
        self.directory = directory
        self.port = port  # 0 until the first start has found a free one
        self._client_ca = client_ca
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        state = f"pid {self.pid}" if self._process else "not running"
        return f"<ControlPlane {self.directory} port {self.port} {state}>"

    # The kubeconfigs of two planes can be merged: cluster, users and contexts are named after the
    # directory: DIRECTORY, DIRECTORY-admin, DIRECTORY-nobody.

    @property
    def kubeconfig(self) -> Path:
        """The admin's."""
        return self.directory / "admin.kubeconfig"

    @property
    def nobody_kubeconfig(self) -> Path:
        """Of a user who is known and may do nothing but discover."""
        return self.directory / "nobody.kubeconfig"

    @property
    def cert_kubeconfig(self) -> Path:
        """Of an admin with a client certificate in pki/client.{crt,key}; needs ``client_ca``."""
        return self.directory / "cert.kubeconfig"

    @property
    def log(self) -> Path:
        """What etcd and kube-apiserver had to say, over all starts."""
        return self.directory / "log"

    def start(self) -> None:
        """Start and wait until /readyz is ok; raise ControlPlaneError with the log's end if not."""
        assert self._process is None, f"{self!r} runs already"
        self.directory.mkdir(parents=True, exist_ok=True)
        argv = [str(self.binaries.controlplane), "--stdin", f"--dir={self.directory}"]
        argv += [f"--port={self.port}", f"--client-ca={str(self._client_ca).lower()}"]
        with self.log.open("ab") as log:
            # The program ends with its stdin, so with this process, however that dies. (A parent
            # death signal would not do: it follows the thread that started the child.) A paused
            # program cannot see that, but when a process group is orphaned while it is stopped, the
            # kernel sends it SIGHUP and SIGCONT; so it gets a group of its own.
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, process_group=0
            )
        try:
            ready = json.loads(self._first_line(self._process))
        except BaseException:
            self.kill()
            raise
        self.server, self.ca, self.pid = ready["server"], Path(ready["ca"]), ready["pid"]
        self.port = urlsplit(self.server).port or 0

    def _first_line(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None
        fd = process.stdout.fileno()
        deadline = time.monotonic() + START_SECONDS
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            chunk = os.read(fd, 4096) if select.select([fd], [], [], max(left, 0))[0] else b""
            if not chunk:
                what = "ended" if left > 0 else f"was not ready after {START_SECONDS:.0f} s"
                tail = self.log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
                raise ControlPlaneError(f"control plane in {self.directory} {what}:\n{tail}")
            line += chunk
        return line

    def stop(self) -> None:
        """Stop it in good order; raise ControlPlaneError if that takes too long or exits non-zero.

        Nothing happens if it does not run.
        """
        if self._process is None:
            return
        self.resume()  # a paused one would not see the next signal
        self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise ControlPlaneError(
                f"{self!r}: still there {STOP_SECONDS} s after SIGTERM"
            ) from None
        finally:
            self.kill()
        if code != 0:
            raise ControlPlaneError(f"{self.directory}: exit code {code}, see {self.log}")

    def kill(self) -> None:
        """SIGKILL, paused or not; acknowledged writes are in etcd's files. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with process:  # closes the pipes
            process.wait()

    def restart(self) -> None:
        """Stop it, if it runs, and start it again on the same data, port and certificate."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self!r} cannot get {number.name}"
        self._process.send_signal(number)

    def get(self, path: str, *, token: str = ADMIN_TOKEN) -> str:
        """Return the body of a GET; urllib.error.HTTPError if it is not a 2xx."""
        request = urllib.request.Request(
            self.server + path, headers={"Authorization": f"Bearer {token}"}
        )
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.ca)),
        )
        with opener.open(request, timeout=COMMAND_SECONDS) as response:
            return cast("bytes", response.read()).decode()

    def metrics(self) -> str:
        """Return the API server's own metrics, as Prometheus text."""
        return self.get("/metrics")

    @property
    def environment(self) -> dict[str, str]:
        """For a kubectl that shares no cache and no preferences with the user's own."""
        return {
            **os.environ,
            "KUBECACHEDIR": str(self.directory / "kubectl-cache"),
            "KUBERC": "off",
        }

    def kubectl_argv(self, *args: str, kubeconfig: Path | None = None) -> list[str]:
        """Return a command line, for tests that measure or stream; see ``environment``."""
        config = kubeconfig or self.kubeconfig
        return [str(self.binaries.kubectl), f"--kubeconfig={config}", *args]

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 - named as in subprocess.run
        kubeconfig: Path | None = None,
    ) -> str:
        """Run kubectl, as admin by default, and return its stdout.

        ControlPlaneError holds the stderr of a kubectl that failed.
        """
        return self._run(self.kubectl_argv(*args, kubeconfig=kubeconfig), input)

    def _run(self, argv: list[str], stdin: str | None = None) -> str:
        done = subprocess.run(
            argv,
            input=stdin or "",
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            name = " ".join([Path(argv[0]).name, *argv[1:]])
            raise ControlPlaneError(f"{name}: exit code {done.returncode}: {done.stderr}")
        return done.stdout

    def apply_crds(self, name: Literal["cert-manager", "prometheus-operator"]) -> None:
        """Install a set of real CRDs and wait until the API server serves them."""
        folder = self.binaries.crds(name)
        # Server-side: the annotation of a client-side apply would be too large for some of them.
        self.kubectl("apply", "--server-side", f"--filename={folder}")
        self.kubectl("wait", "--for=condition=Established", f"--filename={folder}")

    def _peer(self, program: Path, *args: str, resource: str) -> list[str]:
        return [str(program), *args, f"--kubeconfig={self.kubeconfig}", f"--resource={resource}"]

    def load(self, count: int, *, namespaces: int = 20, resource: str = CERTIFICATES) -> Load:
        """Make objects load-00000.. spread over namespaces ns-00.., two field managers each.

        There are templates for Certificates and for ``configmaps.v1.``.
        """
        args = ("create", f"--count={count}", f"--namespaces={namespaces}")
        argv = self._peer(self.binaries.load, *args, resource=resource)
        return cast("Load", json.loads(self._run(argv)))

    def delete(self, count: int, *, resource: str = CERTIFICATES) -> Load:
        """Delete the first ``count`` objects by namespace and name, one by one; 0 deletes all."""
        argv = self._peer(self.binaries.load, "delete", f"--count={count}", resource=resource)
        return cast("Load", json.loads(self._run(argv)))

    @contextlib.contextmanager
    def churn(
        self, *, rate: float = 100.0, seconds: float = 60.0, resource: str = CERTIFICATES
    ) -> Iterator[Load]:
        """Patch existing objects at ``rate`` a second during the block, for ``seconds`` at most.

        What was done stands in the yielded Load after the block. A server that is away meanwhile
        makes errors there, no exception.
        """
        args = ("churn", f"--rate={rate}", f"--seconds={seconds}")
        argv = self._peer(self.binaries.load, *args, resource=resource)
        done = Load(objects=0, errors=0, seconds=0.0)
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                if process.stdout.readline():  # it has begun; empty: it has failed
                    yield done
            finally:
                process.terminate()
            stdout, stderr = process.communicate(timeout=COMMAND_SECONDS)
        if process.returncode != 0:
            raise ControlPlaneError(f"load churn: exit code {process.returncode}: {stderr}")
        done.update(json.loads(stdout))

    def informer(
        self, *, resource: str = CERTIFICATES, mode: Literal["metadata", "dynamic"] = "metadata"
    ) -> Informer:
        """Fill one client-go informer and return what that took."""
        argv = self._peer(self.binaries.informer, f"--mode={mode}", resource=resource)
        return cast("Informer", json.loads(self._run(argv)))


@contextlib.contextmanager
def control_plane(
    directory: Path, *, port: int = 0, client_ca: bool = False
) -> Iterator[ControlPlane]:
    """Run a control plane for the block, its data in ``directory``, on ``port`` or a free one.

    At the end it is killed, which is quick and loses nothing: the same directory can be used again.
    Raises ControlPlaneError without a Go toolchain; ask ``binaries`` first to skip.
    """
    built = binaries()
    if built is None:
        raise ControlPlaneError("no Go toolchain to build the control plane with")
    plane = ControlPlane(built, directory, port=port, client_ca=client_ca)
    plane.start()
    try:
        yield plane
    finally:
        plane.kill()
