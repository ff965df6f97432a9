"""What a session asks of the rest of the daemon; `app.py` implements it, tests fake it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from orka.daemon.model import Resource
from orka.daemon.serve.hub import Hub
from orka.daemon.world.ingest import World
from orka.proto.messages import Target


@dataclass(frozen=True, slots=True)
class Label:
    """Which cluster an answer is about, in the words of the one who asked."""

    context: str
    server: str
    default_namespace: str


@dataclass(frozen=True, slots=True)
class Lease:
    """One reader's hold on a kind; while it is held the kind is kept in memory and watched."""

    label: Label
    cluster: str  # short id of the cluster, part of every cursor
    resource: Resource
    world: World
    hub: Hub
    scope: str = "cluster"


@dataclass(frozen=True, slots=True)
class Discovered:
    """What a cluster serves."""

    label: Label
    resources: tuple[Resource, ...]
    failed: Mapping[str, str]  # group/version -> why


class Service(Protocol):
    """The daemon as its clients see it. Every method raises OrkaError for what it refuses."""

    async def discover(self, target: Target, *, prefer_crd: bool) -> Discovered:
        """Every served resource, or only the one that `--prefer-crd` selects."""

    def lease(self, target: Target, kind: str) -> AbstractAsyncContextManager[Lease]:
        """Find the kind and hold it; the first reader starts its list and watch."""

    def status(self) -> dict[str, object]:
        """The document that `orkactl status -o json` prints, without its clients."""

    def metrics(self) -> bytes:
        """Prometheus text."""

    def wall(self) -> float:
        """Seconds since 1970 UTC, for ages."""

    def stop(self) -> None:
        """Begin a graceful shutdown."""
