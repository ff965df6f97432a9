"""What measures run on, each part made when the first of them asks: control plane and orka."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scripts.benchmark.commands import Timed
from scripts.benchmark.orka import Orka, install
from scripts.benchmark.table import Row, Sample
from tests.controlplane.fixture import ControlPlane, control_plane

CERTIFICATES = "certificates.cert-manager.io"
OBJECTS = 5000  # Certificates on the control plane, and on the fake API server
NAMESPACES = 20
FEW = 10  # ConfigMaps in FEW_NAMESPACE
FEW_NAMESPACE = "ns-00"

Sampler = Callable[[], tuple[Sample, ...]]
"""Takes one sample for each row of its measure."""


@dataclass(frozen=True)
class Measure:
    """Rows that are measured together; `open` prepares what every sample needs, and ends it."""

    name: str
    rows: tuple[Row, ...]
    open: Callable[[Rig], AbstractContextManager[Sampler]]
    needs_plane: bool


class Rig:
    """Made by `rig`, which also ends everything that was started through it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.server_version: str | None = None  # of the control plane, once there is one

    @cached_property
    def plane(self) -> ControlPlane:
        """A real kube-apiserver with all objects."""
        say("starting the control plane")
        plane = self._stack.enter_context(control_plane(self._folder / "plane"))
        plane.apply_crds("cert-manager")
        say(f"making {OBJECTS} Certificates in {NAMESPACES} namespaces")
        plane.load(OBJECTS, namespaces=NAMESPACES)
        plane.load(FEW, namespaces=1, resource="configmaps.v1.")
        plane.kubectl("get", CERTIFICATES, "-A")  # fills kubectl's discovery cache
        version = json.loads(plane.get("/version"))
        self.server_version = version["gitVersion"]
        return plane

    @cached_property
    def _programs(self) -> Path:
        say("installing orka")
        folder = self._folder / "installed"
        folder.mkdir()
        return install(folder)

    def orka(self, name: str) -> Orka:
        """Orka with a new home and no kubeconfig yet."""
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        return Orka(folder, self._programs)

    def orka_on_plane(self, name: str) -> Orka:
        """Orka whose shell means the control plane."""
        kubeconfig = self.plane.kubeconfig.read_bytes()
        orka = self.orka(name)
        orka.kubeconfig.write_bytes(kubeconfig)
        return orka

    def kubectl(self, *args: str, lines: int) -> Timed:
        """A kubectl that is measured; it must print so many lines."""
        argv, output = self.plane.kubectl_argv(*args), self._folder / "kubectl.out"
        return Timed(argv, self.plane.environment, output, lines)


@contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """Keep everything in `folder`, for the block."""
    with ExitStack() as stack:
        yield Rig(folder, stack)


def say(what: str) -> None:
    """Progress, on stderr: stdout has the table alone."""
    print(f"bench: {what}", file=sys.stderr, flush=True)
