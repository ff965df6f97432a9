"""A reflector over the fake API on virtual time, and a sink that checks what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import trio
from trio.testing import MockClock

from orka.daemon.kube.watch import ReflectorConfig, ReflectorSource
from orka.daemon.model import (
    Delta,
    DeltaKind,
    Key,
    Resource,
    ResourceVersion,
    TruthChange,
    UpstreamLedger,
)
from orka.proto.messages import LiteObj
from tests.daemon.kube.fake_api import FakeApi
from tests.support.fakes import RecordingCounters

THING = Resource("example.io", "v1", "Thing", "things", namespaced=True)
DAY_SECONDS = 86_400.0


@dataclass
class ModelSink:
    """What a world would show, and every change of it: applied at once, with no queue.

    `cap` makes it drop, as a full queue does: the deltas of a chunk beyond so many are lost.
    """

    objects: dict[Key, LiteObj] = field(default_factory=dict)
    resource_version: ResourceVersion | None = None
    changes: list[tuple[str, Key, str]] = field(default_factory=list)  # what, which, its rv
    truths: list[TruthChange] = field(default_factory=list)
    trail: list[tuple[float, str]] = field(default_factory=list)  # time and state
    quarantine: list[tuple[Key | None, str]] = field(default_factory=list)
    replaced: int = 0
    pushes: int = 0
    alive_at: float | None = None
    cap: int | None = None
    dirty: bool = False

    def push(self, deltas: Sequence[Delta], resource_version: ResourceVersion | None) -> int:
        """See `model.Sink`."""
        self.pushes += 1
        assert resource_version not in (None, "", "0")
        self.resource_version = resource_version
        kept = deltas if self.cap is None else deltas[-self.cap :]
        for delta in kept:
            self._apply(delta)
        dropped = len(deltas) - len(kept)
        self.dirty = self.dirty or dropped > 0
        return dropped

    def _apply(self, delta: Delta) -> None:
        current = self.objects.get(delta.key)
        assert delta.obj is not None
        version = delta.obj.resource_version
        if delta.kind is DeltaKind.DELETED:
            if current is not None and current.uid == delta.uid:
                del self.objects[delta.key]
                self.changes.append(("DEL", delta.key, version))
        elif current is None or (current.uid, current.resource_version) != (delta.uid, version):
            self._put(delta.key, current, delta.obj)

    def _put(self, key: Key, current: LiteObj | None, obj: LiteObj) -> None:
        what = "ADD" if current is None else "MOD" if current.uid == obj.uid else "REPL"
        self.objects[key] = obj
        self.changes.append((what, key, obj.resource_version))

    def replace(self, objects: Sequence[LiteObj], resource_version: ResourceVersion) -> None:
        """See `model.Sink`."""
        self.replaced += 1
        self.dirty = False
        self.resource_version = resource_version
        listed = {(obj.namespace, obj.name): obj for obj in objects}
        for key in list(self.objects.keys() - listed.keys()):
            version = self.objects.pop(key).resource_version
            self.changes.append(("DEL", key, version))
        for key, obj in listed.items():
            current = self.objects.get(key)
            if current is None or (current.uid, current.resource_version) != (
                obj.uid,
                obj.resource_version,
            ):
                self._put(key, current, obj)

    def truth(self, change: TruthChange) -> None:
        """See `model.Sink`."""
        assert not self.truths or self.truths[-1] != change
        self.truths.append(change)
        self.trail.append((trio.current_time(), change.state))

    def alive(self) -> None:
        """See `model.Sink`."""
        self.alive_at = trio.current_time()

    def progress(self, objects: int) -> None:
        """See `model.Sink`."""
        assert objects >= 0

    def quarantined(self, key: Key | None, why: str) -> None:
        """See `model.Sink`."""
        self.quarantine.append((key, why))

    # -- what tests ask --------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The state told last."""
        return self.truths[-1].state

    @property
    def states(self) -> list[str]:
        """Every state told, in order."""
        return [truth.state for truth in self.truths]


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until it is; a day of virtual time is more than any backoff."""
    with trio.fail_after(DAY_SECONDS):
        while not true():
            await trio.sleep(0.25)


@dataclass
class Rig:
    """One running reflector and everything around it."""

    api: FakeApi
    sink: ModelSink
    source: ReflectorSource
    counters: RecordingCounters
    ledger: UpstreamLedger

    def same(self) -> bool:
        """True when what is shown is exactly what the server has."""
        shown = {
            key: (str(UUID(bytes=obj.uid)), obj.resource_version)
            for key, obj in self.sink.objects.items()
        }
        return shown == {
            key: (meta["uid"], meta["resourceVersion"]) for key, meta in self.api.objects.items()
        }

    def assert_same(self) -> None:
        """What is shown is what the server has, and no object ever went back in time."""
        assert self.same(), f"{self.sink.objects} is not {self.api.objects}"
        for key, states in self.api.states.items():
            order = {rv: position for position, (_, rv) in enumerate(states)}
            seen = [
                order[rv]
                for what, changed, rv in self.sink.changes
                if changed == key and what != "DEL"
            ]
            assert seen == sorted(set(seen)), f"{key} went back: {seen}"

    async def until_live(self) -> None:
        """Wait until the kind is live."""
        await eventually(lambda: self.sink.truths[-1:] != [] and self.sink.state == "live")

    async def until_same(self) -> None:
        """Wait until what is shown is what the server has, and check that it came about well."""
        await eventually(lambda: self.same() and self.sink.state == "live" and self.api.open != [])
        self.assert_same()


@asynccontextmanager
async def reflector(
    api: FakeApi,
    *,
    seed: int = 0,
    relist_seconds: float = float("inf"),
    cap: int | None = None,
    resource: Resource = THING,
) -> AsyncIterator[Rig]:
    """A reflector of the API's objects, running until the block ends."""
    sink, counters, ledger = ModelSink(cap=cap), RecordingCounters(), UpstreamLedger()
    source = ReflectorSource(
        api,
        resource,
        ReflectorConfig("kind-dev", relist_seconds),
        random=Random(seed),
        ledger=ledger,
        counters=counters,
        served=api.discovery,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.run, sink, name="reflector")
        yield Rig(api, sink, source, counters, ledger)
        nursery.cancel_scope.cancel(reason="the test is over")


def run_on_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    """Run an async function on a clock that jumps over every wait; for hypothesis."""
    trio.run(main, clock=MockClock(autojump_threshold=0))
