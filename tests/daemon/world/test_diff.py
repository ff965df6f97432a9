"""Transitions merge by composition, and lead a reader from any remembered epoch to now."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.model import Delta, TruthChange
from orka.daemon.world.diff import Entry, Journal, Transition, Transitions, change_of, merge, record
from orka.daemon.world.snapshot import Snapshot, apply_deltas, empty_snapshot
from orka.proto.messages import Change, LiteObj
from tests.support.builders import applied, deleted, lite

A1 = lite("a", uid="one", rv="1")
A2 = lite("a", uid="one", rv="2")
A3 = lite("a", uid="one", rv="3")
B1 = lite("a", uid="two", rv="4")
KEY = ("ns", "a")

Pair = tuple[LiteObj | None, LiteObj | None]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(None, A1), (A1, A2)], Change("ADD", A2)),
        ([(None, A1), (A1, None)], None),
        ([(A1, A2), (A2, None)], Change("DEL", A1)),
        ([(A1, None), (None, A3)], Change("MOD", A3)),
        ([(A1, None), (None, B1)], Change("REPL", B1, old_uid=A1.uid)),
        ([(A1, B1), (B1, None)], Change("DEL", A1)),
        ([(A1, A2), (A2, A1)], None),
    ],
    ids=["add-mod", "add-del", "mod-del", "del-add", "del-add-other", "repl-del", "back"],
)
def test_the_coalescing_table(steps: list[Pair], expected: Change | None) -> None:
    """What a reader is told of two steps it has not seen, row by row."""
    entries = [
        Entry(epoch, "watch", {KEY: Transition(*step, inferred=False)})
        for epoch, step in enumerate(steps, 1)
    ]

    merged = merge(entries, None)

    assert merged.changes == ([expected] if expected else [])
    assert merged.folded == 1


def test_a_single_step_is_not_folded() -> None:
    """Recording a key for the first time merges nothing."""
    transitions: Transitions = {}

    assert not record(transitions, KEY, Transition(None, A1, inferred=False))
    assert change_of(transitions[KEY]) == Change("ADD", A1)


def test_deletes_come_first_and_a_resync_says_so() -> None:
    """A reader frees before it grows, and learns that a list found the changes."""
    other = lite("b")
    entries = [
        Entry(1, "watch", {("ns", "b"): Transition(None, other, inferred=False)}),
        Entry(2, "resync", {KEY: Transition(A1, None, inferred=True)}),
    ]

    merged = merge(entries, None)

    assert [change.op for change in merged.changes] == ["DEL", "ADD"]
    assert merged.changes[0].inferred
    assert merged.cause == "resync"


def test_a_view_never_names_an_object_outside_it() -> None:
    """Changes of other namespaces are not part of a view's diff."""
    entries = [Entry(1, "watch", {KEY: Transition(None, A1, inferred=False)})]

    assert merge(entries, frozenset({"elsewhere"})).changes == []
    assert len(merge(entries, frozenset({"ns"})).changes) == 1


def test_the_journal_knows_what_it_has_forgotten() -> None:
    """Epochs past the bounds, and epochs of the future, cannot be led from."""
    journal = Journal(max_epochs=3)
    for epoch in range(1, 6):
        journal.append(Entry(epoch, "watch", {KEY: Transition(A1, A2, inferred=False)}))

    assert journal.after(1, 5) is None
    assert [entry.epoch for entry in journal.after(2, 5) or ()] == [3, 4, 5]
    assert journal.after(5, 5) == []
    assert journal.after(6, 5) is None
    assert repr(journal) == "<Journal epochs=3 transitions=3>"
    journal.clear()
    assert journal.after(4, 5) is None


def test_the_journal_is_bounded_by_transitions() -> None:
    """One huge batch pushes the older ones out."""
    journal = Journal(max_transitions=3)
    small: Transitions = {KEY: Transition(A1, A2, inferred=False)}
    journal.append(Entry(1, "watch", small))
    journal.append(Entry(2, "watch", {("ns", str(i)): small[KEY] for i in range(3)}))

    assert journal.after(0, 2) is None
    assert journal.after(1, 2) is not None


objects = st.builds(
    lambda name, ns, uid, rv: lite(name, namespace=ns, uid=f"{ns}/{name}/{uid}", rv=str(rv)),
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.integers(0, 1),
    st.integers(1, 4),
)
histories = st.lists(
    st.lists(st.builds(lambda o, gone: (deleted if gone else applied)(o), objects, st.booleans())),
    min_size=1,
    max_size=8,
)
views = st.sampled_from([None, frozenset("x"), frozenset("xy"), frozenset("z")])


def shown(snapshot: Snapshot, view: frozenset[str] | None) -> dict[tuple[str | None, str], LiteObj]:
    """What a reader of the view has."""
    return {(row.namespace, row.name): row for rows in snapshot.rows(view) for row in rows}


@given(histories, views, st.data())
def test_applying_the_diff_to_the_old_view_gives_the_new_one(
    history: list[list[Delta]], view: frozenset[str] | None, data: st.DataObject
) -> None:
    """From any epoch on; ADD only of absent keys, MOD only of the same uid."""
    snapshots = [empty_snapshot("l", TruthChange("live", ""), 0.0)]
    journal = Journal()
    for batch in history:
        following, transitions = apply_deltas(snapshots[-1], batch)
        if transitions:
            journal.append(Entry(following.epoch, "watch", transitions))
            snapshots.append(following)
    start = data.draw(st.integers(0, len(snapshots) - 1))
    reader = shown(snapshots[start], view)

    entries = journal.after(start, len(snapshots) - 1)

    assert entries is not None
    for change in merge(entries, view).changes:
        key = (change.obj.namespace, change.obj.name)
        match change.op:
            case "ADD":
                assert key not in reader
            case "MOD":
                assert reader[key].uid == change.obj.uid
            case "REPL":
                assert reader[key].uid == change.old_uid != change.obj.uid
            case "DEL":
                assert reader[key] == change.obj
        if change.op == "DEL":
            del reader[key]
        else:
            reader[key] = change.obj
    assert reader == shown(snapshots[-1], view)
