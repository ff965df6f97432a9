"""Fixtures of the end-to-end suite: an orka for each test, and API servers, fake and real."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.controlplane.fixture import ControlPlaneError, binaries, control_plane
from tests.e2e.harness import Orka
from tests.e2e.servers import RealServer, Server, fake_server, new_namespace

NO_GO = "NO GO TOOLCHAIN: the end-to-end suite runs against the bundled fake API server ONLY"
BOTH = ("fake", "real")


# What needs a kube-apiserver by its fixtures; the other tests have "real" as a parameter.
REAL_FIXTURES = frozenset({"real_server", "real_other_server"})

_left_out = pytest.StashKey[int]()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    """Everything here is end to end; without Go, what needs a real server is left out at the end.

    Left out and not skipped: a skip each would be fifty lines, and the one that says it is lost.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.slow)
    yield
    real = [item for item in items if _needs_real(item)]
    if not real or config.option.collectonly or _can_have_real():
        return
    config.stash[_left_out] = len(real)
    config.hook.pytest_deselected(items=real)
    items[:] = [item for item in items if item not in real]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """One loud line for all that was left out."""
    if count := config.stash.get(_left_out, 0):
        terminalreporter.write_sep("!", f"{NO_GO}; {count} tests left out", red=True)


def _needs_real(item: pytest.Item) -> bool:
    if Path(__file__).parent not in item.path.parents or not isinstance(item, pytest.Function):
        return False
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "real" in parameters or not REAL_FIXTURES.isdisjoint(item.fixturenames)


def _can_have_real() -> bool:
    try:
        return binaries() is not None
    except ControlPlaneError:
        return True  # it is required, or broken: the fixture says so where a test fails by it


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
    with control_plane(tmp_path_factory.mktemp("e2e") / "shared") as plane:
        plane.apply_crds("cert-manager")
        plane.apply_crds("prometheus-operator")
        yield RealServer(plane)


@pytest.fixture(scope="session")
def real_other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A second one, which takes client certificates too; a test that kills it starts it again."""
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
