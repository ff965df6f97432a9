"""Expired histories, and everything else that only a list can heal."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock

from tests.daemon.kube.fake_api import JSON_HEADERS, Answer, Body, FakeApi, line, refusal, status
from tests.daemon.kube.harness import reflector

# The two shapes, and the third that is an HTTP status with neither chunks nor a JSON type.
SHAPES: dict[str, Answer] = {
    "event": Body([line("ERROR", status(410, "Expired"))]),
    "event Gone": Body([line("ERROR", status(410, "Gone"))]),
    "event without a code": Body([line("ERROR", {"kind": "Status", "reason": "Expired"})]),
    "status": refusal(410, "Expired"),
    "text": refusal(410),
}


@pytest.mark.parametrize("shape", list(SHAPES))
async def test_an_expired_version_is_healed_by_a_list(
    shape: str, autojump_clock: MockClock
) -> None:
    """In every shape: what is shown stays until the list; deletes are found; it resumes never."""
    api = FakeApi()
    api.fill(10)
    async with reflector(api) as rig:
        await rig.until_live()
        api.delete("o0")
        api.update("o4")
        await rig.until_same()
        api.cut()
        api.delete("o1")
        api.delete("o2")
        api.delete("o3")
        api.create("o3")
        api.expire()
        api.watches.append(SHAPES[shape])
        await trio.sleep(0.1)
        assert len(rig.sink.objects) == 9
        await rig.until_same()

        found = sorted((what, key[1]) for what, key, _ in rig.sink.changes[-3:])
        assert found == [("DEL", "o1"), ("DEL", "o2"), ("REPL", "o3")]
        assert len(rig.sink.changes) == 10 + 2 + 3
        assert len(api.asked("watch")) == 1
        assert rig.counters.counts["relist_total{expired}"] == 1
        assert "resyncing" in rig.sink.states
        assert rig.sink.states[-1] == "live"


async def test_a_relist_that_finds_nothing_tells_nothing(autojump_clock: MockClock) -> None:
    """The same objects are no changes."""
    api = FakeApi()
    api.fill(10)
    async with reflector(api) as rig:
        await rig.until_live()
        api.expire()
        api.cut()
        await trio.sleep(10)

        assert rig.sink.replaced == 2
        assert len(rig.sink.changes) == 10


async def test_a_history_that_is_always_too_short_is_not_hammered(
    autojump_clock: MockClock,
) -> None:
    """Lists back off to the cap; the data is served meanwhile."""
    api = FakeApi()
    api.streaming = False
    api.fill(3)
    async with reflector(api) as rig:
        api.always["watch"] = refusal(410, "Expired")
        await trio.sleep(300)
        early = len(api.asked("list"))
        await trio.sleep(1200)

        assert len(rig.sink.objects) == 3
        assert early <= 15
        assert len(api.asked("list")) - early <= 1200 / 30
        assert rig.sink.state == "resyncing"
        api.always.clear()
        await rig.until_same()


TOO_LARGE = {"causes": [{"reason": "ResourceVersionTooLarge"}], "retryAfterSeconds": 1}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusal(504, "Timeout", details=TOO_LARGE), "too-large"),
        (Body([line("ERROR", status(504, "Timeout", details=TOO_LARGE))]), "too-large"),
        (Body([line("ERROR", status(504, "", "Too large resource version: 9"))]), "too-large"),
        (Body([line("ERROR", status(500, "StorageReadError"))]), "storage-read"),
    ],
)
async def test_a_version_that_says_nothing_is_replaced_by_a_list(
    answer: Answer, reason: str, autojump_clock: MockClock
) -> None:
    """One list, with the resourceVersion unset; a deleted object disappears."""
    api = FakeApi()
    api.streaming = False
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        api.cut()
        api.delete("o1")
        api.watches.append(answer)
        await rig.until_same()

        assert rig.counters.counts[f"relist_total{{{reason}}}"] == 1
        assert len(api.asked("list")) == 2


async def test_a_server_error_event_is_waited_out(autojump_clock: MockClock) -> None:
    """InternalError for 20 seconds: the same version is tried, nothing is listed."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        api.always["watch"] = Body([line("ERROR", status(500, "InternalError"))])
        api.cut()
        api.delete("o1")
        await trio.sleep(20)
        api.always.clear()
        await rig.until_same()

        versions = {asked.params["resourceVersion"] for asked in api.asked("watch")}
        assert versions == {"1003"}
        assert len(api.asked("watch")) > 2
        assert len(api.asked("watchlist")) == 1


async def test_a_server_error_event_that_stays_is_not_waited_out(
    autojump_clock: MockClock,
) -> None:
    """Beyond 30 seconds the version itself is doubted."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        api.always["watch"] = Body([line("ERROR", status(500, "InternalError"))])
        api.cut()
        api.delete("o1")
        await trio.sleep(70)

        assert rig.counters.counts["relist_total{internal-error}"] == 1
        assert rig.same()


async def test_a_changed_crd_is_lived_through(autojump_clock: MockClock) -> None:
    """A clean close, 429 twice, 410, a list: no state outlasts it, equal content tells nothing."""
    api = FakeApi()
    api.fill(5)
    async with reflector(api) as rig:
        await rig.until_live()
        await trio.sleep(5)
        busy = refusal(429, "TooManyRequests", retry_after=1)
        api.watches.extend([busy, busy])
        api.expire()
        api.close()
        await rig.until_same()

        assert len(rig.sink.changes) == 5
        assert trio.current_time() < 5 + 10
        assert rig.sink.states == ["syncing", "live", "stale", "live", "resyncing", "live"]


async def test_a_plain_text_410_is_recognised(autojump_clock: MockClock) -> None:
    """By its status alone; the body may be anything."""
    api = FakeApi()
    api.fill(1)
    async with reflector(api) as rig:
        await rig.until_live()
        text = refusal(410)
        api.watches.append(type(text)(410, {**JSON_HEADERS, "content-type": "text/plain"}, b"gone"))
        api.cut()
        await rig.until_same()

        assert rig.counters.counts["relist_total{expired}"] == 1
        assert json.dumps(rig.source.describe())
