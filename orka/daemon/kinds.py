"""The kinds one cluster is watched for: each a source, a world and a hub.

A kind is started by its first reader and stopped when nobody has read it for long.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from random import Random

import msgspec
import trio

from orka.daemon.instruments import Instruments
from orka.daemon.model import Clock, DeltaSource, Resource
from orka.daemon.serve.hub import Hub
from orka.daemon.world.cursor import Cursor
from orka.daemon.world.diff import Journal
from orka.daemon.world.ingest import World
from orka.daemon.world.snapshot import Snapshot

STARTS_AHEAD = 4096  # kinds asked for in one instant: more than any cluster serves

logger = logging.getLogger("orka.cluster")


@dataclass(frozen=True, slots=True)
class Settings:
    """What every kind of a cluster shares."""

    cluster: str  # short id, part of every cursor
    context: str  # the first context that asked for this cluster: the label of its metrics
    queue_cap: int
    idle_seconds: float
    clock: Clock
    random: Random
    instruments: Instruments


class Kind:
    """One group-resource of one cluster."""

    def __init__(
        self,
        resource: Resource,
        make_source: Callable[[World], DeltaSource],
        settings: Settings,
        *,
        lineage: str,
    ) -> None:
        self.resource = resource
        self.readers = 0
        self.pinned = False  # asked for by a flag of orkad: never dropped for being idle
        self.ended = False  # takes no new readers: idle for too long, or no longer served
        self.settings = settings
        self.world = World(
            name=resource.group_resource,
            lineage=lineage,
            queue_cap=settings.queue_cap,
            journal=Journal(),
            clock=settings.clock,
            counters=settings.instruments.kind(settings.context, resource.gvk),
        )
        self.hub = Hub(self.world, self.cursor)
        self.source = make_source(self.world)
        self._source_scope = trio.CancelScope()
        self._readers_changed = trio.Event()

    def __repr__(self) -> str:
        return f"<Kind {self.resource.gvk} readers={self.readers} {self.world!r}>"

    def cursor(self, snapshot: Snapshot) -> str:
        """The cursor of everything up to `snapshot`."""
        return str(
            Cursor(
                self.settings.cluster,
                self.resource.group_resource,
                snapshot.lineage,
                snapshot.epoch,
                snapshot.resource_version,
            )
        )

    def describe(self) -> dict[str, object]:
        """Its line of `status`."""
        snapshot, world = self.world.latest.value, self.world
        return {
            "gvk": self.resource.gvk,
            "resource": self.resource.group_resource,
            "truth": {
                "state": snapshot.truth.state,
                "reason": snapshot.truth.reason,
                "since": snapshot.truth_since,
                "age_seconds": world.age_seconds(),
                "synced": snapshot.synced,
                "dropped": world.coalescer.dropped_total,
                "quarantined": world.quarantined_total,
                "cursor": self.cursor(snapshot),
            },
            "objects": snapshot.count,
            "epoch": snapshot.epoch,
            "watchers": self.hub.watchers,
            "readers": self.readers,
            "pinned": self.pinned,
            **self.source.describe(),
        }

    @contextmanager
    def held(self) -> Iterator[None]:
        """One more reader for as long as the context lasts."""
        self.readers += 1
        self._notice_readers()
        try:
            yield
        finally:
            self.readers -= 1
            self._notice_readers()

    async def run(self) -> None:
        """Watch until cancelled, or until nobody has read the kind for the idle time."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.world.run, name=f"ingest {self.world.name}")
            nursery.start_soon(self.hub.run, name=f"hub {self.world.name}")
            nursery.start_soon(self._feed, name=f"source {self.world.name}")
            await self._idle()
            nursery.cancel_scope.cancel(reason="idle")
        logger.info("dropped kind=%s reason=idle", self.resource.gvk)

    async def _feed(self) -> None:
        with self._source_scope:
            await self.source.run(self.world)

    def stop_feeding(self) -> None:
        """Shutdown: no more from the source; what has come is applied and stays readable."""
        self._source_scope.cancel(reason="shutdown")
        self.world.flush()
        logger.info(
            "final snapshot kind=%s epoch=%d objects=%d digest=%s",
            self.resource.gvk,
            self.world.latest.value.epoch,
            self.world.latest.value.count,
            digest(self.world.latest.value),
        )

    def begin_anew(self, reason: str) -> None:
        """What was shown is of something else: a new lineage, of which nothing is known yet."""
        self.world.begin_anew(new_lineage(self.settings.random), reason)

    def retire(self) -> None:
        """Take no new readers and end with the last one that is there."""
        self.ended = True
        self._notice_readers()

    async def _idle(self) -> None:
        """Return once there has been no reader for the idle time, or none after retirement."""
        while not (self.ended and not self.readers):
            self._readers_changed = trio.Event()
            if self.readers or self.pinned:
                await self._readers_changed.wait()
                continue
            with trio.move_on_after(self.settings.idle_seconds) as quiet:
                await self._readers_changed.wait()
            if quiet.cancelled_caught and not self.readers:
                self.ended = True

    def _notice_readers(self) -> None:
        self._readers_changed.set()


class Kinds:
    """All kinds of one cluster, by group-resource."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._kinds: dict[str, Kind] = {}
        self._starts, self._to_start = trio.open_memory_channel[Kind](STARTS_AHEAD)

    def __iter__(self) -> Iterator[Kind]:
        return iter(sorted(self._kinds.values(), key=lambda kind: kind.resource.gvk))

    def get(self, group_resource: str) -> Kind | None:
        """The kind, if it is being watched."""
        return self._kinds.get(group_resource)

    async def run(self) -> None:
        """Own the tasks of every kind, until cancelled."""
        async with trio.open_nursery() as nursery:
            async for kind in self._to_start:
                nursery.start_soon(self._run_kind, kind, name=f"kind {kind.resource.gvk}")

    async def _run_kind(self, kind: Kind) -> None:
        await kind.run()
        if self._kinds.get(kind.resource.group_resource) is kind:
            del self._kinds[kind.resource.group_resource]

    def start(
        self,
        resource: Resource,
        make_source: Callable[[World], DeltaSource],
        *,
        lineage: str | None = None,
    ) -> Kind:
        """This resource's kind, started now if it was not; one that was gone starts anew."""
        kind = self._kinds.get(resource.group_resource)
        if kind is not None and kind.world.latest.value.truth.state == "gone":
            kind.retire()
        if kind is not None and not kind.ended:
            return kind
        kind = Kind(
            resource,
            make_source,
            self.settings,
            lineage=lineage or new_lineage(self.settings.random),
        )
        self._kinds[resource.group_resource] = kind
        self._starts.send_nowait(kind)
        return kind

    def stop_feeding(self) -> None:
        """Shutdown: every source stops, every queue is applied."""
        for kind in self:
            kind.stop_feeding()


def new_lineage(random: Random) -> str:
    """An id that no other lineage has, by chance."""
    return f"{random.getrandbits(40):010x}"


def digest(snapshot: Snapshot) -> str:
    """A fingerprint of the rows in order: the same objects give the same digest."""
    rows = [row for namespace in snapshot.rows(None) for row in namespace]
    return blake2b(msgspec.msgpack.encode(rows), digest_size=8).hexdigest()
