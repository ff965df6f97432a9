"""Streaming lists, and how pages take their place."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.errors import FailureKind
from orka.daemon.kube.lines import LINE_MAX_BYTES
from tests.daemon.kube.fake_api import (
    Answer,
    Body,
    FakeApi,
    Stalled,
    bookmark,
    failing,
    line,
    meta_of,
    partial,
    refusal,
    status,
)
from tests.daemon.kube.harness import reflector

OBJECT = line("ADDED", partial(meta_of("ghost", "ns", 99, 7)))


async def test_one_stream_is_list_and_watch(autojump_clock: MockClock) -> None:
    """Nothing is shown before the mark, then everything at once, and the stream goes on."""
    api = FakeApi()
    api.fill(1000)
    async with reflector(api) as rig:
        await rig.until_live()
        api.update("o7")
        await rig.until_same()

        assert [asked.verb for asked in api.requests] == ["watchlist"]
        assert (rig.sink.replaced, rig.sink.states) == (1, ["syncing", "live"])
        status_now = rig.source.status
        assert (status_now.sync_path, status_now.form) == ("streaming", "metadata")
        assert status_now.resource_version == str(api.rv)
        assert rig.ledger.counts == {("watchlist", "things.example.io"): 1}
        assert rig.counters.counts["events_total{ADDED}"] == 1000


@pytest.mark.parametrize(
    "answer",
    [
        refusal(422, "Invalid"),
        refusal(400, "BadRequest"),
        refusal(500, "InternalError"),
        Body([line("ERROR", status(500, "InternalError", "no progress requests"))]),
        Body([OBJECT, OBJECT], end=None),
        Body([], end=None),
        Body([OBJECT]),
        Body([OBJECT, line("X", None)]),
        Body([OBJECT, b"nonsense\n"]),
        Body([b"x" * (LINE_MAX_BYTES + 1), b"\n"]),
    ],
    ids=[
        "422",
        "400",
        "500",
        "ERROR 500",
        "no mark",
        "option ignored, no objects",
        "end without the mark",
        "unknown event",
        "no JSON",
        "oversize",
    ],
)
async def test_a_server_that_cannot_is_listed_in_pages_for_good(
    answer: Answer, autojump_clock: MockClock
) -> None:
    """Within the deadline, nothing of the stream is shown, and it is not asked again."""
    api = FakeApi()
    api.fill(600)
    api.watches.append(answer)
    async with reflector(api) as rig:
        with trio.fail_after(11):
            await rig.until_live()
        rig.assert_same()
        assert len(rig.sink.changes) == 600
        assert rig.source.status.sync_path == "pages"

        api.expire()
        api.cut()
        await trio.sleep(5)
        await rig.until_same()
        assert len(api.asked("watchlist")) == 1
        assert len(api.asked("list")) == 4


async def test_a_busy_stream_without_a_mark_has_a_limit_too(autojump_clock: MockClock) -> None:
    """Frames keep coming, but the end does not."""
    api = FakeApi()
    api.watches.append(Body([], end=None))
    async with reflector(api) as rig:
        await trio.sleep(1)
        [asked] = api.requests
        assert asked.verb == "watchlist"
        api.watches.clear()
        stream = api.last_stream
        assert stream is not None
        for _ in range(30):
            await trio.sleep(5)
            stream.send(OBJECT)
        await rig.until_same()

        assert 110 < api.asked("list")[0].at < 130


@pytest.mark.parametrize(
    "answer",
    [
        Stalled(),
        refusal(504, "Timeout", details={"causes": [{"reason": "ResourceVersionTooLarge"}]}),
        refusal(504, "Timeout"),
        refusal(410, "Expired"),
        refusal(403, "Forbidden"),
        failing(FailureKind.TIMEOUT),
        Body([], headers={"content-type": "text/html"}),
    ],
)
async def test_what_may_pass_is_listed_in_pages_this_time(
    answer: Answer, autojump_clock: MockClock
) -> None:
    """The next list is streamed again."""
    api = FakeApi()
    api.fill(3)
    api.watches.append(answer)
    async with reflector(api) as rig:
        with trio.fail_after(11):
            await rig.until_live()
        rig.assert_same()
        assert (len(api.asked("watchlist")), len(api.asked("list"))) == (1, 1)

        api.expire()
        api.cut()
        await trio.sleep(5)
        await rig.until_same()
        assert (len(api.asked("watchlist")), len(api.asked("list"))) == (2, 1)


async def test_headers_that_never_come_are_awaited_twice_and_no_more(
    autojump_clock: MockClock,
) -> None:
    """Behind a proxy that holds them back every list would cost ten seconds."""
    api = FakeApi()
    api.always["watchlist"] = Stalled()
    async with reflector(api) as rig:
        for _ in range(3):
            await rig.until_live()
            api.expire()
            api.cut()
            await trio.sleep(300)
        await rig.until_live()

        assert len(api.asked("watchlist")) == 2


async def test_a_stream_cut_before_the_mark_shows_nothing(autojump_clock: MockClock) -> None:
    """It is asked for again; what it brought is dropped."""
    api = FakeApi()
    api.fill(3)
    api.watches.append(Body([OBJECT, OBJECT[:30]], end=failing(FailureKind.CUT)))
    async with reflector(api) as rig:
        await rig.until_live()
        rig.assert_same()

        assert len(rig.sink.changes) == 3
        assert (len(api.asked("watchlist")), len(api.asked("list"))) == (2, 0)


async def test_a_stream_cut_twice_is_listed_in_pages(autojump_clock: MockClock) -> None:
    """Something on the way cannot take it."""
    api = FakeApi()
    api.fill(3)
    api.always["watchlist"] = Body([OBJECT], end=failing(FailureKind.CUT))
    async with reflector(api) as rig:
        await rig.until_live()
        rig.assert_same()

        assert (len(api.asked("watchlist")), len(api.asked("list"))) == (2, 1)


async def test_changes_before_the_mark_count(autojump_clock: MockClock) -> None:
    """MODIFIED and DELETED are applied to what is staged; a bookmark without the mark is none."""
    api = FakeApi()
    body = Body(
        [
            line("ADDED", partial(meta_of("a", "ns", 1, 1))),
            line("ADDED", partial(meta_of("b", "ns", 2, 2))),
            bookmark(3),
            line("MODIFIED", partial(meta_of("a", "ns", 1, 4))),
            line("DELETED", partial(meta_of("b", "ns", 2, 5))),
            line("ADDED", partial(meta_of("c", "ns", 3, 6))),
            line("DELETED", partial(meta_of("c", "ns", 99, 6))),
            line("ADDED", {"kind": "Other", "metadata": meta_of("d", "ns", 4, 7)}),
            bookmark(8, mark=True) + line("ADDED", partial(meta_of("e", "ns", 5, 9))),
        ],
        end=None,
    )
    api.watches.append(body)
    async with reflector(api) as rig:
        await rig.until_live()
        await trio.sleep(0.1)

        shown = {key[1]: obj.resource_version for key, obj in rig.sink.objects.items()}
        assert shown == {"a": "4", "c": "6", "e": "9"}
        assert rig.sink.changes[-1] == ("ADD", ("ns", "e"), "9")
        assert rig.sink.quarantine == [(("ns", "d"), "it has kind 'Other', not Thing")]
        assert rig.sink.resource_version == "9"


async def test_a_stream_that_ends_right_after_its_mark_is_resumed(
    autojump_clock: MockClock,
) -> None:
    """The list is whole; only the watch has to be opened."""
    api = FakeApi()
    api.fill(1)
    api.watches.append(
        Body([line("ADDED", partial(api.objects["ns", "o0"])), bookmark(1001, mark=True)])
    )
    async with reflector(api) as rig:
        await rig.until_same()

        assert [asked.verb for asked in api.requests] == ["watchlist", "watch"]


async def test_a_refused_connection_is_not_taken_for_inability(autojump_clock: MockClock) -> None:
    """Pages would be refused as well."""
    api = FakeApi()
    api.watches.extend([failing(FailureKind.CONNECT, "connection refused")] * 3)
    async with reflector(api) as rig:
        await trio.sleep(0.1)
        assert rig.sink.state == "syncing"
        assert "connection refused" in rig.sink.truths[-1].reason
        await rig.until_live()

        assert [asked.verb for asked in api.requests] == ["watchlist"] * 4
