"""Watches that end or break are taken up where they were, without a list."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.errors import FailureKind
from tests.daemon.kube.fake_api import Body, FakeApi, bookmark, failing, line, partial
from tests.daemon.kube.harness import Rig, reflector


def last_version(rig: Rig) -> str:
    """Where the last watch began."""
    return rig.api.asked("watch")[-1].params["resourceVersion"]


async def test_the_normal_end_of_a_watch_is_no_event(autojump_clock: MockClock) -> None:
    """Reopened within a second from the bookmark that came before: no list, no state change."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        api.rv += 50
        await trio.sleep(600)

        assert len(api.asked("watch")) == 1
        assert last_version(rig) == "1053"
        assert rig.sink.states == ["syncing", "live"]
        assert (len(api.asked("list", "watchlist")), len(rig.sink.changes)) == (1, 3)
        assert rig.counters.counts["watch_restarts_total{closed}"] == 1
        rig.assert_same()


async def test_ten_minutes_of_bookmarks_are_a_living_watch(autojump_clock: MockClock) -> None:
    """The resourceVersion moves on, nothing is stored, nothing is told."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        for _ in range(10):
            api.rv += 1
            api.send_bookmark()
            await trio.sleep(29)
            assert rig.sink.resource_version == str(api.rv)
            assert rig.sink.alive_at is not None
            assert trio.current_time() - rig.sink.alive_at < 30

        assert rig.sink.states == ["syncing", "live"]
        assert rig.sink.objects == {}


async def test_a_silent_kind_stays_live(autojump_clock: MockClock) -> None:
    """No bookmark is ever owed: the clean end and reopening is the heartbeat."""
    api = FakeApi()
    api.bookmarks = False
    async with reflector(api) as rig:
        await rig.until_live()
        await trio.sleep(3600)

        assert rig.sink.states == ["syncing", "live"]
        assert 6 <= len(api.asked("watch")) <= 12
        assert len(api.asked("list", "watchlist")) == 1


@pytest.mark.parametrize("begun", [b"", b'{"type":"MODIFIED","object":{"kind":"Partial'])
async def test_a_cut_resumes_behind_the_last_whole_event(
    begun: bytes, autojump_clock: MockClock
) -> None:
    """The begun line is dropped; what happened meanwhile comes; nothing comes twice."""
    api = FakeApi()
    api.fill(2)
    async with reflector(api) as rig:
        await rig.until_live()
        api.update("o0")
        await trio.sleep(1)
        seen = rig.sink.resource_version
        api.cut(begun)
        api.update("o0")
        api.delete("o1")
        await rig.until_same()

        assert last_version(rig) == seen
        assert len(api.asked("list", "watchlist")) == 1
        assert rig.sink.states == ["syncing", "live", "stale", "live"]
        assert "connection reset" in rig.sink.truths[2].reason


async def test_a_proper_end_inside_a_line_is_a_cut(autojump_clock: MockClock) -> None:
    """A body with a length, or a proxy that ends chunks nicely: the begun line is dropped."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        whole = line("ADDED", partial({"name": "ghost", "resourceVersion": "9999", "uid": "u"}))
        api.send(whole[:-1], b"")
        api.open.clear()
        await trio.sleep(0.1)
        assert rig.sink.state == "stale"
        await rig.until_same()

        assert last_version(rig) == "1000"
        assert rig.counters.counts["watch_restarts_total{cut}"] == 1


async def test_events_sent_again_change_nothing(autojump_clock: MockClock) -> None:
    """Redelivery is legal."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        api.fill(10)
        await rig.until_same()
        changes = len(rig.sink.changes)
        for _, event_type, meta in api.history:
            api.send(line(event_type, partial(meta)))
        await trio.sleep(1)

        assert len(rig.sink.changes) == changes


async def test_many_deletes_at_one_version_survive_a_cut_among_them(
    autojump_clock: MockClock,
) -> None:
    """The resume begins before that version: none of the deletes is lost."""
    api = FakeApi()
    api.fill(50)
    async with reflector(api) as rig:
        await rig.until_live()
        [stream] = api.open
        api.open.clear()
        api.delete(*(f"o{number}" for number in range(50)))
        sent = [line(kind, partial(meta)) for _, kind, meta in api.history[-50:-30]]
        stream.send(*sent, failing(FailureKind.CUT))
        await rig.until_same()

        assert rig.sink.objects == {}
        assert len(api.asked("list", "watchlist")) == 1


async def test_a_bookmark_makes_a_cut_safe(autojump_clock: MockClock) -> None:
    """Everything up to it was sent, so the watch resumes from it and not from before."""
    api = FakeApi()
    api.fill(2)
    async with reflector(api) as rig:
        await rig.until_live()
        api.delete("o0", "o1")
        api.send_bookmark()
        await trio.sleep(1)
        api.cut()
        await rig.until_same()

        assert last_version(rig) == str(api.rv)


@pytest.mark.parametrize("version", ["", "0"])
async def test_an_unusable_bookmark_moves_nothing(version: str, autojump_clock: MockClock) -> None:
    """It is counted, and the watch resumes from what was known before."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        api.send(line("BOOKMARK", partial({"resourceVersion": version})))
        await trio.sleep(1)
        api.cut()
        await rig.until_same()

        assert last_version(rig) == "1000"
        assert rig.counters.counts["events_total{BOOKMARK-UNUSABLE}"] == 1


async def test_a_watch_that_ends_at_once_is_tried_again_and_then_not_believed(
    autojump_clock: MockClock,
) -> None:
    """Some servers hide an expired resourceVersion so: two tries, then a list."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        api.watches.extend([Body([]), Body([])])
        api.cut()
        api.delete("o1")
        await rig.until_same()

        assert len(api.asked("watch")) == 2
        assert rig.counters.counts["relist_total{short-watch}"] == 1


async def test_a_server_that_closes_after_every_event_is_not_hammered(
    autojump_clock: MockClock,
) -> None:
    """Events prove that the version is good, so no list; but the reopening backs off."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        api.always["watch"] = Body([bookmark(1000)])
        api.cut()
        await trio.sleep(600)

        assert len(api.asked("watch")) < 25
        assert len(api.asked("list", "watchlist")) == 1
        assert rig.sink.state == "stale"


@pytest.mark.parametrize(
    "kind", [FailureKind.CONNECT, FailureKind.TLS, FailureKind.TIMEOUT, FailureKind.CUT]
)
async def test_an_outage_costs_no_list(kind: FailureKind, autojump_clock: MockClock) -> None:
    """The version and the snapshot are kept; the reopening backs off to the cap, jittered."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        api.always["watch"] = failing(kind, "no route to host")
        api.cut()
        await trio.sleep(600)
        times = [asked.at for asked in api.asked("watch")]
        assert 10 <= len(times) <= 22
        assert all(after - before <= 60.1 for before, after in pairwise(times))
        assert rig.sink.state == "stale"
        assert "no route to host" in rig.sink.truths[-1].reason
        assert len(rig.sink.objects) == 3

        api.always.clear()
        api.update("o0")
        await rig.until_same()
        assert len(api.asked("list", "watchlist")) == 1
        assert rig.source.status.last_failure is not None
        assert rig.source.status.last_failure.kind is kind


async def test_an_error_while_a_finished_watch_is_closed_is_none(
    autojump_clock: MockClock,
) -> None:
    """It ended as it should; what its connection says afterwards is of no interest."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        await trio.sleep(5)
        api.close_fails = True
        api.close()
        await rig.until_same()

        assert not api.close_fails
        assert rig.sink.states == ["syncing", "live"]


async def test_an_object_set_aside_among_many_deletes_at_one_version_hides_none(
    autojump_clock: MockClock,
) -> None:
    """It counts as one of those that share the version."""
    api = FakeApi()
    api.fill(5)
    async with reflector(api) as rig:
        await rig.until_live()
        [stream] = api.open
        api.open.clear()
        api.delete(*(f"o{number}" for number in range(5)))
        _, kind, meta = api.history[-5]
        nameless = line(kind, partial({"resourceVersion": str(api.rv)}))
        stream.send(line(kind, partial(meta)) + nameless, failing(FailureKind.CUT))
        await rig.until_same()

        assert rig.sink.objects == {}
