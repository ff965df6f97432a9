"""The control plane itself: starts, keeps its data over a restart, dies with its parent."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.fixture import (
    ControlPlane,
    ControlPlaneError,
    binaries,
    control_plane,
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
GONE_SECONDS = 15.0


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One control plane for the module; each test leaves it running."""
    if binaries() is None:
        pytest.skip("no Go toolchain for the real control plane")
    with control_plane(tmp_path_factory.mktemp("plane"), client_ca=True) as plane:
        yield plane


def test_serves_the_built_in_kinds(plane: ControlPlane) -> None:
    """A kubectl of the server's own version lists what it serves."""
    names = plane.kubectl("api-resources", "--output=name").split()

    assert {"configmaps", "deployments.apps"} <= set(names)
    assert '"gitVersion": "v1.' in plane.get("/version")


def test_keeps_data_and_certificate_over_restart_and_kill(plane: ControlPlane) -> None:
    """A server restarted on its folder has the same port, the same certificate and the objects."""
    before = (plane.server, plane.ca.read_bytes())
    plane.kubectl("create", "configmap", "kept", "--from-literal=key=value")
    plane.restart()
    restarted = plane.kubectl("get", "configmap", "kept", "--output=jsonpath={.data.key}")
    plane.kubectl("delete", "configmap", "kept")
    plane.kill()
    plane.start()

    assert restarted == "value"
    with pytest.raises(ControlPlaneError, match='configmaps "kept" not found'):
        plane.kubectl("get", "configmap", "kept")
    assert (plane.server, plane.ca.read_bytes()) == before


def test_users_have_the_rights_they_are_named_for(plane: ControlPlane) -> None:
    """The nobody user gets a 403 by name, and the client certificate is an admin."""
    with pytest.raises(ControlPlaneError, match=r'Forbidden.*User "nobody" cannot list'):
        plane.kubectl("get", "configmaps", kubeconfig=plane.nobody_kubeconfig)

    who = plane.kubectl("auth", "whoami", "--output=yaml", kubeconfig=plane.cert_kubeconfig)
    assert "username: cert-admin" in who
    plane.kubectl("get", "configmaps", kubeconfig=plane.cert_kubeconfig)


def test_loads_churns_and_deletes_real_custom_resources(plane: ControlPlane) -> None:
    """Certificates of cert-manager carry two field managers and are counted by every peer."""
    plane.apply_crds("cert-manager")
    made = plane.load(30, namespaces=3)
    with plane.churn(rate=50.0) as churned:
        time.sleep(0.5)
    fields = "--output=jsonpath={.items[*].metadata.managedFields[*].manager}"
    managers = plane.kubectl(
        "get", "certificates", "--namespace=ns-00", "--show-managed-fields", fields
    )
    metadata, dynamic = plane.informer(), plane.informer(mode="dynamic")
    deleted = plane.delete(10)

    assert made["objects"] == metadata["objects"] == dynamic["objects"] == 30
    assert {"load-maker", "load-controller"} <= set(managers.split())
    assert churned["objects"] > 0
    assert churned["errors"] == 0
    assert deleted["objects"] == 10
    assert len(plane.kubectl("get", "certificates", "-A", "--output=name").split()) == 20


def test_counts_its_own_requests(plane: ControlPlane) -> None:
    """The server's metrics are there for tests that count watches and lists."""
    assert "apiserver_request_total" in plane.metrics()


def test_pause_holds_answers_back(plane: ControlPlane) -> None:
    """A paused server answers nothing, and again once it is resumed."""
    plane.pause()
    with pytest.raises(ControlPlaneError, match=r"[Tt]imeout|deadline"):
        plane.kubectl("get", "configmaps", "--request-timeout=500ms")
    plane.resume()

    assert plane.get("/readyz") == "ok"


@pytest.mark.parametrize("paused", [False, True])
def test_dies_with_the_process_that_started_it(tmp_path: Path, *, paused: bool) -> None:
    """A test process that is killed leaves no server behind, not even a paused one."""
    if binaries() is None:
        pytest.skip("no Go toolchain for the real control plane")
    program = (
        "import pathlib, sys, time\n"
        "from tests.controlplane.fixture import control_plane\n"
        "with control_plane(pathlib.Path(sys.argv[1])) as plane:\n"
        f"    if {paused}: plane.pause()\n"
        "    print(plane.port, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        assert listens(port)
        parent.kill()

    deadline = time.monotonic() + GONE_SECONDS
    while listens(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listens(port), f"the server on port {port} outlived its parent"


def listens(port: int) -> bool:
    """Whether a process, running or stopped, holds the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
