"""Objects to the table `NAMESPACE NAME AGE`, and any cells to aligned columns.

The widths come from all rows before the first is written, so that columns never drift between
chunks. Three spaces between columns, as kubectl has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orka.render.age import age
from orka.render.chunks import in_chunks
from orka.render.clean import clean_all

if TYPE_CHECKING:
    from orka.proto.messages import LiteObj, Truth

__all__ = ["COLUMN_MAX_CHARS", "GAP", "ages", "aligned", "objects"]

GAP = "   "
COLUMN_MAX_CHARS = 253  # the longest legal name; a longer cell sticks out instead of padding all


def objects(truth: Truth, rows: Sequence[LiteObj], now: float) -> Iterator[bytes]:
    """The rows in the order given, under a header; nothing at all when there are none.

    A namespaced kind always has its NAMESPACE column, also when one namespace is shown:
    scripts then find a name in the same column whatever was asked.
    """
    if not rows:
        return iter(())
    columns = [
        ["NAME", *clean_all([row.name for row in rows])],
        ["AGE", *ages([row.creation_ts for row in rows], now)],
    ]
    if truth.kind.namespaced:
        columns.insert(0, ["NAMESPACE", *clean_all([row.namespace or "" for row in rows])])
    return in_chunks(aligned(columns, GAP))


def ages(creation_times: Sequence[int | None], now: float) -> list[str]:
    """AGE of each; objects made in the same second, of which a cluster has many, cost one."""
    known: dict[int | None, str] = {}
    for creation_ts in creation_times:
        if creation_ts not in known:
            known[creation_ts] = age(creation_ts, now)
    return [known[creation_ts] for creation_ts in creation_times]


def aligned(columns: Sequence[list[str]], gap: str) -> Iterator[str]:
    """Lines of clean cells; each column as wide as its widest cell, the last one unpadded."""
    widths = [min(max(map(len, cells)), COLUMN_MAX_CHARS) for cells in columns[:-1]]
    template = gap.join([*(f"%-{width}s" for width in widths), "%s\n"])
    return (template % cells for cells in zip(*columns, strict=True))
