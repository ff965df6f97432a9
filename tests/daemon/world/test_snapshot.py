"""Deltas and lists turn one immutable snapshot into the next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.model import Delta, TruthChange
from orka.daemon.world.snapshot import Snapshot, apply_deltas, apply_list, empty_snapshot
from orka.proto.messages import LiteObj
from tests.support.builders import applied, deleted, lite

EMPTY = empty_snapshot("l1", TruthChange("live", ""), 0.0)


def rows(snapshot: Snapshot) -> list[LiteObj]:
    """Every row, in order."""
    return [row for namespace in snapshot.rows(None) for row in namespace]


def test_epoch_grows_by_one_per_batch_that_changes_something() -> None:
    """A batch is one epoch however many deltas it has; a batch without news is none."""
    first, _ = apply_deltas(EMPTY, [applied(lite("a")), applied(lite("b"))])
    again, transitions = apply_deltas(first, [applied(lite("a"))])

    assert first.epoch == 1
    assert again is first
    assert transitions == {}


def test_p2_a_delete_removes_only_the_uid_it_names() -> None:
    """A late delete of an object's predecessor leaves the new object alone (promise P2)."""
    old, new = lite("a", uid="old"), lite("a", uid="new", rv="9")
    snapshot, _ = apply_deltas(EMPTY, [applied(new)])

    after, transitions = apply_deltas(snapshot, [deleted(old)])

    assert after is snapshot
    assert transitions == {}


def test_a_delete_of_an_unknown_key_does_nothing() -> None:
    """The API server may repeat events after a resume."""
    after, _ = apply_deltas(EMPTY, [deleted(lite("ghost"))])

    assert after is EMPTY


def test_an_older_snapshot_is_not_changed_by_a_newer_one() -> None:
    """Readers hold immutable values."""
    first, _ = apply_deltas(EMPTY, [applied(lite("a"))])
    second, _ = apply_deltas(first, [deleted(lite("a")), applied(lite("b"))])

    assert [row.name for row in rows(first)] == ["a"]
    assert [row.name for row in rows(second)] == ["b"]
    assert second.count == 1


def test_a_list_infers_deletes_and_keeps_what_did_not_change() -> None:
    """What it does not hold is gone, marked inferred; what is unchanged stays the same object."""
    kept, lost = lite("kept"), lite("lost")
    snapshot, _ = apply_deltas(EMPTY, [applied(kept), applied(lost)])

    after, transitions = apply_list(snapshot, [lite("kept")])

    assert list(transitions) == [("ns", "lost")]
    assert transitions["ns", "lost"].inferred
    assert after.get(("ns", "kept")) is kept
    assert after.count == 1


def test_a_list_that_replaces_one_and_drops_another_of_the_same_number() -> None:
    """As many new objects as lost ones must not hide the lost ones."""
    snapshot, _ = apply_deltas(EMPTY, [applied(lite("a")), applied(lite("b"))])

    after, transitions = apply_list(snapshot, [lite("b"), lite("c")])

    assert [row.name for row in rows(after)] == ["b", "c"]
    assert set(transitions) == {("ns", "a"), ("ns", "c")}


def test_a_list_that_says_the_same_is_no_change() -> None:
    """A resync prints nothing."""
    snapshot, _ = apply_deltas(EMPTY, [applied(lite("a"))])

    after, transitions = apply_list(snapshot, [lite("a")])

    assert after is snapshot
    assert transitions == {}


def test_rows_come_by_namespace_then_name() -> None:
    """The order of `ls`."""
    snapshot, _ = apply_list(
        EMPTY, [lite("b", namespace="y"), lite("z", namespace="x"), lite("a", namespace="y")]
    )

    assert [(row.namespace, row.name) for row in rows(snapshot)] == [
        ("x", "z"),
        ("y", "a"),
        ("y", "b"),
    ]


def test_pages_hold_the_same_rows_in_the_same_order() -> None:
    """Pages cut the rows of several namespaces into equal parts."""
    listed = [lite(f"n{i:02}", namespace=f"ns{i % 3}") for i in range(25)]
    snapshot, _ = apply_list(EMPTY, listed)

    pages = list(snapshot.pages(None, 10))

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [row for page in pages for row in page] == rows(snapshot)


def test_a_view_shows_its_namespaces_only() -> None:
    """A view of namespaces, one of which has no objects."""
    snapshot, _ = apply_list(EMPTY, [lite("a", namespace="x"), lite("b", namespace="y")])
    view = frozenset({"y", "none"})

    assert [row.name for page in snapshot.rows(view) for row in page] == ["b"]
    assert snapshot.count_in(view) == 1
    assert snapshot.count_in(None) == 2


def test_cluster_scoped_objects_have_no_namespace() -> None:
    """None is a namespace of its own."""
    node = lite("node-1", namespace=None)
    snapshot, _ = apply_list(EMPTY, [node])

    assert snapshot.get((None, "node-1")) == node
    assert repr(snapshot) == "<Snapshot l1:1@ objects=1 live>"


names = st.sampled_from(["a", "b", "c"])
namespaces = st.sampled_from(["x", "y", None])
objects = st.builds(
    lambda name, ns, uid, rv: lite(name, namespace=ns, uid=f"{ns}/{name}/{uid}", rv=str(rv)),
    names,
    namespaces,
    st.integers(0, 1),
    st.integers(1, 5),
)
batches = st.lists(
    st.one_of(
        st.lists(
            st.builds(lambda o, gone: (deleted if gone else applied)(o), objects, st.booleans())
        ),
        st.lists(objects, unique_by=lambda o: (o.namespace, o.name)).map(tuple),
    ),
    max_size=8,
)


@given(batches)
def test_any_mix_of_deltas_and_lists_equals_a_plain_dict(
    steps: list[list[Delta] | tuple[LiteObj, ...]],
) -> None:
    """A dict written down without persistent maps ends with the same objects and count."""
    snapshot = EMPTY
    model: dict[tuple[str | None, str], LiteObj] = {}
    for step in steps:
        if isinstance(step, tuple):
            snapshot, _ = apply_list(snapshot, step)
            model = {(o.namespace, o.name): o for o in step}
            continue
        snapshot, _ = apply_deltas(snapshot, step)
        for delta in step:
            current = model.get(delta.key)
            if delta.obj is not None and delta.kind.value == "Applied":
                model[delta.key] = delta.obj
            elif current is not None and current.uid == delta.uid:
                del model[delta.key]

    assert {(row.namespace, row.name): row for row in rows(snapshot)} == model
    assert snapshot.count == len(model)
