"""A world gathers what its source pushes into batches, and publishes each as one epoch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from orka.daemon.model import ResourceVersion, TruthChange
from orka.daemon.world.diff import Journal
from orka.daemon.world.ingest import (
    CEILING_SECONDS,
    QUIET_SECONDS,
    World,
    batch_due,
)
from orka.daemon.world.snapshot import Snapshot
from tests.support.builders import applied, deleted, lite
from tests.support.fakes import RecordingCounters, TrioClock


def rv(text: str) -> ResourceVersion:
    """An opaque token."""
    return ResourceVersion(text)


@asynccontextmanager
async def running(queue_cap: int = 100) -> AsyncIterator[tuple[World, RecordingCounters]]:
    """A world whose ingest loop runs for as long as the context lasts."""
    counters = RecordingCounters()
    world = World(
        name="things",
        lineage="l1",
        queue_cap=queue_cap,
        journal=Journal(),
        clock=TrioClock(),
        counters=counters,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.run)
        yield world, counters
        nursery.cancel_scope.cancel()


async def newer(world: World, than: int) -> tuple[Snapshot, int, float]:
    """The next snapshot, its version, and when it came."""
    snapshot, version = await world.latest.wait_newer(than)
    return snapshot, version, trio.current_time()


async def test_the_first_change_after_a_quiet_spell_is_applied_at_once(
    autojump_clock: MockClock,
) -> None:
    """Nobody waits for a batch that consists of one change."""
    async with running() as (world, _):
        await trio.sleep(1)
        began = trio.current_time()
        world.push([applied(lite("a"))], rv("5"))
        snapshot, _, at = await newer(world, 1)

    assert at == began
    assert (snapshot.epoch, snapshot.resource_version) == (1, "5")


async def test_a_burst_is_gathered_until_it_pauses(autojump_clock: MockClock) -> None:
    """Changes closer together than the quiet period become one epoch."""
    async with running() as (world, _):
        world.push([applied(lite("first"))], rv("1"))
        _, version, _ = await newer(world, 1)
        for number in range(4):
            await trio.sleep(QUIET_SECONDS / 2)
            world.push([applied(lite(f"n{number}"))], rv(str(number)))
        began = trio.current_time()
        snapshot, _, at = await newer(world, version)

    assert (snapshot.epoch, snapshot.count) == (2, 5)
    assert at - began == pytest.approx(QUIET_SECONDS)


async def test_p4_a_burst_that_never_pauses_is_applied_by_the_ceiling(
    autojump_clock: MockClock,
) -> None:
    """A snapshot is at most 50 ms behind the first change of its batch, however busy the kind."""
    async with running() as (world, counters):
        world.push([applied(lite("first"))], rv("1"))
        _, version, _ = await newer(world, 1)
        began: list[float] = []
        ended: list[float] = []

        async def busy() -> None:
            number = 0
            while True:
                await trio.sleep(QUIET_SECONDS / 5)
                if not began:
                    began.append(trio.current_time())
                world.push([applied(lite(f"n{number % 7}", rv=str(number)))], rv(str(number)))
                number += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(busy)
            _, _, at = await newer(world, version)
            ended.append(at)
            nursery.cancel_scope.cancel()

    assert ended[0] - began[0] == pytest.approx(CEILING_SECONDS, abs=QUIET_SECONDS / 5)
    assert max(counters.observed["ingest_lag_seconds"]) <= CEILING_SECONDS + 1e-9


@given(
    st.floats(0, 10),
    st.floats(0, 0.2),
    st.floats(0, 10),
)
def test_a_batch_is_never_due_later_than_the_ceiling(
    first: float, grown: float, applied_at: float
) -> None:
    """Nor before its first change, nor before its last one unless the ceiling says so."""
    last = first + grown
    due = batch_due(first, last, applied_at)

    assert first <= due <= first + CEILING_SECONDS


async def test_p2_a_list_is_a_barrier_for_what_was_queued_before_it(
    autojump_clock: MockClock,
) -> None:
    """An object that was queued, then deleted unseen, then not in the list, never shows up."""
    async with running() as (world, _):
        world.replace([lite("kept")], rv("1"))
        _, version, _ = await newer(world, 1)
        world.push([applied(lite("ghost"))], rv("2"))
        world.replace([lite("kept")], rv("3"))
        world.push([applied(lite("after"))], rv("4"))
        snapshot, _, _ = await newer(world, version)
        await wait_all_tasks_blocked()
        snapshot = world.latest.value

    assert [row.name for rows in snapshot.rows(None) for row in rows] == ["after", "kept"]
    assert snapshot.resource_version == "4"


async def test_an_empty_list_synchronises(autojump_clock: MockClock) -> None:
    """Empty and unsynced are told apart."""
    async with running() as (world, _):
        assert not world.latest.value.synced
        world.replace([], rv("7"))
        snapshot, _, _ = await newer(world, 1)

    assert snapshot.synced
    assert (snapshot.count, snapshot.epoch, snapshot.resource_version) == (0, 0, "7")


async def test_p4_a_drop_is_counted_and_the_version_stands_still_until_a_list_heals_it(
    autojump_clock: MockClock,
) -> None:
    """After a drop the cursor must not claim what was lost; the list that follows does."""
    async with running(queue_cap=2) as (world, counters):
        world.replace([lite("a")], rv("1"))
        await newer(world, 1)
        dropped = world.push([applied(lite(name)) for name in "xyz"], rv("9"))
        await trio.sleep(1)
        dirty = world.latest.value
        world.push([applied(lite("w"))], rv("10"))
        await trio.sleep(1)
        still_dirty = world.latest.value
        world.replace([lite("a"), lite("x"), lite("y"), lite("z")], rv("11"))
        await wait_all_tasks_blocked()
        healed = world.latest.value

    assert dropped == 1
    assert counters.counts["coalescer_dropped_total"] == 1
    assert (dirty.resource_version, still_dirty.resource_version) == ("1", "1")
    assert healed.resource_version == "11"
    assert healed.count == 4
    assert counters.counts["relist_corrections_total"] == 2  # x was lost, w is not listed


async def test_a_bookmark_moves_the_version_and_wakes_nobody(autojump_clock: MockClock) -> None:
    """A cursor taken after a bookmark resumes from it; readers have nothing to be told."""
    async with running() as (world, _):
        world.replace([lite("a")], rv("1"))
        _, version, _ = await newer(world, 1)
        world.push([], rv("50"))
        await trio.sleep(1)

        assert world.latest.version == version
        assert world.latest.value.resource_version == "50"


async def test_truth_is_published_in_order_with_the_data(autojump_clock: MockClock) -> None:
    """A reader that is told of the state sees at least the data that came before it."""
    async with running() as (world, _):
        world.replace([lite("a")], rv("1"))
        world.truth(TruthChange("live", "watching"))
        await wait_all_tasks_blocked()
        version = world.latest.version
        world.push([applied(lite("b"))], rv("2"))
        world.truth(TruthChange("stale", "connection reset"))
        await trio.sleep(5)
        snapshot = world.latest.value
        repeated = world.latest.version
        world.truth(TruthChange("stale", "connection reset"))
        await wait_all_tasks_blocked()

        assert (snapshot.truth.state, snapshot.count) == ("stale", 2)
        assert snapshot.truth_since == TrioClock.EPOCH
        assert repeated > version
        assert world.latest.version == repeated


async def test_the_same_state_for_another_reason_keeps_its_since(autojump_clock: MockClock) -> None:
    """`since` says when the state began, not when its reason last changed."""
    async with running() as (world, _):
        world.truth(TruthChange("stale", "connection reset"))
        await trio.sleep(10)
        world.truth(TruthChange("stale", "connection refused"))
        await wait_all_tasks_blocked()

        assert world.latest.value.truth.reason == "connection refused"
        assert world.latest.value.truth_since == TrioClock.EPOCH


async def test_the_age_counts_from_the_last_proof_of_life(autojump_clock: MockClock) -> None:
    """None before the first."""
    async with running() as (world, _):
        assert world.age_seconds() is None
        world.alive()
        await trio.sleep(12)

        assert world.age_seconds() == 12


async def test_what_is_queued_at_the_end_is_applied(autojump_clock: MockClock) -> None:
    """Cancelling ingest flushes a final snapshot."""
    async with running() as (world, _):
        world.replace([lite("a")], rv("1"))
        world.push([deleted(lite("a")), applied(lite("b"))], rv("2"))

    assert world.latest.value.count == 1
    assert world.latest.value.get(("ns", "b")) is not None


async def test_a_recorded_source_may_wait_until_all_is_applied(autojump_clock: MockClock) -> None:
    """A socket must be read; a file can wait, and so loses nothing."""
    async with running(queue_cap=2) as (world, _):
        world.replace([], rv(""))
        for pair in range(10):
            world.push([applied(lite(f"{pair}-{i}")) for i in range(2)], rv(str(pair)))
            await world.wait_applied()

        assert world.latest.value.count == 20
        assert world.coalescer.dropped_total == 0
        assert world.latest.value.epoch == 10


async def test_an_object_in_quarantine_is_counted_and_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest of the kind lives on (promise P7)."""
    async with running() as (world, counters):
        world.quarantined(("ns", "bad"), "no metadata")
        world.progress(17)

    assert world.quarantined_total == 1
    assert counters.counts["quarantined_total"] == 1
    assert "no metadata" in caplog.text
    assert world.progress_objects == 17
    assert repr(world).startswith("<World things <Snapshot l1:0@ objects=0 syncing>")
