"""The audit: a list now and then that corrects what the watch did not tell, and is not noticed."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.errors import FailureKind
from tests.daemon.kube.fake_api import (
    Answer,
    Body,
    FakeApi,
    Stalled,
    failing,
    line,
    meta_of,
    partial,
    refusal,
)
from tests.daemon.kube.harness import eventually, reflector


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_audit_that_finds_nothing_is_not_noticed(
    autojump_clock: MockClock, *, streaming: bool
) -> None:
    """No change, no state, in an hour of audits five minutes apart; one watch at a time."""
    api = FakeApi()
    api.streaming = streaming
    api.fill(1200)
    api.list_seconds = 1
    async with reflector(api, relist_seconds=300) as rig:
        await rig.until_live()
        await trio.sleep(3600)

        assert len(rig.sink.changes) == 1200
        assert rig.sink.states == ["syncing", "live"]
        assert 10 <= rig.counters.counts["relist_total{audit}"] <= 12
        assert rig.sink.replaced == 1 + rig.counters.counts["relist_total{audit}"]
        assert api.most_open == 1
        rig.assert_same()


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_audit_finds_what_the_watch_did_not_tell(
    autojump_clock: MockClock, *, streaming: bool
) -> None:
    """A delete and a change that the server forgot to send."""
    api = FakeApi()
    api.streaming = streaming
    api.fill(5)
    async with reflector(api, relist_seconds=300) as rig:
        await rig.until_live()
        hidden, api.open = api.open, []
        api.delete("o1")
        api.update("o2")
        api.open = hidden
        await trio.sleep(200)
        assert not rig.same()
        await trio.sleep(200)

        rig.assert_same()
        assert rig.sink.states == ["syncing", "live"]


@pytest.mark.parametrize("streaming", [True, False])
async def test_what_happens_during_an_audit_is_not_lost(
    autojump_clock: MockClock, *, streaming: bool
) -> None:
    """Changes between and after its pages come by the watch; nothing flickers."""
    api = FakeApi()
    api.streaming = streaming
    api.fill(1200)
    api.list_seconds = 3
    async with reflector(api, relist_seconds=60) as rig:
        await rig.until_live()
        for number in range(200):
            api.create(f"x{number}")
            api.update(f"o{number}")
            api.delete(f"o{number + 200}")
            await trio.sleep(1)
        await rig.until_same()

        assert rig.sink.states == ["syncing", "live"]
        assert rig.counters.counts["relist_total{audit}"] >= 2


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    "answer",
    [
        refusal(500, "InternalError"),
        refusal(429, "TooManyRequests", retry_after=30),
        refusal(403, "Forbidden"),
        refusal(404, "NotFound"),
        refusal(422, "Invalid"),
        failing(FailureKind.CUT),
        Stalled(),
        Body([]),
        Body([b"nonsense\n"]),
    ],
)
async def test_an_audit_that_fails_proves_nothing(
    answer: Answer, autojump_clock: MockClock, *, streaming: bool
) -> None:
    """The watch goes on where it was, at once and without a word; the next audit will tell."""
    api = FakeApi()
    api.streaming = streaming
    api.fill(3)
    if isinstance(answer, Body) and not streaming:
        answer = Stalled()
    async with reflector(api, relist_seconds=300) as rig:
        await rig.until_live()
        await trio.sleep(290)
        (api.watches if streaming else api.lists).append(answer)
        await trio.sleep(75)
        assert not api.watches
        assert not api.lists
        assert len(api.open) == 1
        api.update("o0")
        await rig.until_same()

        assert rig.sink.states == ["syncing", "live"]
        assert rig.source.status.last_failure is not None
        await trio.sleep(330)
        assert rig.sink.replaced == 2


@pytest.mark.parametrize("restart", [True, False])
async def test_an_audit_that_takes_long_is_told(
    autojump_clock: MockClock, *, restart: bool
) -> None:
    """Half a minute without a watch is no longer live, also when a page has to be listed again."""
    api = FakeApi()
    api.streaming = False
    api.fill(1200)
    async with reflector(api, relist_seconds=300) as rig:
        await rig.until_live()
        api.list_seconds = 20
        if restart:
            await trio.sleep(295)
            api.lists.extend([None, refusal(410, "Expired")])
        await trio.sleep(600)
        assert rig.sink.states[:4] == ["syncing", "live", "resyncing", "live"]
        assert rig.sink.truths[2].reason == "relisting: the audit takes long"
        assert len(rig.sink.changes) == 1200


async def test_a_streamed_audit_that_takes_long_is_told(autojump_clock: MockClock) -> None:
    """Whichever way it is listed."""
    api = FakeApi()
    async with reflector(api, relist_seconds=300) as rig:
        await rig.until_live()
        await trio.sleep(290)
        api.watches.append(Body([], end=None))
        await eventually(lambda: len(api.asked("watchlist")) == 2)
        stream = api.last_stream
        assert stream is not None
        for _ in range(8):
            stream.send(line("ADDED", partial(meta_of("a", "ns", 1, 1))))
            await trio.sleep(5)
        assert rig.sink.states == ["syncing", "live", "resyncing"]
        stream.send(failing(FailureKind.CUT))
        await rig.until_same()

        assert rig.sink.objects == {}


async def test_another_list_puts_the_audit_off(autojump_clock: MockClock) -> None:
    """It has checked everything."""
    api = FakeApi()
    async with reflector(api, relist_seconds=300) as rig:
        await rig.until_live()
        for _ in range(10):
            await trio.sleep(200)
            rig.source.request_relist("user")
            await rig.until_live()

        assert rig.counters.counts["relist_total{audit}"] == 0
