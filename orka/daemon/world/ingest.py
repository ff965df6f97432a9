"""One kind's world: takes deltas, lists and truths from a source, publishes snapshots to readers.

`World` is the sink a source feeds (sync, never blocks) and the value readers wait on; `run` is
the only task that applies and publishes, so an epoch is visible before anyone is told of it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import trio

from orka.daemon.model import (
    Clock,
    Delta,
    Key,
    KindCounters,
    ResourceVersion,
    TruthChange,
)
from orka.daemon.world.coalescer import Coalescer
from orka.daemon.world.diff import Entry, Journal
from orka.daemon.world.latest import Latest
from orka.daemon.world.snapshot import apply_deltas, apply_list, empty_snapshot
from orka.proto.messages import LiteObj

# After a quiet spell the first change is applied at once; a burst is then gathered until it
# pauses for the quiet period, and never for longer than the ceiling. The promise is 50 ms from a
# first change to its snapshot: the rest is for waking up late and for applying the batch.
QUIET_SECONDS = 0.005
CEILING_SECONDS = 0.040

logger = logging.getLogger("orka.world")


@dataclass(frozen=True, slots=True)
class Listed:
    """A complete list waiting to be swapped in: a barrier between old deltas and new ones."""

    objects: Sequence[LiteObj]
    resource_version: ResourceVersion


def batch_due(first: float, last: float, applied: float) -> float:
    """When the batch that began at `first` and grew last at `last` closes.

    `applied` is when the batch before it closed; all in seconds on one monotonic clock.
    """
    if first - applied >= QUIET_SECONDS:
        return first
    return min(last + QUIET_SECONDS, first + CEILING_SECONDS)


class World:
    """One kind between its source and its readers. Implements `model.Sink`."""

    def __init__(
        self,
        *,
        name: str,
        lineage: str,
        queue_cap: int,
        journal: Journal,
        clock: Clock,
        counters: KindCounters,
    ) -> None:
        self.name = name
        self.journal = journal
        self.coalescer = Coalescer(queue_cap)
        self.quarantined_total = 0
        self.progress_objects = 0
        self.latest = Latest(
            empty_snapshot(
                lineage, TruthChange("syncing", "waiting for the first list"), clock.wall()
            )
        )
        self._clock = clock
        self._counters = counters
        self._proof_at: float | None = None  # monotonic: last proof of life
        self._listed: Listed | None = None
        self._truth: TruthChange | None = None
        self._pushed_rv: ResourceVersion | None = None
        self._first_push = math.inf  # when the batch under way began
        self._last_push = -math.inf
        self._applied_at = -math.inf
        self._wake = trio.Event()
        self._applied = trio.Event()

    def __repr__(self) -> str:
        return f"<World {self.name} {self.latest.value!r} {self.coalescer!r}>"

    # -- the sink ------------------------------------------------------------------------

    def push(self, deltas: Sequence[Delta], resource_version: ResourceVersion | None) -> int:
        """See `model.Sink`: how many queued deltas were dropped to make room."""
        folded = self.coalescer.folded_total
        dropped = self.coalescer.push(deltas)
        if resource_version:
            self._pushed_rv = resource_version
        if dropped:
            self._counters.inc("coalescer_dropped_total", dropped)
        if self.coalescer.folded_total > folded:
            self._counters.inc("coalescer_folded_total", self.coalescer.folded_total - folded)
        self._touch()
        return dropped

    def replace(self, objects: Sequence[LiteObj], resource_version: ResourceVersion) -> None:
        """See `model.Sink`: a barrier; what is queued is older than the list and is dropped."""
        self.coalescer.clear()
        self._listed = Listed(objects, resource_version)
        self._pushed_rv = None
        self.progress_objects = 0
        self._touch()

    def truth(self, change: TruthChange) -> None:
        """See `model.Sink`."""
        self._truth = change
        self._touch()

    def alive(self) -> None:
        """See `model.Sink`."""
        self._proof_at = self._clock.monotonic()

    def progress(self, objects: int) -> None:
        """See `model.Sink`."""
        self.progress_objects = objects

    def quarantined(self, key: Key | None, why: str) -> None:
        """See `model.Sink`."""
        self.quarantined_total += 1
        self._counters.inc("quarantined_total")
        logger.warning("quarantined kind=%s key=%r why=%r", self.name, key, why)

    def begin_anew(self, lineage: str, reason: str) -> None:
        """What was shown is of something else: forget it; readers start from the next list."""
        self.coalescer.clear()
        self.journal.clear()
        self._listed = self._truth = self._pushed_rv = self._proof_at = None
        self.progress_objects = 0
        truth = TruthChange("syncing", reason)
        self.latest.publish(empty_snapshot(lineage, truth, self._clock.wall()))

    # -- readers -------------------------------------------------------------------------

    def age_seconds(self) -> float | None:
        """Seconds since the last proof of life; None before the first."""
        if self._proof_at is None:
            return None
        return max(0.0, self._clock.monotonic() - self._proof_at)

    async def wait_applied(self) -> None:
        """Return when all that was pushed is applied: for recorded sources, which may wait."""
        await trio.lowlevel.checkpoint()
        while self._first_push < math.inf:
            await self._applied.wait()

    # -- the loop ------------------------------------------------------------------------

    async def run(self) -> None:
        """Apply and publish until cancelled; whatever is queued then is applied before it ends."""
        try:
            while True:
                await self._wake.wait()
                await self._gather()
                self.flush()
        finally:
            self.flush()

    async def _gather(self) -> None:
        """Wait until the batch is due; a list or a truth does not wait, it closes the batch."""
        while self._listed is None and self._truth is None:
            due = batch_due(self._first_push, self._last_push, self._applied_at)
            if due <= self._clock.monotonic():
                break
            await trio.sleep_until(due)
        await trio.lowlevel.checkpoint()

    def flush(self) -> None:
        """Apply everything queued now, as at most two batches (a list, then what came after it)."""
        self._wake = trio.Event()
        first_push, self._first_push = self._first_push, math.inf
        listed, self._listed = self._listed, None
        if listed is not None:
            self._apply_list(listed)
        batch = self.coalescer.take()
        self._apply_batch(batch)
        truth, self._truth = self._truth, None
        if truth is not None:
            self._apply_truth(truth)
        self._applied_at = self._clock.monotonic()
        if first_push < math.inf:
            self._counters.observe("ingest_lag_seconds", self._applied_at - first_push)
        self._counters.set("coalescer_len", 0)
        self._counters.set("snapshot_objects", self.latest.value.count)
        applied, self._applied = self._applied, trio.Event()
        applied.set()

    def _apply_list(self, listed: Listed) -> None:
        before = self.latest.value
        snapshot, transitions = apply_list(before, listed.objects)
        if before.synced:
            self._counters.inc("relist_corrections_total", len(transitions))
        if transitions and before.synced:
            self.journal.append(Entry(snapshot.epoch, "resync", transitions))
        elif transitions:
            # Nobody was shown the epochs before the first list as complete, so nobody is
            # led from them: readers get the whole.
            self.journal.clear()
        self.latest.publish(
            replace(snapshot, resource_version=listed.resource_version, synced=True)
        )

    def _apply_batch(self, batch: list[Delta]) -> None:
        before = self.latest.value
        snapshot, transitions = apply_deltas(before, batch)
        if not self.coalescer.dirty and self._pushed_rv is not None:
            snapshot = replace(snapshot, resource_version=self._pushed_rv)
        self._pushed_rv = None
        if transitions:
            self.journal.append(Entry(snapshot.epoch, "watch", transitions))
            logger.debug(
                "applied kind=%s epoch=%d deltas=%d changed=%d",
                self.name,
                snapshot.epoch,
                len(batch),
                len(transitions),
            )
            self.latest.publish(snapshot)
        elif snapshot is not before:
            self.latest.amend(snapshot)  # a bookmark: nothing to tell, but cursors move on

    def _apply_truth(self, truth: TruthChange) -> None:
        before = self.latest.value
        if truth == before.truth:
            return
        logger.info("truth kind=%s state=%s reason=%r", self.name, truth.state, truth.reason)
        since = before.truth_since if truth.state == before.truth.state else self._clock.wall()
        self.latest.publish(replace(before, truth=truth, truth_since=since))

    def _touch(self) -> None:
        now = self._clock.monotonic()
        self._first_push = min(self._first_push, now)
        self._last_push = now
        self._counters.set("coalescer_len", len(self.coalescer))
        self._wake.set()
