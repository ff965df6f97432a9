"""Fixtures of the end-to-end suite: an orka for each test, and API servers, fake and real."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.controlplane.fixture import binaries, control_plane
from tests.e2e.harness import Orka
from tests.e2e.servers import RealServer, Server, fake_server, new_namespace

NO_GO = "NO GO TOOLCHAIN: the end-to-end suite runs against the bundled fake API server ONLY"
BOTH = ("fake", "real")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is end to end, and has real processes and real time."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its processes said."""
    report = yield
    orka = getattr(item, "funcargs", {}).get("orka")
    if report.failed and isinstance(orka, Orka):
        report.sections.append(("orka", orka.story()))
    return report


@pytest.fixture
def orka() -> Iterator[Orka]:
    """Orka with an environment of its own; its path is short, since a socket's has a limit."""
    with (
        tempfile.TemporaryDirectory(prefix="orka-e2e-") as folder,
        Orka(Path(folder)) as orka,
    ):
        yield orka


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A kube-apiserver with real CRDs; shared, so it is neither stopped nor emptied."""
    _require_go()
    with control_plane(tmp_path_factory.mktemp("e2e") / "shared") as plane:
        plane.apply_crds("cert-manager")
        plane.apply_crds("prometheus-operator")
        yield RealServer(plane)


@pytest.fixture(scope="session")
def real_other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A second one, which takes client certificates too; a test that kills it starts it again."""
    _require_go()
    with control_plane(tmp_path_factory.mktemp("e2e") / "other", client_ca=True) as plane:
        plane.apply_crds("cert-manager")
        yield RealServer(plane)


@pytest.fixture(params=BOTH)
def server(request: pytest.FixtureRequest, orka: Orka) -> Iterator[Server]:
    """An API server that other tests use as well; the test's shell means it."""
    yield from _server(request, orka, "real_server")


@pytest.fixture(params=BOTH)
def mortal_server(request: pytest.FixtureRequest, orka: Orka) -> Iterator[Server]:
    """An API server that the test may kill, if it starts it again."""
    yield from _server(request, orka, "real_other_server")


@pytest.fixture(params=BOTH)
def two_servers(request: pytest.FixtureRequest, orka: Orka) -> Iterator[tuple[Server, Server]]:
    """Two API servers with nothing in common; the test's shell means neither."""
    if request.param == "real":
        yield (
            request.getfixturevalue("real_server"),
            request.getfixturevalue("real_other_server"),
        )
    else:
        with fake_server(orka.folder, "one") as one, fake_server(orka.folder, "two") as two:
            yield one, two


@pytest.fixture
def namespace(server: Server) -> str:
    """A new namespace on `server`."""
    return new_namespace(server)


def _server(request: pytest.FixtureRequest, orka: Orka, real: str) -> Iterator[Server]:
    if request.param == "real":
        server: RealServer = request.getfixturevalue(real)
        orka.kubeconfig.write_bytes(server.kubeconfig.read_bytes())
        yield server
    else:
        with fake_server(orka.folder, "fake") as fake:
            orka.kubeconfig.write_bytes(fake.kubeconfig.read_bytes())
            yield fake


def _require_go() -> None:
    if binaries() is None:
        pytest.skip(NO_GO)
