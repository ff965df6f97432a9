"""Lists that somebody asked for: the user, or a queue that had to drop."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from orka.daemon.kube.errors import FailureKind
from tests.daemon.kube.fake_api import FakeApi, Stalled, failing, line, partial, refusal, status
from tests.daemon.kube.harness import reflector


async def test_a_dropped_delta_is_healed_by_a_list(autojump_clock: MockClock) -> None:
    """The sink says that it dropped; the kind is dirty until it is replaced."""
    api = FakeApi()
    async with reflector(api, cap=3) as rig:
        await rig.until_live()
        [stream] = api.open
        api.open.clear()
        api.fill(10)
        stream.send(b"".join(line(kind, partial(meta)) for _, kind, meta in api.history))
        await rig.until_same()

        assert not rig.sink.dirty
        assert rig.counters.counts["relist_total{overflow}"] == 1
        assert rig.sink.states == ["syncing", "live", "resyncing", "live"]


async def test_a_drop_just_before_an_error_is_not_forgotten(autojump_clock: MockClock) -> None:
    """The chunk that overflowed ends with a 404: the kind must be listed, not resumed."""
    api = FakeApi()
    async with reflector(api, cap=3) as rig:
        await rig.until_live()
        [stream] = api.open
        api.open.clear()
        api.fill(10)
        lines = [line(kind, partial(meta)) for _, kind, meta in api.history]
        stream.send(b"".join([*lines, line("ERROR", status(404, "NotFound"))]))
        await rig.until_same()

        assert not rig.sink.dirty
        assert api.asked("watch") == []


async def test_overflows_in_a_row_do_not_become_lists_in_a_row(
    autojump_clock: MockClock,
) -> None:
    """The backoff of relists counts for them too."""
    api = FakeApi()
    async with reflector(api, cap=1) as rig:
        await rig.until_live()
        for number in range(600):
            api.send(
                b"".join(
                    line("ADDED", partial({"name": f"{n}", "resourceVersion": f"{number}9{n}"}))
                    for n in range(5)
                )
            )
            await trio.sleep(1)

        assert rig.counters.counts["relist_total{overflow}"] < 25


async def test_a_relist_interrupts_whatever_is_awaited(autojump_clock: MockClock) -> None:
    """A read, the headers of a watch, a wait; and a list under way serves as well."""
    api = FakeApi()
    api.fill(2)
    async with reflector(api) as rig:
        rig.source.request_relist("too early, and harmless")
        await rig.until_live()
        rig.source.request_relist("user")
        await trio.sleep(0.1)
        assert rig.counters.counts["relist_total{user}"] == 1

        await trio.sleep(130)
        api.watches.append(Stalled())
        api.cut()
        await trio.sleep(2)
        rig.source.request_relist("user")
        await trio.sleep(0.1)
        assert rig.counters.counts["relist_total{user}"] == 2

        await trio.sleep(130)
        api.watches.append(failing(FailureKind.CONNECT))
        api.always["watch"] = refusal(429, "TooManyRequests", retry_after=100)
        api.cut()
        await trio.sleep(20)
        rig.source.request_relist("user")
        await trio.sleep(0.1)
        assert rig.counters.counts["relist_total{user}"] == 3
        rig.assert_same()
        assert rig.sink.state == "live"


async def test_a_relist_asked_for_while_one_is_due_is_that_one(autojump_clock: MockClock) -> None:
    """Waiting for it is not made longer either."""
    api = FakeApi()
    api.streaming = False
    async with reflector(api) as rig:
        await rig.until_live()
        api.list_seconds = 5
        rig.source.request_relist("user")
        await trio.sleep(1)
        rig.source.request_relist("user")
        await rig.until_live()
        api.always["list"] = refusal(503, "Down", retry_after=50)
        rig.source.request_relist("user")
        await trio.sleep(20)
        rig.source.request_relist("user")
        await trio.sleep(20)
        api.always.clear()
        await rig.until_same()

        assert rig.counters.counts["relist_total{user}"] == 2
        assert repr(rig.source) == "<ReflectorSource example.io/v1/Thing Watching>"
