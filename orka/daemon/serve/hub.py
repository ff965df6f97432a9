"""One kind's fan-out: an epoch is encoded once per view and written to every idle watcher at once.

A watcher is a position and a view, never a queue. While its socket takes what it is offered it
stays parked here and one task feeds all of them; when it does not, its own session takes over
and catches up from the journal, so a slow reader costs nobody else anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from orka.daemon.model import TruthChange
from orka.daemon.serve.client import Client, ClientLeft
from orka.daemon.world.diff import Journal, merge
from orka.daemon.world.ingest import World
from orka.daemon.world.snapshot import Snapshot, View
from orka.proto.frames import frame
from orka.proto.messages import Diff, ServerMessage, StateChange, Truth, encode
from orka.proto.names import SERVER_FRAME_MAX_BYTES

RING_MAX_FRAMES = 64  # a reader further behind gets one merged diff instead
RING_MAX_BYTES = 1024 * 1024  # per view; a relist's diff may be large and is not worth keeping
ENDING_STATES = frozenset({"forbidden", "gone"})  # a stream has nothing more to say after these
DIFF_MAX_CHANGES = 20_000  # a larger diff would be no smaller than the snapshot it leads to


@dataclass(frozen=True, slots=True)
class Restart:
    """The watcher cannot be led on by diffs: it needs the whole snapshot."""

    reason: str
    missed_epochs: int


@dataclass(eq=False, slots=True)
class Watcher:
    """One reader's position: what it was told, and up to where it is owed nothing."""

    client: Client
    view: View
    truth_of: Callable[[Snapshot], Truth]
    lineage: str
    sent_epoch: int
    at_epoch: int  # ahead of sent_epoch by epochs that hold nothing for the view
    truth: TruthChange  # the last one it was told
    following: bool = False  # has been led to a position from which diffs may go on
    attention: trio.Event = field(default_factory=trio.Event)  # its session must act

    def move_to(self, snapshot: Snapshot, epoch: int) -> None:
        """The reader has been told all of `epoch`, in the lineage of `snapshot`."""
        self.lineage = snapshot.lineage
        self.sent_epoch = self.at_epoch = epoch
        self.following = True


def framed(message: ServerMessage) -> bytes:
    """A message to a client, with its length."""
    return frame(encode(message), SERVER_FRAME_MAX_BYTES)


class Hub:
    """All watchers of one kind."""

    def __init__(self, world: World, cursor_of: Callable[[Snapshot], str]) -> None:
        self._world = world
        self._cursor_of = cursor_of
        self._parked: set[Watcher] = set()
        self._rings: dict[View, Ring] = {}
        self._views: dict[View, int] = {}
        self.watchers = 0

    def __repr__(self) -> str:
        return f"<Hub {self._world.name} watchers={self.watchers} parked={len(self._parked)}>"

    async def run(self) -> None:
        """Feed the parked watchers until cancelled."""
        version = 0
        while True:
            _, version = await self._world.latest.wait_newer(version)
            for watcher in tuple(self._parked):
                if not self._deliver(watcher):
                    self._parked.discard(watcher)
                    watcher.attention.set()

    def attach(self, watcher: Watcher) -> None:
        """Count the watcher and keep encoded diffs for its view; `detach` when it leaves."""
        self.watchers += 1
        self._views[watcher.view] = self._views.get(watcher.view, 0) + 1

    def detach(self, watcher: Watcher) -> None:
        """The watcher is leaving: forget it."""
        self.watchers -= 1
        self._parked.discard(watcher)
        self._views[watcher.view] -= 1
        if not self._views[watcher.view]:
            del self._views[watcher.view]
            self._rings.pop(watcher.view, None)

    async def park(self, watcher: Watcher) -> None:
        """Let the hub feed an up-to-date watcher; returns when its session must act again."""
        watcher.attention = trio.Event()
        self._parked.add(watcher)
        try:
            await watcher.attention.wait()
        finally:
            self._parked.discard(watcher)

    def next_frames(self, watcher: Watcher) -> bytes | Restart:
        """All that the watcher is owed now, and its position moved past it; b"" if nothing."""
        snapshot = self._world.latest.value
        if watcher.lineage != snapshot.lineage:
            return Restart("the lineage changed", 0)
        frames = b""
        if watcher.at_epoch != snapshot.epoch:
            diffs = self._ring(watcher.view).frames(watcher, snapshot, self._cursor_of)
            if isinstance(diffs, Restart):
                return diffs
            frames = diffs
        if watcher.truth != snapshot.truth:
            watcher.truth = snapshot.truth
            frames += framed(StateChange(watcher.truth_of(snapshot)))
        return frames

    def _deliver(self, watcher: Watcher) -> bool:
        """Whether the watcher has all of now and can stay parked."""
        if self._world.latest.value.truth.state in ENDING_STATES:
            return False
        frames = self.next_frames(watcher)
        if isinstance(frames, Restart):
            return False
        try:
            return not frames or watcher.client.offer(frames)
        except ClientLeft:
            return False  # its session will meet the same end and clean up

    def _ring(self, view: View) -> Ring:
        ring = self._rings.get(view)
        if ring is None:
            ring = self._rings[view] = Ring(view, self._world.journal, self._world.latest.value)
        return ring


@dataclass(frozen=True, slots=True)
class Encoded:
    """A framed diff from one epoch to another; no data where nothing is different at its end."""

    from_epoch: int
    to_epoch: int
    data: bytes
    touched: bool  # something in the view changed on the way, even if it changed back


class Ring:
    """The last encoded diffs of one view: a chain, each starting where the one before ended."""

    def __init__(self, view: View, journal: Journal, snapshot: Snapshot) -> None:
        self._view = view
        self._journal = journal
        self._chain: deque[Encoded] = deque()
        self._bytes = 0
        self._lineage = snapshot.lineage
        self._told_epoch = snapshot.epoch  # end of the chain
        # Last epoch that touched the view. It may lie behind the chain's end: an object that
        # came and went is no news for who knew neither, but is for who joined in between.
        self._touched_epoch = snapshot.epoch
        self._at_epoch = snapshot.epoch

    def frames(
        self, watcher: Watcher, snapshot: Snapshot, cursor_of: Callable[[Snapshot], str]
    ) -> bytes | Restart:
        """Diffs that lead the watcher to `snapshot`; moves the watcher there."""
        cursor = cursor_of(snapshot)
        self._extend(snapshot, cursor)
        at_epoch, watcher.at_epoch = watcher.at_epoch, snapshot.epoch
        if at_epoch >= self._touched_epoch:
            return b""
        sent_epoch, watcher.sent_epoch = watcher.sent_epoch, snapshot.epoch
        shared = [link.data for link in self._chain if link.from_epoch >= sent_epoch]
        if shared and self._chain[-len(shared)].from_epoch == sent_epoch:
            watcher.sent_epoch = self._told_epoch
            return shared[0] if len(shared) == 1 else b"".join(shared)
        encoded = self._encode(sent_epoch, at_epoch, snapshot, cursor)
        if encoded is None:
            return Restart("too far behind", snapshot.epoch - at_epoch)
        if not encoded.data:
            watcher.sent_epoch = sent_epoch
        return encoded.data

    def _extend(self, snapshot: Snapshot, cursor: str) -> None:
        """Add the news since the last call to the chain, as one link."""
        if self._lineage == snapshot.lineage and self._at_epoch == snapshot.epoch:
            return
        link = None
        if self._lineage == snapshot.lineage:
            link = self._encode(self._told_epoch, self._at_epoch, snapshot, cursor)
        self._lineage, self._at_epoch = snapshot.lineage, snapshot.epoch
        if link is None or link.touched:
            self._touched_epoch = snapshot.epoch
        if link is None:
            self._chain.clear()
            self._bytes = 0
            self._told_epoch = snapshot.epoch
        elif link.data:
            self._told_epoch = link.to_epoch
            self._chain.append(link)
            self._bytes += len(link.data)
            while len(self._chain) > RING_MAX_FRAMES or self._bytes > RING_MAX_BYTES:
                self._bytes -= len(self._chain.popleft().data)

    def _encode(
        self, from_epoch: int, at_epoch: int, snapshot: Snapshot, cursor: str
    ) -> Encoded | None:
        """One merged diff; None if the journal does not reach back or the diff is too large."""
        entries = self._journal.after(at_epoch, snapshot.epoch)
        if entries is None:
            return None
        merged = merge(entries, self._view)
        if len(merged.changes) > DIFF_MAX_CHANGES:
            return None
        if not merged.changes:
            return Encoded(from_epoch, snapshot.epoch, b"", merged.touched)
        diff = Diff(from_epoch, snapshot.epoch, merged.changes, cursor, merged.folded, merged.cause)
        payload = encode(diff)
        if len(payload) > SERVER_FRAME_MAX_BYTES:
            return None
        data = frame(payload, SERVER_FRAME_MAX_BYTES)
        return Encoded(from_epoch, snapshot.epoch, data, merged.touched)
