"""The whole daemon as one tree of nurseries, and the order in which it starts and stops.

    clusters                          outlives everybody: what clients are still told is from here
    ├── cluster SERVER …              one per kubeconfig identity, started by its first request
    │   └── kind GVK …                source (reflector), ingest, hub; dropped when idle
    └── sessions                      one task per client; has a deadline once we stop
        └── accept                    the listening socket

Stop: cancel `accept`; stop the sources and apply what is queued; let the sessions finish what
they are saying, under a deadline; cancel `clusters`.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from orka import __version__
from orka.daemon.clusters import Clusters
from orka.daemon.config import GRACE_SECONDS, Config
from orka.daemon.instruments import Instruments
from orka.daemon.kube.errors import KubeError
from orka.daemon.serve.server import Server
from orka.daemon.serve.service import Discovered, Lease
from orka.proto.errors import OrkaError
from orka.proto.messages import Target

PIN_RETRY_SECONDS = 5.0  # an API server that boots beside us takes tens of seconds

logger = logging.getLogger("orka.app")


class Daemon:
    """Implements `serve.Service`: what sessions ask, answered by the clusters."""

    def __init__(self, config: Config, clusters: Clusters, instruments: Instruments) -> None:
        self._config = config
        self._clusters = clusters
        self._instruments = instruments
        self._started = clusters.clock.wall()
        self.stopping = trio.Event()

    async def discover(self, target: Target, *, prefer_crd: bool) -> Discovered:
        """See `serve.Service`."""
        cluster, label = self._clusters.find(target)
        return await cluster.discover(label, prefer_crd=prefer_crd)

    @asynccontextmanager
    async def lease(self, target: Target, kind: str) -> AsyncIterator[Lease]:
        """See `serve.Service`."""
        cluster, label = self._clusters.find(target)
        async with cluster.lease(label, kind) as lease:
            yield lease

    def status(self) -> dict[str, object]:
        """See `serve.Service`."""
        return {
            "daemon": {
                "pid": os.getpid(),
                "version": __version__,
                "started": self._started,
                "socket": self._config.socket,
                "rss_bytes": rss_bytes(),
                "pinned": self._config.pinned,
            },
            "clusters": [cluster.describe() for cluster in self._clusters],
        }

    def metrics(self) -> bytes:
        """See `serve.Service`."""
        for cluster in self._clusters:
            for kind in cluster.kinds:
                self._instruments.watchers.labels(
                    context=kind.settings.context, kind=kind.resource.gvk
                ).set(kind.hub.watchers)
        return self._instruments.text()

    def wall(self) -> float:
        """See `serve.Service`."""
        return self._clusters.clock.wall()

    def stop(self) -> None:
        """See `serve.Service`."""
        self.stopping.set()

    async def pin_kinds(self, later: trio.Nursery) -> None:
        """Start the kinds of `--watch` and `--prefer-crd`, which are never dropped for idleness.

        An API server that does not answer yet is asked again from `later`; anything else that
        is wrong is the user's to know at once.
        """
        try:
            await self._pin_kinds()
        except KubeError as error:
            logger.warning("cannot start the pinned kinds yet error=%r", error.message)
            later.start_soon(self._pin_kinds_later, name="pin kinds")

    async def _pin_kinds_later(self) -> None:
        while True:
            await trio.sleep(PIN_RETRY_SECONDS)
            try:
                await self._pin_kinds()
            except OrkaError as error:
                logger.warning("cannot start the pinned kinds yet error=%r", error.message)
            else:
                return

    async def _pin_kinds(self) -> None:
        if not (self._config.watch or self._config.prefer_crd):
            return
        cluster, label = self._clusters.find(self._config.target)
        names = list(self._config.watch)
        if self._config.prefer_crd:
            found = await cluster.discover(label, prefer_crd=True)
            names += [resource.gvk for resource in found.resources]
        for name in names:
            kind = await cluster.start(name)
            kind.pinned = True
            logger.info("pinned kind=%s", kind.resource.gvk)


async def run(
    config: Config,
    clusters: Clusters,
    instruments: Instruments,
    listener: socket.socket,
    *,
    instance: str,
    ready: Callable[[], None],
) -> None:
    """The daemon from its listening socket to its graceful end; `ready` once it answers."""
    daemon = Daemon(config, clusters, instruments)
    server = Server(daemon, instance=instance)
    instruments.clients.set_function(lambda: len(server))
    shutdown = trio.Event()
    async with trio.open_nursery() as outer:
        outer.start_soon(clusters.run, name="clusters")
        await outer.start(_signals, daemon, outer.cancel_scope, name="signals")
        async with trio.open_nursery() as sessions:
            async with trio.open_nursery() as accept:
                await daemon.pin_kinds(outer)
                accept.start_soon(server.accept, listener, sessions, shutdown, name="accept")
                ready()
                logger.info("serving socket=%s version=%s", config.socket, __version__)
                await daemon.stopping.wait()
                accept.cancel_scope.cancel(reason="stopping")
            logger.info("stopping clients=%d", len(server))
            clusters.stop_feeding()
            shutdown.set()
            sessions.cancel_scope.deadline = trio.current_time() + GRACE_SECONDS
        outer.cancel_scope.cancel(reason="stopped")
    logger.info("stopped")


async def _signals(
    daemon: Daemon,
    everything: trio.CancelScope,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """The first SIGTERM or SIGINT stops gracefully, the second at once; SIGUSR1 dumps the tasks."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGUSR1:
                dump_tasks()
            elif daemon.stopping.is_set():
                logger.warning("second signal: stopping at once")
                everything.cancel(reason="second signal")
            else:
                logger.info("received %s", signal.Signals(number).name)
                daemon.stop()


def dump_tasks() -> None:
    """Every task of this trio run and where it waits, to stderr."""
    pending = [(0, trio.lowlevel.current_root_task())]
    while pending:
        depth, task = pending.pop()
        if task is None:
            continue
        frames = [
            f"{frame.f_code.co_filename.rpartition('/')[2]}:{line}:{frame.f_code.co_name}"
            for frame, line in task.iter_await_frames()
        ]
        print("  " * depth + task.name, " < ".join(reversed(frames)), file=sys.stderr)  # noqa: T201
        pending += [
            (depth + 1, child) for nursery in task.child_nurseries for child in nursery.child_tasks
        ]
    sys.stderr.flush()


def rss_bytes() -> int:
    """Resident memory of this process, as the kernel counts it."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
