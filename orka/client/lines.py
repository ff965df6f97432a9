"""A watch's messages to lines for people: `+ NAMESPACE NAME AGE`, and `-`, `~`, `=`.

`+` came, `-` went, `~` changed, `=` is there (the initial objects, and all of them again after a
gap). An object that was replaced under its name is two lines, `-` and `+`. Columns begin as wide
as the initial objects need and only ever grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orka.client.follow import Output
from orka.proto.messages import (
    Change,
    Diff,
    Fresh,
    Lagged,
    LiteObj,
    Page,
    ServerMessage,
    StateChange,
    Synced,
    Truth,
)
from orka.render.age import age
from orka.render.clean import clean
from orka.render.json import gvk_of
from orka.render.notes import stale_note
from orka.render.table import COLUMN_MAX_CHARS, GAP

__all__ = ["LineWriter"]

NAMESPACE_MIN_CHARS = len("NAMESPACE")
NAME_MIN_CHARS = 24  # of 5000 names seen, most fit; a longer one widens the column once
MARKS = {"ADD": "+", "MOD": "~", "DEL": "-", "REPL": "+"}


class LineWriter:
    """Data lines for stdout; states and gaps for stderr."""

    def __init__(self, *, show_cursor: bool) -> None:
        self._show_cursor = show_cursor
        self._namespaced = True
        self._widths = [NAMESPACE_MIN_CHARS, NAME_MIN_CHARS]
        self._initial: list[LiteObj] = []

    def take(self, message: ServerMessage, received: float) -> Output:
        """See `Writer`."""
        match message:
            case Truth():
                return self._begin(message, received)
            case Page(rows=rows):
                self._initial += rows
                return Output()
            case Synced(cursor=cursor):
                rows, self._initial = self._initial, []
                return self._lines([("=", row, _age(row, received)) for row in rows], cursor)
            case Diff(cursor=cursor):
                return self._lines(_entries(message.changes, received), cursor)
            case StateChange(truth=truth):
                note = stale_note(truth, received) or f"{gvk_of(truth.kind)} is live"
                return Output(notes=[note])
            case Fresh(reason=reason):
                return self._restart(f"fresh: {reason}")
            case Lagged(reason=reason, missed_epochs=missed):
                return self._restart(f"lagged: {reason}, {missed} epochs missed")
            case _:
                return Output()

    def _begin(self, truth: Truth, received: float) -> Output:
        self._namespaced = truth.kind.namespaced
        note = stale_note(truth, received)
        return Output(notes=[note] if note is not None else [])

    def _restart(self, note: str) -> Output:
        self._initial = []
        return Output(notes=[f"{note}; all there is follows, marked ="])

    def _lines(self, entries: Sequence[tuple[str, LiteObj, str]], cursor: str) -> Output:
        cells = [
            (mark, clean(obj.namespace or ""), clean(obj.name), remark)
            for mark, obj, remark in entries
        ]
        self._grow(0, [namespace for _, namespace, _, _ in cells])
        self._grow(1, [name for _, _, name, _ in cells])
        lines = [self._line(*entry) for entry in cells]
        if self._show_cursor:
            lines.append(f"# cursor: {clean(cursor)}\n")
        return Output("".join(lines))

    def _grow(self, column: int, cells: Iterable[str]) -> None:
        widest = max(map(len, cells), default=0)
        self._widths[column] = min(max(self._widths[column], widest), COLUMN_MAX_CHARS)

    def _line(self, mark: str, namespace: str, name: str, remark: str) -> str:
        before = f"{namespace:<{self._widths[0]}}{GAP}" if self._namespaced else ""
        return f"{mark} {before}{name:<{self._widths[1]}}{GAP}{remark}\n"


def _entries(changes: Sequence[Change], now: float) -> list[tuple[str, LiteObj, str]]:
    """Mark, object and what stands last, for each line of a diff."""
    entries = []
    for change in changes:
        inferred = " (inferred)" if change.inferred else ""
        last = _age(change.obj, now) + inferred
        if change.op == "REPL":
            entries.append(("-", change.obj, f"<replaced>{inferred}"))
        entries.append((MARKS[change.op], change.obj, last))
    return entries


def _age(obj: LiteObj, now: float) -> str:
    deleting = " (terminating)" if obj.deletion_ts is not None else ""
    return age(obj.creation_ts, now) + deleting
