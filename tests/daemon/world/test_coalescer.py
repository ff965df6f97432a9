"""The coalescer keeps the latest delta per uid, in order, within its cap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.model import Delta, TruthChange
from orka.daemon.world.coalescer import Coalescer
from orka.daemon.world.snapshot import apply_deltas, empty_snapshot
from tests.support.builders import applied, deleted, lite


def test_a_known_uid_is_replaced_in_place() -> None:
    """A newer delta of a queued uid takes its place in the queue and is counted as folded."""
    coalescer = Coalescer(10)
    first, second = lite("a", rv="1"), lite("b", rv="2")
    coalescer.push([applied(first), applied(second)])

    newer = lite("a", rv="3")
    dropped = coalescer.push([applied(newer)])

    assert dropped == 0
    assert coalescer.take() == [applied(newer), applied(second)]
    assert coalescer.folded_total == 1


def test_over_the_cap_the_oldest_is_dropped_and_the_kind_is_dirty() -> None:
    """A full queue drops its oldest delta, counts it and stays dirty until it is cleared."""
    coalescer = Coalescer(2)

    dropped = coalescer.push([applied(lite(name)) for name in "abc"])

    assert dropped == 1
    assert coalescer.dropped_total == 1
    assert [delta.key[1] for delta in coalescer.take()] == ["b", "c"]
    assert coalescer.dirty
    coalescer.clear()
    assert not coalescer.dirty


def test_a_cap_below_one_is_refused() -> None:
    """A coalescer that could hold nothing would drop everything."""
    with pytest.raises(ValueError, match="at least 1"):
        Coalescer(0)


def test_its_repr_says_how_full_it_is() -> None:
    """One line for logs."""
    coalescer = Coalescer(3)
    coalescer.push([applied(lite("a"))])

    assert repr(coalescer) == "<Coalescer len=1 cap=3 dropped=0 dirty=False>"
    assert coalescer.room_deltas == 2


deltas = st.lists(
    st.builds(
        lambda name, rv, gone: (deleted if gone else applied)(lite(name, rv=str(rv))),
        st.sampled_from("abcdef"),
        st.integers(1, 50),
        st.booleans(),
    ),
    max_size=40,
)


@given(deltas, st.integers(1, 8))
def test_it_is_bounded_and_loses_only_what_it_counts(pushed: list[Delta], cap: int) -> None:
    """Each push is queued, folded or counted as dropped; the last one is always kept."""
    coalescer = Coalescer(cap)

    for delta in pushed:
        coalescer.push([delta])
        assert len(coalescer) <= cap

    queued = coalescer.take()
    assert len(queued) + coalescer.folded_total + coalescer.dropped_total == len(pushed)
    assert coalescer.dirty == (coalescer.dropped_total > 0)
    latest = {delta.uid: (delta.kind, delta.obj) for delta in pushed}
    assert all(latest[delta.uid] == (delta.kind, delta.obj) for delta in queued)
    if pushed:
        assert pushed[-1].uid in {delta.uid for delta in queued}


uids_under_one_key = st.lists(
    st.builds(
        lambda name, uid, rv, gone: (deleted if gone else applied)(
            lite(name, uid=f"{name}/{uid}", rv=str(rv))
        ),
        st.sampled_from("ab"),
        st.integers(0, 1),
        st.integers(1, 9),
        st.booleans(),
    ),
    max_size=20,
)


@given(uids_under_one_key)
def test_coalesced_and_uncoalesced_deltas_end_in_the_same_world(pushed: list[Delta]) -> None:
    """Also where two uids take turns under one key."""
    empty = empty_snapshot("l", TruthChange("live", ""), 0.0)
    coalescer = Coalescer(100)
    coalescer.push(pushed)

    at_once, _ = apply_deltas(empty, coalescer.take())
    one_by_one = empty
    for delta in pushed:
        one_by_one, _ = apply_deltas(one_by_one, [delta])

    assert list(at_once.rows(None)) == list(one_by_one.rows(None))
