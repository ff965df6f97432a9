"""Events that nobody should send."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.lines import LINE_MAX_BYTES
from tests.daemon.kube.fake_api import Body, FakeApi, line, meta_of, partial
from tests.daemon.kube.harness import reflector

PUZZLES = {
    "type": line("RENAMED", partial(meta_of("a", "ns", 1, 7))),
    "status": line("ERROR", {"kind": "Thing"}),
    "empty": line("MODIFIED", {}),
    "nothing": b"{}\n",
}


@pytest.mark.parametrize("puzzle", list(PUZZLES))
async def test_an_unknown_event_is_not_passed(puzzle: str, autojump_clock: MockClock) -> None:
    """The watch is opened again from before it, once; if it comes again, a list must tell."""
    api = FakeApi()
    api.fill(2)
    async with reflector(api) as rig:
        await rig.until_live()
        api.update("o0")
        api.send(PUZZLES[puzzle])
        api.open.clear()
        api.delete("o1")
        api.watches.append(Body([PUZZLES[puzzle]], end=None))
        await rig.until_same()

        assert [asked.params["resourceVersion"] for asked in api.asked("watch")] == ["1003"]
        assert rig.counters.counts["relist_total{unknown-event}"] == 1
        assert rig.counters.counts["watch_restarts_total{unknown-event}"] == 2


async def test_an_unknown_event_that_does_not_come_again_costs_no_list(
    autojump_clock: MockClock,
) -> None:
    """Progress between two of them forgives the first."""
    api = FakeApi()
    api.fill(2)
    async with reflector(api) as rig:
        await rig.until_live()
        for _ in range(3):
            api.send(PUZZLES["type"])
            api.open.clear()
            await trio.sleep(60)
            api.update("o0")
            await rig.until_same()

        assert len(api.asked("watchlist")) == 1


async def test_a_bad_object_is_set_aside_and_the_rest_lives(autojump_clock: MockClock) -> None:
    """No name, another kind, a uid that is none: counted, and the version moves on."""
    api = FakeApi()
    api.fill(1)
    async with reflector(api) as rig:
        await rig.until_live()
        api.send(
            line("ADDED", partial({"resourceVersion": "2001"})),
            line("ADDED", {"kind": "Other", "metadata": meta_of("b", "ns", 9, 2002)}),
            line("ADDED", partial(meta_of("c", "ns", 9, 2003) | {"uid": "not-a-uuid"})),
            line("ADDED", partial({"name": "d", "resourceVersion": "2004"})),
            line("ADDED", partial({"name": "e", "uid": 5, "resourceVersion": "2005"})),
            line("ADDED", partial({"resourceVersion": "2006"})),
        )
        await trio.sleep(1)

        assert {key[1] for key in rig.sink.objects} == {"o0", "c", "d", "e"}
        assert [key for key, _ in rig.sink.quarantine] == [
            None,
            ("ns", "b"),
            (None, "e"),
            None,
        ]
        assert rig.sink.resource_version == "2006"
        assert rig.sink.states == ["syncing", "live"]
        assert rig.source.status.without_uid == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (line("MODIFIED", partial({"name": "o0", "namespace": "ns", "uid": "u"})), "malformed"),
        (b"nonsense\n", "malformed"),
        (b"x" * (LINE_MAX_BYTES + 1) + b"\n", "oversize"),
    ],
    ids=["no version", "no JSON", "oversize"],
)
async def test_an_event_that_is_lost_is_healed_by_a_list(
    text: bytes, reason: str, autojump_clock: MockClock
) -> None:
    """It may have been a delete."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        [stream] = api.open
        api.open.clear()
        api.delete("o1")
        stream.send(text)
        await rig.until_same()

        assert rig.counters.counts[f"relist_total{{{reason}}}"] == 1


async def test_an_event_of_15_mib_is_an_event(autojump_clock: MockClock) -> None:
    """Under the cap size is no fault, in chunks of any size."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        whole = {"kind": "Thing", "metadata": meta_of("big", "ns", 1, 2000), "x": "x" * 15_000_000}
        text = line("ADDED", whole)
        api.send(*(text[at : at + 65_536] for at in range(0, len(text), 65_536)))
        await trio.sleep(1)

        assert set(rig.sink.objects) == {("ns", "big")}


async def test_a_login_page_instead_of_a_watch_deletes_nothing(
    autojump_clock: MockClock,
) -> None:
    """200 text/html is a broken connection."""
    api = FakeApi()
    api.fill(3)
    async with reflector(api) as rig:
        await rig.until_live()
        api.watches.append(Body([b"<html>"], headers={"content-type": "text/html"}))
        api.cut()
        await trio.sleep(1.7)
        assert rig.sink.state == "stale"
        assert "text/html" in rig.sink.truths[-1].reason
        await rig.until_same()

        assert len(rig.sink.changes) == 3
        assert len(api.asked("watchlist")) == 1


async def test_a_thousand_events_in_one_chunk_are_one_push(autojump_clock: MockClock) -> None:
    """And ten thousand are handed over in several steps, so that other tasks get theirs."""
    api = FakeApi()
    async with reflector(api) as rig:
        await rig.until_live()
        lines = [
            line("ADDED", partial(meta_of(f"n{number}", "ns", number, 2000 + number)))
            for number in range(10_000)
        ]
        api.send(b"".join(lines[:1000]))
        await trio.sleep(1)
        assert rig.sink.pushes == 1
        api.send(b"".join(lines[1000:]))
        await trio.sleep(1)

        assert rig.sink.pushes == 1 + 5
        assert len(rig.sink.objects) == 10_000
