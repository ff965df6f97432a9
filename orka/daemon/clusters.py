"""Which cluster a request means: kubeconfigs resolved afresh, setups that are the same shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import trio

from orka.daemon.cluster import Cluster
from orka.daemon.config import Config
from orka.daemon.kinds import Kind, Kinds
from orka.daemon.kube.connection import Connection
from orka.daemon.kube.kubeconfig_cache import KubeconfigCache
from orka.daemon.model import Clock
from orka.daemon.serve.service import Discovered, Label, Lease
from orka.proto.errors import Refused
from orka.proto.messages import Target

STARTS_AHEAD = 1024  # clusters asked for in one instant


class AnyCluster(Protocol):
    """What a live cluster and a recorded one have in common."""

    kinds: Kinds

    async def run(self) -> None:
        """Own the cluster's tasks until cancelled."""

    async def discover(self, label: Label, *, prefer_crd: bool) -> Discovered:
        """What it serves, or only the kind that `--prefer-crd` selects."""

    def lease(self, label: Label, name: str) -> AbstractAsyncContextManager[Lease]:
        """Hold the kind under this name for one reader."""

    async def start(self, name: str) -> Kind:
        """The kind under this name, fed, without a reader."""

    def describe(self) -> dict[str, object]:
        """Its part of `orkactl status -o json`."""


class Clusters(Protocol):
    """All clusters of a daemon."""

    clock: Clock

    def __iter__(self) -> Iterator[AnyCluster]: ...

    def find(self, target: Target) -> tuple[AnyCluster, Label]:
        """The cluster that a request means and how the request calls it; OrkaError if none."""

    async def run(self) -> None:
        """Own every cluster until cancelled."""

    def stop_feeding(self) -> None:
        """Shutdown: every source stops, every queue is applied."""


class LiveClusters:
    """Clusters found through kubeconfigs, as kubectl would in the shell that asks."""

    def __init__(
        self,
        config: Config,
        kubeconfigs: KubeconfigCache,
        make: Callable[[Connection], Cluster],
        clock: Clock,
    ) -> None:
        self.clock = clock
        self._config = config
        self._make = make
        self._kubeconfigs = kubeconfigs
        self._clusters: dict[str, Cluster] = {}
        self._starts, self._to_start = trio.open_memory_channel[Cluster](STARTS_AHEAD)

    def __iter__(self) -> Iterator[AnyCluster]:
        return iter(list(self._clusters.values()))

    def find(self, target: Target) -> tuple[AnyCluster, Label]:
        """See `Clusters`; files are read again when they have changed."""
        connection = self._resolve(target)
        cluster = self._clusters.get(connection.identity)
        if cluster is None:
            cluster = self._clusters[connection.identity] = self._make(connection)
            self._starts.send_nowait(cluster)
        return cluster, Label(connection.context, connection.url, connection.namespace)

    def _resolve(self, target: Target) -> Connection:
        if not self._config.pinned:
            return self._kubeconfigs.load(target)
        ours = self._kubeconfigs.load(self._config.target)
        if target.source == "default" and target.context is None:
            return ours
        asked = self._kubeconfigs.load(target)
        if (asked.identity, asked.context) != (ours.identity, ours.context):
            raise Refused(
                f"this orkad serves only context {ours.context!r} of {ours.server},"
                f" {asked.context!r} of {asked.server} was asked for",
                code="pinned",
                hint="start an orkad without --kubeconfig and --context to serve both",
            )
        return asked

    async def run(self) -> None:
        """See `Clusters`."""
        async with trio.open_nursery() as nursery:
            async for cluster in self._to_start:
                nursery.start_soon(cluster.run, name=f"cluster {cluster.connection.server}")

    def stop_feeding(self) -> None:
        """See `Clusters`."""
        for cluster in self._clusters.values():
            cluster.kinds.stop_feeding()
