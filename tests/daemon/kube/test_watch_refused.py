"""401 and 403: said at once while nothing is shown, else only when they stay."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from tests.daemon.kube.fake_api import FakeApi, refusal
from tests.daemon.kube.harness import reflector

NO = refusal(403, "Forbidden", message="User dev cannot do that")
CAN_I = "kubectl auth can-i {} things.example.io --context kind-dev"


async def test_a_kind_that_may_not_be_listed_is_forbidden_at_once(
    autojump_clock: MockClock,
) -> None:
    """With the command that shows why; asked for ever more seldom; granted later, it lives."""
    api = FakeApi()
    api.always = {"list": NO, "watchlist": NO}
    async with reflector(api) as rig:
        await trio.sleep(1)
        truth = rig.sink.truths[-1]
        assert (truth.state, truth.hint) == ("forbidden", CAN_I.format("list"))
        assert "User dev cannot do that" in truth.reason
        await trio.sleep(3600)
        assert len(api.asked("list")) <= 20

        api.always.clear()
        await rig.until_live()


async def test_one_refusal_does_not_hide_what_is_shown(autojump_clock: MockClock) -> None:
    """It can come from a control plane that is being upgraded."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        api.watches.append(NO)
        api.cut()
        await rig.until_same()

        assert "forbidden" not in rig.sink.states
        assert len(api.asked("watchlist")) == 1
        hints = {truth.hint for truth in rig.sink.truths}
        assert hints == {None, CAN_I.format("watch")}


async def test_refusals_that_stay_are_forbidden(autojump_clock: MockClock) -> None:
    """Three in a row over half a minute; what is shown is not deleted."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        began = trio.current_time()
        api.always["watch"] = NO
        api.cut()
        await trio.sleep(29)
        assert rig.sink.state == "stale"
        await trio.sleep(60)

        [at] = [at for at, state in rig.sink.trail if state == "forbidden"]
        assert at - began >= 30
        assert len(api.asked("watch")) >= 3
        assert len(rig.sink.objects) == 3


async def test_a_list_without_a_watch_is_shown_and_said_to_be_stale(
    autojump_clock: MockClock,
) -> None:
    """The verbs are granted separately."""
    api = FakeApi()
    api.fill(3)
    api.always = {"watch": NO, "watchlist": NO}
    async with reflector(api) as rig:
        await trio.sleep(1)

        assert len(rig.sink.objects) == 3
        assert rig.sink.truths[-1].hint == CAN_I.format("watch")
        assert rig.sink.states == ["syncing", "stale"]


async def test_a_missing_token_is_no_missing_permission(autojump_clock: MockClock) -> None:
    """403 as the anonymous user is a 401 in disguise."""
    api = FakeApi()
    api.always["watchlist"] = refusal(403, "Forbidden", message='User "system:anonymous" cannot')
    async with reflector(api) as rig:
        await trio.sleep(60)

        assert rig.sink.states == ["syncing", "syncing"]
        assert rig.sink.truths[-1].reason.startswith("list failed: 403")


async def test_lost_credentials_keep_what_is_shown(autojump_clock: MockClock) -> None:
    """401: stale and why, a few seconds between requests, no list when they are back."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        api.always["watch"] = refusal(401, "Unauthorized")
        api.cut()
        await trio.sleep(60)
        assert rig.sink.state == "stale"
        assert "401 Unauthorized" in rig.sink.truths[-1].reason
        assert len(api.asked("watch")) <= 8
        api.always.clear()
        await rig.until_same()

        assert len(api.asked("list", "watchlist")) == 1
