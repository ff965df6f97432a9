"""Samples of each row to the table that `scripts/bench` prints, or to its JSON; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Unit = Literal["s", "B"]

HEADER = ("WHAT", "ORKA", "PEER", "RATIO", "MIN", "MAX", "GOAL", "")


@dataclass(frozen=True)
class MaxRatio:
    """The goal is orka's value over its peer's."""

    limit: float


@dataclass(frozen=True)
class MaxValue:
    """The goal is orka's own value, in the row's unit."""

    limit: float


@dataclass(frozen=True)
class Row:
    """One line of the table; without a goal it is there for orientation."""

    name: str
    what: str
    unit: Unit
    peer: str = ""
    goal: MaxRatio | MaxValue | None = None


@dataclass(frozen=True)
class Sample:
    """What one run gave, orka and its peer in turn; None where no peer is named."""

    orka: float
    peer: float | None = None


@dataclass(frozen=True)
class Spread:
    """The median and what it lies between."""

    median: float
    min: float
    max: float


@dataclass(frozen=True)
class Result:
    """A row with its samples, at least one."""

    row: Row
    samples: Sequence[Sample]

    @property
    def orka(self) -> Spread:
        """Orka's own values."""
        return spread([sample.orka for sample in self.samples])

    @property
    def peer(self) -> Spread | None:
        """The peer's values."""
        values = [sample.peer for sample in self.samples if sample.peer is not None]
        return spread(values) if values else None

    @property
    def ratio(self) -> Spread | None:
        """Orka over peer, run by run: what both suffered alike cancels out."""
        ratios = [sample.orka / sample.peer for sample in self.samples if sample.peer]
        return spread(ratios) if ratios else None

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the goal; None where there is none."""
        match self.row.goal:
            case MaxRatio(limit):
                return self.ratio is not None and self.ratio.median <= limit
            case MaxValue(limit):
                return self.orka.median <= limit
            case None:
                return None


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(median(values), min(values), max(values))


def table(results: Sequence[Result]) -> str:
    """Aligned columns; MIN and MAX are of the ratio, or of orka's value where no peer is named."""
    rows = [HEADER, *(_cells(result) for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        + "\n"
        for row in rows
    )


def _cells(result: Result) -> tuple[str, ...]:
    row, ratio = result.row, result.ratio
    show = _SHOW[row.unit]
    if result.peer is None or ratio is None:
        low, high = show(result.orka.min), show(result.orka.max)
        peer = middle = "-"
    else:
        low, high, middle = _ratio(ratio.min), _ratio(ratio.max), _ratio(ratio.median)
        peer = f"{show(result.peer.median)} {row.peer}"
    verdict = {True: "met", False: "MISSED", None: ""}[result.met]
    return (row.what, show(result.orka.median), peer, middle, low, high, _goal(row, show), verdict)


def _goal(row: Row, show: Callable[[float], str]) -> str:
    match row.goal:
        case MaxRatio(limit):
            return f"<= {_ratio(limit)}"
        case MaxValue(limit):
            return f"<= {show(limit)}"
        case None:
            return "-"


def _ratio(value: float) -> str:
    return f"{value:.3g}x"


_SHOW: dict[Unit, Callable[[float], str]] = {
    "s": lambda seconds: f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.2f} s",
    "B": lambda size: f"{size / 1e6:.1f} MB",
}


def document(results: Sequence[Result], machine: dict[str, object]) -> dict[str, object]:
    """The same as JSON values, with every sample; seconds, bytes and ratios."""
    return {"machine": machine, "rows": [_row_document(result) for result in results]}


def _row_document(result: Result) -> dict[str, object]:
    row = result.row
    return {
        "name": row.name,
        "what": row.what,
        "unit": row.unit,
        "peer_name": row.peer or None,
        "orka": _spread_document(result.orka),
        "peer": _spread_document(result.peer),
        "ratio": _spread_document(result.ratio),
        "goal": _goal_document(row.goal),
        "met": result.met,
        "samples": [[sample.orka, sample.peer] for sample in result.samples],
    }


def _goal_document(goal: MaxRatio | MaxValue | None) -> dict[str, object] | None:
    if goal is None:
        return None
    return {"of": "ratio" if isinstance(goal, MaxRatio) else "orka", "max": goal.limit}


def _spread_document(found: Spread | None) -> dict[str, float] | None:
    return None if found is None else {"median": found.median, "min": found.min, "max": found.max}
