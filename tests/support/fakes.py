"""Fakes that product code takes by its protocols: clocks and counters."""

from __future__ import annotations

from collections import Counter

import trio


class TrioClock:
    """A `model.Clock` whose both hands follow trio's (mock) clock."""

    EPOCH = 1_750_000_000.0  # an arbitrary wall time at trio's zero

    def wall(self) -> float:
        """Seconds since 1970."""
        return self.EPOCH + trio.current_time()

    def monotonic(self) -> float:
        """Seconds on trio's clock."""
        return trio.current_time()


class StoppedClock:
    """A `model.Clock` that a sync test moves by hand."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def wall(self) -> float:
        """Seconds since 1970."""
        return TrioClock.EPOCH + self.now

    def monotonic(self) -> float:
        """Seconds since the test began."""
        return self.now


class RecordingCounters:
    """A `model.KindCounters` that remembers; names with labels are `name{value}`."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.gauges: dict[str, float] = {}
        self.observed: dict[str, list[float]] = {}

    def inc(self, name: str, by: int = 1, **labels: str) -> None:
        """Count under the name, and under the name with its labels."""
        self.counts[name] += by
        if labels:
            self.counts[f"{name}{{{','.join(labels.values())}}}"] += by

    def set(self, name: str, value: float) -> None:
        """Remember the last value."""
        self.gauges[name] = value

    def observe(self, name: str, value: float) -> None:
        """Remember every value."""
        self.observed.setdefault(name, []).append(value)
