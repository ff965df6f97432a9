"""Deltas of one kind, uid to latest, first in first out and bounded: many changes become few.

A state change dropped without healing would be a lie, so a drop is counted, marks the kind
dirty and is reported to whoever pushed: a relist must follow.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from orka.daemon.model import Delta, DeltaKind, Key


class Coalescer:
    """Holds at most `cap_deltas` deltas, one per uid; sync and never blocking."""

    def __init__(self, cap_deltas: int) -> None:
        if cap_deltas < 1:
            raise ValueError(f"cap_deltas must be at least 1, not {cap_deltas}")
        self.cap_deltas = cap_deltas
        self.dropped_total = 0
        self.folded_total = 0
        # Set by a drop, cleared only by clear(): until a list replaces the kind, what is
        # shown may miss a change.
        self.dirty = False
        self._queue: dict[bytes, Delta] = {}  # insertion order is the FIFO
        self._holder: dict[Key, bytes] = {}  # the uid applied last under each queued key

    def __len__(self) -> int:
        return len(self._queue)

    def __repr__(self) -> str:
        return (
            f"<Coalescer len={len(self)} cap={self.cap_deltas}"
            f" dropped={self.dropped_total} dirty={self.dirty}>"
        )

    @property
    def room_deltas(self) -> int:
        """How many deltas of new uids fit before one is dropped."""
        return self.cap_deltas - len(self._queue)

    def push(self, deltas: Iterable[Delta]) -> int:
        """Queue each delta; returns how many older ones were dropped to make room."""
        queue = self._queue
        dropped = 0
        for delta in deltas:
            queued = queue.get(delta.uid)
            if queued is not None:
                self.folded_total += 1
                delta = self._folded(queued, delta)  # noqa: PLW2901 -- what is queued instead
            elif len(queue) >= self.cap_deltas:
                oldest = queue.pop(next(iter(queue)))
                if self._holder.get(oldest.key) == oldest.uid:
                    del self._holder[oldest.key]
                dropped += 1
            queue[delta.uid] = delta  # a known uid keeps its place in the FIFO
            if delta.kind is DeltaKind.APPLIED:
                self._holder[delta.key] = delta.uid
        if dropped:
            self.dropped_total += dropped
            self.dirty = True
        return dropped

    def _folded(self, queued: Delta, delta: Delta) -> Delta:
        """What stands for both, so that the batch ends as the single deltas would.

        The API server deletes an object before another takes its name, and then the latest
        delta of each uid is all there is to know. A recording may leave that deletion out.
        """
        holds = self._holder.get(delta.key) == delta.uid
        if delta.kind is DeltaKind.APPLIED:
            if not holds:
                # Another uid took the key meanwhile; now this one has it again, so it is later.
                self._queue.pop(delta.uid, None)
            return delta
        if holds and (queued.kind is DeltaKind.APPLIED or queued.clears):
            # It had taken the key from whoever held it before, and then left it empty.
            return replace(delta, clears=True)
        return delta

    def take(self) -> list[Delta]:
        """Everything queued, oldest first; the queue is empty afterwards."""
        batch = list(self._queue.values())
        self._queue.clear()
        self._holder.clear()
        return batch

    def clear(self) -> None:
        """Forget what is queued: a list that is newer replaces it all, and heals any drop."""
        self._queue.clear()
        self._holder.clear()
        self.dirty = False
