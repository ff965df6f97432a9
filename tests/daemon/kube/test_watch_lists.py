"""Lists in pages: whole or not at all."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.errors import FailureKind
from orka.daemon.kube.http import Response
from tests.daemon.kube.fake_api import (
    JSON_HEADERS,
    Answer,
    FakeApi,
    Stalled,
    failing,
    meta_of,
    page,
    partial,
    refusal,
    status,
)
from tests.daemon.kube.harness import reflector

HTML = Response(200, {"content-type": "text/html"}, b"<html>Log in</html>")


def paged(count: int) -> FakeApi:
    """A server without streaming lists and with so many objects."""
    api = FakeApi()
    api.streaming = False
    api.fill(count)
    return api


async def test_pages_are_one_swap(autojump_clock: MockClock) -> None:
    """Nothing is shown before the last page, and the version is the list's."""
    api = paged(1234)
    api.list_seconds = 1
    async with reflector(api) as rig:
        await trio.sleep(2.5)
        assert rig.sink.objects == {}
        await rig.until_live()

        assert (rig.sink.replaced, len(rig.sink.objects)) == (1, 1234)
        limits = [asked.params.get("limit") for asked in api.asked("list")]
        assert limits == ["500", "500", "500"]
        assert api.asked("watch")[0].params["resourceVersion"] == str(api.rv)
        rig.assert_same()


async def test_an_expired_token_starts_the_list_again(autojump_clock: MockClock) -> None:
    """The token that the server offers instead mixes moments and is never sent."""
    api = paged(1200)
    inconsistent = status(410, "Expired") | {"metadata": {"continue": "inconsistent"}}
    expired = Response(410, JSON_HEADERS, json.dumps(inconsistent).encode())
    api.lists.extend([None, None, expired])
    async with reflector(api) as rig:
        await rig.until_live()
        rig.assert_same()

        tokens = [asked.params.get("continue") for asked in api.asked("list")]
        assert tokens == [None, "2200:500", "2200:1000", None, "2200:500", "2200:1000"]
        assert rig.sink.replaced == 1


async def test_a_list_that_cannot_be_paged_is_asked_for_whole(autojump_clock: MockClock) -> None:
    """After two restarts."""
    api = paged(1200)
    api.lists.extend([None, refusal(410, "Expired")] * 3)
    async with reflector(api) as rig:
        await rig.until_live()
        rig.assert_same()

        last = api.asked("list")[-1]
        assert (last.params, len(api.asked("list"))) == ({}, 7)


async def test_an_expired_first_page_is_asked_for_again(autojump_clock: MockClock) -> None:
    """It names no resourceVersion that could be too old."""
    api = paged(3)
    api.lists.append(refusal(410, "Expired"))
    async with reflector(api) as rig:
        await rig.until_live()

        assert len(api.asked("list")) == 2


async def test_pages_of_different_moments_make_no_list(autojump_clock: MockClock) -> None:
    """Another resourceVersion on page 2 starts the list again."""
    api = paged(600)
    other = page({"resourceVersion": "9"}, [partial(meta_of("ghost", "ns", 99, 9))])
    api.lists.extend([None, other])
    async with reflector(api) as rig:
        await rig.until_live()
        rig.assert_same()

        assert len(api.asked("list")) == 4
        assert len(rig.sink.changes) == 600


@pytest.mark.parametrize(
    "answer",
    [refusal(504, "Timeout"), failing(FailureKind.CUT), Stalled()],
    ids=["504", "cut", "hung"],
)
async def test_a_page_that_takes_too_long_is_made_smaller(
    answer: Answer, autojump_clock: MockClock
) -> None:
    """500, 100, 25; nothing of what was cut is shown; afterwards larger ones are tried again."""
    api = paged(30)
    api.lists.extend([answer] * 3)
    async with reflector(api) as rig:
        await rig.until_live()
        rig.assert_same()
        limits = [asked.params["limit"] for asked in api.asked("list")]
        assert limits == ["500", "100", "25", "25", "25"]

        rig.source.request_relist("user")
        await trio.sleep(100)
        assert api.asked("list")[-1].params["limit"] == "100"


SAME = partial(meta_of("o0", "ns", 1, 1001))
CUT_WITH_STATUS = (
    page({"resourceVersion": "9"}, [SAME, SAME]).body[:-3]
    + json.dumps(status(500, "InternalError")).encode()
)


@pytest.mark.parametrize(
    "answer",
    [
        HTML,
        Response(200, {}, b"{}"),
        Response(200, JSON_HEADERS, CUT_WITH_STATUS),
        Response(200, JSON_HEADERS, b""),
        page({"resourceVersion": "9"}, [SAME], kind="Thing"),
        refusal(500, "InternalError", message="conversion webhook failed"),
        refusal(401, "Unauthorized"),
        failing(FailureKind.CONNECT),
    ],
    ids=["html", "no type", "status appended", "empty", "no list", "500", "401", "refused"],
)
async def test_what_is_no_list_deletes_nothing(answer: Answer, autojump_clock: MockClock) -> None:
    """What is shown stays, said to be stale and why, until a list is a list again."""
    api = paged(20)
    async with reflector(api) as rig:
        await rig.until_live()
        api.always["list"] = answer
        api.expire()
        api.cut()
        await trio.sleep(120)
        assert len(rig.sink.objects) == 20
        assert (rig.sink.state, rig.sink.truths[-1].hint) == ("stale", None)
        assert rig.sink.truths[-1].reason.startswith("list failed: ")
        assert len(api.asked("list")) < 12

        api.delete("o3")
        api.always.clear()
        await rig.until_same()
        assert len(rig.sink.changes) == 21


@pytest.mark.parametrize("body", [b'"items":null', b'"x":1'])
async def test_a_list_without_items_is_empty(body: bytes, autojump_clock: MockClock) -> None:
    """If it is a list and has a version."""
    api = paged(0)
    text = b'{"kind":"ThingList","metadata":{"resourceVersion":"1000"},' + body + b"}"
    api.lists.append(Response(200, JSON_HEADERS, text))
    async with reflector(api) as rig:
        await rig.until_live()
        assert (rig.sink.replaced, rig.sink.objects) == (1, {})


@pytest.mark.parametrize("version", ["", "0"])
async def test_a_list_without_a_version_cannot_be_watched_and_says_so(
    version: str, autojump_clock: MockClock
) -> None:
    """No watch is opened from it, and it is not asked for more than once a minute."""
    api = paged(0)
    api.always["list"] = page({"resourceVersion": version}, [SAME])
    async with reflector(api) as rig:
        await trio.sleep(600)
        assert rig.sink.state == "unavailable"
        assert rig.sink.truths[-1].reason.startswith("cannot be watched")
        assert api.asked("watch") == []
        assert len(api.asked("list")) <= 10

        api.always.clear()
        await rig.until_live()


async def test_an_option_that_is_refused_is_not_asked_for_again_at_once(
    autojump_clock: MockClock,
) -> None:
    """400 and its like do not pass by themselves: a minute at least."""
    api = paged(0)
    api.always["list"] = refusal(400, "BadRequest")
    async with reflector(api) as rig:
        await trio.sleep(600)

        assert rig.sink.state == "syncing"
        assert len(api.asked("list")) <= 10


async def test_a_bad_item_is_set_aside_alone(autojump_clock: MockClock) -> None:
    """Counted with its key where it has one; the others are listed."""
    api = paged(0)
    items = [SAME, {"metadata": {}}, {"kind": "Other", "metadata": {"name": "x"}}]
    api.lists.append(page({"resourceVersion": "1001"}, items))
    async with reflector(api) as rig:
        await rig.until_live()

        assert set(rig.sink.objects) == {("ns", "o0")}
        assert [key for key, _ in rig.sink.quarantine] == [None, (None, "x")]
        assert rig.source.status.without_uid == 0
