"""Answers as text: the same rows that machine clients get, through `orka.render`, in chunks."""

from __future__ import annotations

from collections.abc import Iterable

from orka.daemon.serve.answers import resources_message
from orka.daemon.serve.service import Discovered
from orka.daemon.world.snapshot import Snapshot, View
from orka.proto.messages import Discover, Format, Note, Truth
from orka.render import discover as render_discover
from orka.render import json as render_json
from orka.render import name as render_name
from orka.render import status as render_status
from orka.render import table as render_table
from orka.render.notes import empty_note, stale_note

_OBJECTS = {
    "table": render_table.objects,
    "json": render_json.objects,
    "name": render_name.objects,
}
_DISCOVER = {
    "table": render_discover.table,
    "json": render_discover.json_document,
    "name": render_discover.names,
}


def objects(
    truth: Truth, snapshot: Snapshot, view: View, form: Format, now: float
) -> Iterable[bytes]:
    """The view's objects, as `orkactl ls` prints them."""
    rows = [row for namespace in snapshot.rows(view) for row in namespace]
    return _OBJECTS[form](truth, rows, now)


def notes(truth: Truth, snapshot: Snapshot, view: View, form: Format, now: float) -> list[Note]:
    """What belongs on stderr beside it: no rows, and anything that is not `live`."""
    found = []
    if form == "table" and snapshot.synced and not snapshot.count_in(view):
        found.append(Note(empty_note(truth, view)))
    stale = stale_note(truth, now)
    if stale is not None:
        found.append(Note(stale))
    return found


def discovered(found: Discovered, request: Discover) -> Iterable[bytes]:
    """The served resources, as `orkactl discover` prints them."""
    message = resources_message(found, all_versions=request.all_versions)
    return _DISCOVER[request.format](message)


def failed_parts(found: Discovered) -> list[Note]:
    """One line for each part of discovery that is missing or old."""
    message = resources_message(found, all_versions=True)
    return [Note(line) for line in render_discover.failed_notes(message)]


def status(report: dict[str, object], form: Format, now: float) -> Iterable[bytes]:
    """The daemon's state, as `orkactl status` prints it."""
    if form == "json":
        return render_status.json_document(report)
    return render_status.table(report, now)
