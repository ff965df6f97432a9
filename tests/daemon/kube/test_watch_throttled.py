"""429 and 5xx answers are waited out as the server asks."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from tests.daemon.kube.fake_api import FakeApi, refusal
from tests.daemon.kube.harness import reflector


async def test_a_throttled_watch_waits_as_asked_and_never_lists(
    autojump_clock: MockClock,
) -> None:
    """Retry-After 7 three times: at least 7 seconds each, from the same version."""
    api = FakeApi()
    api.fill(2)
    async with reflector(api) as rig:
        await rig.until_live()
        api.watches.extend([refusal(429, "TooManyRequests", retry_after=7)] * 3)
        api.cut()
        api.update("o0")
        await rig.until_same()

        times = [asked.at for asked in api.asked("watch")]
        assert [7 <= b - a < 15 for a, b in pairwise(times)] == [True] * 3
        assert {asked.params["resourceVersion"] for asked in api.asked("watch")} == {"1002"}
        assert len(api.asked("list", "watchlist")) == 1
        assert "429" in rig.sink.truths[-2].reason


async def test_what_the_body_asks_for_counts_too(autojump_clock: MockClock) -> None:
    """Old servers name the seconds in the Status alone."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        api.watches.append(refusal(429, "TooManyRequests", details={"retryAfterSeconds": 20}))
        api.cut()
        await rig.until_same()

        first, second = (asked.at for asked in api.asked("watch"))
        assert 20 <= second - first < 25


@pytest.mark.parametrize("code", [429, 503])
async def test_a_throttled_page_is_asked_for_again(code: int, autojump_clock: MockClock) -> None:
    """With the same token: what came before is not listed twice."""
    api = FakeApi()
    api.streaming = False
    api.fill(1200)
    async with reflector(api) as rig:
        api.lists.extend([None, refusal(code, "Busy", retry_after=2)])
        await rig.until_live()
        rig.assert_same()

        tokens = [asked.params.get("continue") for asked in api.asked("list")]
        assert tokens == [None, "2200:500", "2200:500", "2200:1000"]
        times = [asked.at for asked in api.asked("list")]
        assert times[2] - times[1] >= 2


async def test_a_throttled_streaming_list_is_asked_for_again(autojump_clock: MockClock) -> None:
    """The server is busy, not unable."""
    api = FakeApi()
    api.fill(3)
    api.watches.append(refusal(429, "TooManyRequests", retry_after=3))
    async with reflector(api) as rig:
        await trio.sleep(0.1)
        assert rig.sink.state == "syncing"
        assert "429" in rig.sink.truths[-1].reason
        await rig.until_live()

        assert (len(api.asked("watchlist")), len(api.asked("list"))) == (2, 0)


@pytest.mark.parametrize("code", [500, 502, 503, 504])
async def test_a_failing_server_is_not_asked_for_lists(
    code: int, autojump_clock: MockClock
) -> None:
    """5xx on reopening: the history will be there again when the server is."""
    api = FakeApi()
    api.fill(2)
    async with reflector(api) as rig:
        await rig.until_live()
        api.always["watch"] = refusal(code, "Down")
        api.cut()
        await trio.sleep(300)
        assert len(api.asked("watch")) <= 20
        api.always.clear()
        await rig.until_same()

        assert len(api.asked("list", "watchlist")) == 1


async def test_the_backoff_begins_anew_only_after_two_minutes_of_health(
    autojump_clock: MockClock,
) -> None:
    """A watch that opens and breaks again does not."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        for _ in range(6):
            api.cut()
            await rig.until_same()
            await trio.sleep(10)
        before = trio.current_time()
        api.cut()
        await rig.until_same()
        assert trio.current_time() - before > 25

        await trio.sleep(121)
        before = trio.current_time()
        api.cut()
        await rig.until_same()
        assert trio.current_time() - before < 2
