"""Only cancellation ends a reflector, at any await, and leaves nothing open."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.errors import FailureKind
from tests.daemon.kube.fake_api import FakeApi, Stalled, failing, refusal
from tests.daemon.kube.harness import DAY_SECONDS, reflector

TEXT_404 = refusal(404)


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.5, 2.5, 7.0, 15.0, 40.0, 70.0, 300.0])
async def test_cancelled_anywhere_it_leaves_nothing_open(
    seconds: float, autojump_clock: MockClock
) -> None:
    """In a list, a watch, its headers, a wait."""
    api = FakeApi()
    api.fill(600)
    api.streaming = False
    api.list_seconds = 1
    api.watches.extend([refusal(422), Stalled(), failing(FailureKind.CUT), refusal(503), TEXT_404])
    async with reflector(api, relist_seconds=60):
        await trio.sleep(seconds)

    assert api.open == []


async def test_a_day_of_failures_does_not_end_it(autojump_clock: MockClock) -> None:
    """And does not become a load: at the cap there is less than one request in 15 seconds."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        api.always = dict.fromkeys(("list", "watch", "watchlist"), failing(FailureKind.CONNECT))
        api.cut()
        await trio.sleep(DAY_SECONDS / 2)
        assert len(api.requests) < DAY_SECONDS / 2 / 30
        api.always.clear()
        await rig.until_same()
