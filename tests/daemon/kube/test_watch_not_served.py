"""404: a lagging replica, or a kind that is gone."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.http import Response
from tests.daemon.kube.fake_api import FakeApi, refusal
from tests.daemon.kube.harness import reflector

TEXT = Response(404, {"content-type": "text/plain"}, b"404 page not found\n")
EVERYTHING = ("list", "watch", "watchlist")


async def test_a_kind_that_discovery_still_has_is_unavailable_for_a_while(
    autojump_clock: MockClock,
) -> None:
    """One of several servers lags: nothing is deleted, and ten seconds pass between tries."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        api.watches.append(TEXT)
        api.cut()
        api.update("o0")
        await rig.until_same()

        assert rig.sink.states == ["syncing", "live", "stale", "unavailable", "live"]
        first, second = (asked.at for asked in api.asked("watch"))
        assert second - first >= 10
        assert len(api.asked("watchlist")) == 1
        assert {what for what, _, _ in rig.sink.changes} == {"ADD", "MOD"}


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_first_list_of_a_lagging_server_is_asked_for_again(
    autojump_clock: MockClock, *, streaming: bool
) -> None:
    """Nothing is known of the kind yet, so nothing is resumed."""
    api = FakeApi()
    api.fill(1)
    api.streaming = streaming
    (api.watches if streaming else api.lists).append(refusal(404, "NotFound"))
    async with reflector(api) as rig:
        await trio.sleep(1)
        assert rig.sink.state == "unavailable"
        await rig.until_live()
        rig.assert_same()

        assert rig.counters.counts["relist_total"] == 0


async def test_a_removed_kind_ends_each_object_once_and_is_left_alone(
    autojump_clock: MockClock,
) -> None:
    """Two complete answers of discovery, then deletes, `gone`, and no more requests to its path."""
    api = FakeApi()
    api.fill(5)
    async with reflector(api) as rig:
        await rig.until_live()
        api.always = dict.fromkeys(EVERYTHING, TEXT)
        api.served = False
        api.delete("o0")
        api.close()
        await trio.sleep(30)

        asked = api.asked("discovery")
        assert len(asked) == 2
        assert asked[1].at - asked[0].at >= 5
        deletes = [key for what, key, _ in rig.sink.changes if what == "DEL"]
        assert sorted(deletes) == [("ns", f"o{number}") for number in range(5)]
        assert rig.sink.truths[-1].state == "gone"
        assert rig.sink.truths[-1].reason.startswith("kind-removed")
        before = len(api.asked(*EVERYTHING))
        await trio.sleep(3600)
        assert len(api.asked(*EVERYTHING)) == before

        api.always.clear()
        api.objects.clear()
        api.served = True
        api.create("new")
        await rig.until_same()
        assert rig.sink.states[-2:] == ["syncing", "live"]


async def test_a_kind_that_was_never_served_shows_no_empty_list(
    autojump_clock: MockClock,
) -> None:
    """Empty and unknown differ."""
    api = FakeApi()
    api.always = dict.fromkeys(EVERYTHING, TEXT)
    api.served = False
    async with reflector(api) as rig:
        await trio.sleep(60)

        assert (rig.sink.state, rig.sink.replaced) == ("gone", 0)
        api.always.clear()
        api.served = True
        rig.source.request_relist("user")
        await trio.sleep(1)
        assert rig.sink.state == "live"


@pytest.mark.parametrize("answers", [[None, None], [False, None], [False, True]])
async def test_an_answer_that_is_not_complete_proves_nothing(
    answers: list[bool | None], autojump_clock: MockClock
) -> None:
    """The group may be broken; its kinds keep their objects."""
    api = FakeApi()
    api.fill(2)
    async with reflector(api) as rig:
        await rig.until_live()
        api.watches.append(TEXT)
        api.cut()
        for answer in answers:
            api.served = answer
            await trio.sleep(4)
        await rig.until_same()

        assert "gone" not in rig.sink.states
        assert len(rig.sink.changes) == 2


async def test_a_discovery_that_fails_proves_nothing(autojump_clock: MockClock) -> None:
    """The whole server may be going down."""
    api = FakeApi()
    api.fill(2)
    api.discovery_fails = True
    async with reflector(api) as rig:
        await rig.until_live()
        api.error(404, "NotFound")
        await trio.sleep(1)
        assert rig.sink.state == "unavailable"
        await rig.until_same()

        assert len(rig.sink.changes) == 2


async def test_a_relist_asked_for_in_doubt_is_not_forgotten(autojump_clock: MockClock) -> None:
    """When the kind turns out to be served, it is listed and not resumed."""
    api = FakeApi()
    api.fill(2)
    async with reflector(api) as rig:
        await rig.until_live()
        api.served = False
        api.error(404, "NotFound")
        await trio.sleep(1)
        rig.source.request_relist("user")
        api.served = True
        await trio.sleep(30)

        assert rig.sink.state == "live"
        assert (len(api.asked("watchlist")), len(api.asked("watch"))) == (2, 0)


async def test_503_while_paths_are_installed_is_not_404(autojump_clock: MockClock) -> None:
    """The server starts; discovery is not asked."""
    api = FakeApi()
    api.fill(2)
    async with reflector(api) as rig:
        await rig.until_live()
        api.watches.append(refusal(503, "ServiceUnavailable", retry_after=5))
        api.cut()
        await rig.until_same()

        assert api.asked("discovery") == []
