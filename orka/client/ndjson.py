"""A watch's messages to NDJSON records: SYNC ITEM SYNCED ADD MOD DEL REPL STATE FRESH LAGGED END.

Each record's `cursor` names the place that its reader has reached *with* this record: null while
it has no complete state, and inside a diff the place before the diff until its last record. So a
reader that goes on from the cursor of any record repeats at most one diff and never misses one.
"""

from __future__ import annotations

from orka.client.follow import Output
from orka.proto.messages import (
    Change,
    Diff,
    End,
    Error,
    Fresh,
    Lagged,
    Page,
    ServerMessage,
    StateChange,
    Synced,
    Truth,
)
from orka.render.json import (
    SCHEMA_VERSION,
    dumps,
    gvk_of,
    object_document,
    truth_document,
    uid_text,
)
from orka.render.stamp import stamp

__all__ = ["NdjsonWriter"]

Record = dict[str, object]


class NdjsonWriter:
    """One record a line, each complete in itself."""

    def __init__(self, since: str | None) -> None:
        self._cursor = since

    def take(self, message: ServerMessage, received: float) -> Output:
        """The records of one message; errors are told on stderr by the caller as well."""
        t = stamp(received)
        lines = [
            dumps({"v": SCHEMA_VERSION, "type": kind, "t": t, "cursor": cursor, **record}) + "\n"
            for kind, cursor, record in self._records(message)
        ]
        return Output("".join(lines))

    def _records(self, message: ServerMessage) -> list[tuple[str, str | None, Record]]:
        match message:
            case Truth():
                about: Record = {"kind": gvk_of(message.kind), "truth": truth_document(message)}
                return [("SYNC", self._cursor, about)]
            case Page(rows=rows):
                return [("ITEM", self._cursor, object_document(row)) for row in rows]
            case Synced(epoch=epoch, cursor=cursor):
                self._cursor = cursor
                return [("SYNCED", self._cursor, {"epoch": epoch})]
            case Diff():
                return self._diff(message)
            case StateChange(truth=truth):
                return [("STATE", self._cursor, {"truth": truth_document(truth)})]
            case Fresh(reason=reason):
                self._cursor = None
                return [("FRESH", None, {"reason": reason})]
            case Lagged(reason=reason, missed_epochs=missed):
                self._cursor = None
                return [("LAGGED", None, {"reason": reason, "missed_epochs": missed})]
            case Error() | End():
                return [("END", self._cursor, _end(message))]
            case _:
                return []

    def _diff(self, diff: Diff) -> list[tuple[str, str | None, Record]]:
        before, self._cursor = self._cursor, diff.cursor
        last = len(diff.changes) - 1
        return [
            (change.op, diff.cursor if index == last else before, _change(change, diff))
            for index, change in enumerate(diff.changes)
        ]


def _change(change: Change, diff: Diff) -> Record:
    record = object_document(change.obj)
    if change.old_uid is not None:
        record["old_uid"] = uid_text(change.old_uid)
    record["inferred"] = change.inferred
    record["cause"] = diff.cause
    record["from_epoch"] = diff.from_epoch
    record["to_epoch"] = diff.to_epoch
    record["folded"] = diff.folded
    return record


def _end(message: Error | End) -> Record:
    return {
        "code": message.code,
        "exit_code": message.exit_code,
        "message": message.message,
        "hint": message.hint if isinstance(message, Error) else None,
    }
