"""Connections that stay open and say nothing."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.errors import FailureKind
from tests.daemon.kube.fake_api import FakeApi, Stalled, failing
from tests.daemon.kube.harness import reflector


async def test_a_half_open_watch_ends_at_its_hard_deadline(autojump_clock: MockClock) -> None:
    """Fifteen seconds after the time that was asked for; what happened meanwhile appears."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        timeout = int(api.requests[0].params["timeoutSeconds"])
        await trio.sleep(20)
        api.stall()
        api.delete("o1")
        await trio.sleep(timeout - 20 + 14)
        assert len(rig.sink.objects) == 3
        await trio.sleep(2)
        assert rig.sink.states[:3] == ["syncing", "live", "stale"]
        await rig.until_same()

        assert len(api.asked("watch")) == 1
        assert rig.counters.counts["watch_restarts_total{timeout}"] == 1


async def test_the_deadline_counts_from_the_request(autojump_clock: MockClock) -> None:
    """Events do not move it: a watch that outlives its time is not the server's any more."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        [stream] = api.open
        stream.ends_at = float("inf")
        for _ in range(70):
            await trio.sleep(10)
            api.send_bookmark()

        assert len(api.asked("watch")) == 1


async def test_headers_that_never_come_are_not_awaited_for_ever(
    autojump_clock: MockClock,
) -> None:
    """Thirty seconds, then another try."""
    api = FakeApi()
    api.fill(1)
    async with reflector(api) as rig:
        await rig.until_live()
        api.watches.append(Stalled())
        api.cut()
        api.update("o0")
        await rig.until_same()

        first, second = (asked.at for asked in api.asked("watch"))
        assert 30 <= second - first <= 35
        assert "no headers" in str(rig.source.status.last_failure)


async def test_time_that_other_tasks_took_is_not_the_servers(autojump_clock: MockClock) -> None:
    """A loop that was held up for a minute finds the bytes that came meanwhile."""
    api = FakeApi()
    api.fill(1)
    api.streaming = True
    async with reflector(api) as rig:
        await rig.until_live()
        api.create("late")
        autojump_clock.jump(60)
        await trio.sleep(0.1)

        assert ("ns", "late") in rig.sink.objects
        assert rig.sink.states == ["syncing", "live"]


@pytest.mark.parametrize("hangs", [True, False])
async def test_an_error_body_that_does_not_end_is_not_waited_for(
    autojump_clock: MockClock, *, hangs: bool
) -> None:
    """The status alone says what to do."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        api.error_body_ends = None if hangs else failing(FailureKind.CUT)
        api.cut()
        await trio.sleep(10)
        await rig.until_same()

        assert any("503" in truth.reason for truth in rig.sink.truths)
