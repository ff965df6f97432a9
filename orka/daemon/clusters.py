"""Which cluster a request means: kubeconfigs resolved afresh, setups that are the same shared.

A kubeconfig that changes while its cluster is watched is noticed within seconds. The same server
and user with other credentials: the cluster goes on with those. Another server or user: that is
another cluster, for whoever asks from then on; who watches the old one stays with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import trio

from orka.daemon.cluster import Cluster
from orka.daemon.config import Config
from orka.daemon.kinds import Kind, Kinds
from orka.daemon.kube.connection import Connection
from orka.daemon.kube.exec_plugin import Plugins
from orka.daemon.model import Clock
from orka.daemon.serve.service import Discovered, Label, Lease
from orka.proto.errors import OrkaError, Refused
from orka.proto.messages import Target

STARTS_AHEAD = 1024  # clusters asked for in one instant
# A stat of a handful of files; a token that a script has just written is used before a watch ends.
LOOK_SECONDS = 5.0
TARGETS_MAX_COUNT = 64  # ways of asking that are remembered: shells times contexts

logger = logging.getLogger("orka.cluster")


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


class Kubeconfigs(Protocol):
    """What the user's files mean at each moment; `KubeconfigCache` reads them."""

    def load(self, target: Target) -> Connection:
        """The connection that a request means now; ConfigError if the files cannot be used."""


class LiveClusters:
    """Clusters found through kubeconfigs, as kubectl would in the shell that asks."""

    def __init__(
        self,
        config: Config,
        kubeconfigs: Kubeconfigs,
        make: Callable[[Connection], Cluster],
        plugins: Plugins,
        clock: Clock,
    ) -> None:
        self.clock = clock
        self._config = config
        self._make = make
        self._kubeconfigs = kubeconfigs
        self._plugins = plugins
        self._clusters: dict[str, Cluster] = {}
        self._asked: dict[Target, Cluster] = {}  # where each way of asking led last
        self._starts, self._to_start = trio.open_memory_channel[Cluster](STARTS_AHEAD)

    def __iter__(self) -> Iterator[AnyCluster]:
        return iter(list(self._clusters.values()))

    def find(self, target: Target) -> tuple[AnyCluster, Label]:
        """See `Clusters`; files are read again when they have changed."""
        connection = self._resolve(target)
        cluster = self._clusters.get(connection.identity) or self._moved(target, connection)
        if cluster is None:
            cluster = self._clusters[connection.identity] = self._make(connection)
            self._starts.send_nowait(cluster)
        self._asked.pop(target, None)
        while len(self._asked) >= TARGETS_MAX_COUNT:
            del self._asked[next(iter(self._asked))]
        self._asked[target] = cluster
        return cluster, Label(connection.context, connection.url, connection.namespace)

    def _moved(self, target: Target, connection: Connection) -> Cluster | None:
        """The cluster that this way of asking led to, now with the credentials it leads to.

        Only if the server and the user are the same, and nobody else's way of asking still means
        the old credentials: two files may call two users by one name.
        """
        cluster = self._asked.get(target)
        if cluster is None or place(cluster.connection) != place(connection):
            return None
        before = cluster.connection.identity
        if any(
            other != target and asked is cluster and self._identity_of(other) == before
            for other, asked in self._asked.items()
        ):
            return None
        cluster.adopt(connection)
        del self._clusters[before]
        self._clusters[connection.identity] = cluster
        return cluster

    def _identity_of(self, target: Target) -> str | None:
        try:
            return self._resolve(target).identity
        except OrkaError:
            return None

    async def _follow_files(self) -> None:
        """Notice what becomes of the kubeconfigs that led to the clusters we have."""
        while True:
            await trio.sleep(LOOK_SECONDS)
            for target, cluster in list(self._asked.items()):
                self._look(target, cluster)

    def _look(self, target: Target, cluster: Cluster) -> None:
        note = None
        try:
            connection = self._resolve(target)
            if connection.identity == cluster.connection.identity:
                pass
            elif place(connection) != place(cluster.connection):
                note = f"the kubeconfig now means {connection.url} as {connection.user!r}"
            elif connection.identity not in self._clusters:
                self._moved(target, connection)
        except OrkaError as error:
            note = f"the kubeconfig cannot be used: {error.message}"
        if note is not None and note != cluster.note:
            logger.warning("kubeconfig context=%s note=%r", cluster.connection.context, note)
        cluster.note = note

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
            nursery.start_soon(self._plugins.run, name="plugins")
            nursery.start_soon(self._follow_files, name="kubeconfigs")
            async for cluster in self._to_start:
                nursery.start_soon(cluster.run, name=f"cluster {cluster.connection.server}")

    def stop_feeding(self) -> None:
        """See `Clusters`."""
        for cluster in self._clusters.values():
            cluster.kinds.stop_feeding()


def place(connection: Connection) -> tuple[object, ...]:
    """What makes another cluster, or another user of it, when it changes: all but credentials."""
    return (
        connection.server,
        connection.path_prefix,
        connection.ca_path or connection.ca,
        connection.insecure,
        connection.tls_server_name,
        connection.proxy,
        connection.user,
        connection.credentials.impersonation,
    )
