"""Recorded lines of one kind to its world, as fast as they can be applied and no faster."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from orka.daemon.model import Delta, ResourceVersion, Sink, TruthChange
from orka.daemon.objects import Malformed, decode_delta
from orka.daemon.world.ingest import World

BATCH_MAX_DELTAS = 256  # one epoch each: the same file makes the same epochs every time


class ReplaySource:
    """A `model.DeltaSource` over recorded lines.

    A socket must be read, a file can wait: each batch is applied before the next is pushed, so
    nothing is dropped and the same lines always end in the same snapshot at the same epoch.
    """

    def __init__(self, world: World, lines: Sequence[bytes], origin: str) -> None:
        self._world = world
        self._lines = lines
        self._origin = origin

    async def run(self, sink: Sink) -> None:
        """Feed all lines, then return. A recording is never `live`, and says so."""
        sink.replace([], ResourceVersion(""))
        sink.truth(TruthChange("stale", f"replaying {self._origin}"))
        sink.alive()
        size = min(BATCH_MAX_DELTAS, self._world.coalescer.cap_deltas)
        lines = iter(self._lines)
        while batch := list(islice(lines, size)):
            deltas: list[Delta] = []
            for line in batch:
                delta = decode_delta(line)
                if isinstance(delta, Malformed):
                    sink.quarantined(delta.key, delta.why)
                else:
                    deltas.append(delta)
            last = deltas[-1].obj if deltas else None
            sink.push(deltas, ResourceVersion(last.resource_version) if last else None)
            await self._world.wait_applied()
        sink.truth(TruthChange("stale", f"the recording {self._origin} has ended"))

    def describe(self) -> dict[str, object]:
        """See `model.DeltaSource`."""
        return {"sync_path": "recording", "form": "metadata", "last_failure": None}
