"""`orkactl watch -o json`: one record a line, and a cursor that never loses a change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.client.ndjson import NdjsonWriter
from orka.proto.messages import (
    Change,
    Diff,
    End,
    Error,
    Fresh,
    Lagged,
    Page,
    Progress,
    ServerMessage,
    StateChange,
    Synced,
)
from tests.support.client import Run
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.wire import CURSOR, NEXT_CURSOR, NOW, obj, truth, uid

Record = dict[str, object]

SYNCED = Synced(41, CURSOR)


def records_of(*messages: ServerMessage, since: str | None = None) -> list[Record]:
    """The records of these messages, received at NOW."""
    writer = NdjsonWriter(since)
    lines = "".join(writer.take(message, NOW).stdout for message in messages)
    return [json.loads(line) for line in lines.splitlines()]


def test_every_record_has_version_type_time_and_cursor() -> None:
    """A reader needs no other line to understand one."""
    messages: list[ServerMessage] = [
        truth(),
        Page([obj("a")]),
        SYNCED,
        Diff(41, 42, [Change("ADD", obj("b"))], NEXT_CURSOR),
        StateChange(truth("stale")),
        Fresh("x", CURSOR),
        Lagged("x", 3, CURSOR),
        End(),
    ]
    records = records_of(*messages)

    assert [record["type"] for record in records] == [
        "SYNC",
        "ITEM",
        "SYNCED",
        "ADD",
        "STATE",
        "FRESH",
        "LAGGED",
        "END",
    ]
    for record in records:
        assert list(record)[:4] == ["v", "type", "t", "cursor"]
        assert (record["v"], record["t"]) == (1, "2027-01-15T08:00:00.250Z")


def test_sync_and_state_carry_the_whole_truth() -> None:
    """What a table says in a line on stderr is data here."""
    sync, state = records_of(truth(), StateChange(truth("stale", reason="cut", hint="wait")))

    assert sync["kind"] == "cert-manager.io/v1/Certificate"
    for record, expected in ((sync, "live"), (state, "stale")):
        told = record["truth"]
        assert isinstance(told, dict)
        assert told["state"] == expected
        assert told["since"] == "2027-01-15T07:00:00.250Z"
        assert told["cursor"] == CURSOR


def test_changes_carry_object_and_diff() -> None:
    """Identity, times, whether it was inferred, and which epochs the diff leads from and to."""
    change = Change("REPL", obj("web", number=2, deletion_ts=int(NOW)), True, uid(1))
    _, _, record = records_of(truth(), SYNCED, Diff(41, 46, [change], NEXT_CURSOR, 3, "resync"))

    assert {name: record[name] for name in list(record)[4:]} == {
        "namespace": "default",
        "name": "web",
        "uid": "8c1f6a52-0d3b-4e57-9a60-000000000002",
        "creationTimestamp": "2027-01-15T07:54:48Z",
        "resourceVersion": "1839",
        "deletionTimestamp": "2027-01-15T08:00:00Z",
        "old_uid": "8c1f6a52-0d3b-4e57-9a60-000000000001",
        "inferred": True,
        "cause": "resync",
        "from_epoch": 41,
        "to_epoch": 46,
        "folded": 3,
    }


@pytest.mark.parametrize("op", ["ADD", "MOD", "DEL", "REPL"])
def test_records_are_named_as_their_changes(op: str) -> None:
    """The record's type is the change's."""
    change = Change(op, obj("web"))  # type: ignore[arg-type]
    assert records_of(Diff(41, 42, [change], NEXT_CURSOR))[0]["type"] == op


def test_no_cursor_before_the_state_is_whole() -> None:
    """Items of a first or repeated snapshot cannot be resumed from."""
    page = Page([obj("a"), obj("b")])
    first = records_of(truth(), page, SYNCED)
    resumed = records_of(truth(), Fresh("unknown", NEXT_CURSOR), page, SYNCED, since="old")
    lagged = records_of(truth(), SYNCED, Lagged("slow", 70, CURSOR), page, SYNCED)

    assert [record["cursor"] for record in first] == [None, None, None, CURSOR]
    assert [record["cursor"] for record in resumed] == ["old", None, None, None, CURSOR]
    assert [record["cursor"] for record in lagged] == [None, CURSOR, None, None, None, CURSOR]


@given(st.lists(st.integers(min_value=0, max_value=4), max_size=6), st.data())
def test_resuming_from_any_record_repeats_at_most_one_diff_and_loses_none(
    sizes: list[int], data: st.DataObject
) -> None:
    """The reader's rule: keep the last cursor that is not null, ask for what comes after it."""
    diffs: list[ServerMessage] = [
        Diff(n, n + 1, [Change("ADD", obj(f"{n}-{i}")) for i in range(size)], f"c{n + 1}")
        for n, size in enumerate(sizes)
    ]
    records = records_of(truth(), Synced(0, "c0"), *diffs)
    read = data.draw(st.integers(min_value=2, max_value=len(records)))
    seen = {record["name"] for record in records[:read] if "name" in record}
    cursor = records[read - 1]["cursor"]
    assert isinstance(cursor, str)
    epoch = int(cursor[1:])
    again = records_of(truth(), Synced(epoch, cursor), *diffs[epoch:], since=cursor)
    repeated = [record["name"] for record in again if "name" in record]
    all_names = {record["name"] for record in records if "name" in record}

    assert seen | set(repeated) == all_names
    assert len(seen & set(repeated)) <= max(sizes, default=0)


def test_an_end_has_its_code(socket_path: Path, orkactl_here: Run) -> None:
    """Every stream ends with END; a failure also in words on stderr."""
    error = Error("gone", "the kind is no longer served", 6, "see discover")
    with ScriptedDaemon(socket_path, [truth(), SYNCED, error]):
        done = orkactl_here("watch", "cert", "-o", "json")
    last = json.loads(done.stdout.splitlines()[-1])

    assert done.status == 6
    assert done.stderr.startswith("orkactl: the kind is no longer served\n")
    assert {name: last[name] for name in list(last)[3:]} == {
        "cursor": CURSOR,
        "code": "gone",
        "exit_code": 6,
        "message": "the kind is no longer served",
        "hint": "see discover",
    }


def test_a_cut_stream_ends_with_end_too(socket_path: Path, orkactl: Run) -> None:
    """The client writes the record that the daemon could not."""
    with ScriptedDaemon(socket_path, [truth(), SYNCED]):
        done = orkactl("watch", "cert", "-o", "json")
    last = json.loads(done.stdout.splitlines()[-1])

    assert done.status == 8
    assert (last["type"], last["code"], last["exit_code"]) == ("END", "lost", 8)
    assert last["cursor"] == CURSOR


def test_a_normal_end_has_no_hint_and_other_messages_no_record() -> None:
    """What is not for a watch leaves no line."""
    (record,) = records_of(Progress(5), End("ok", 0, ""))

    assert (record["code"], record["hint"]) == ("ok", None)
