"""Fault verbs that act at once: on open watches, on history, on connections."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from replay.apiserver import ApiServer
from tests.replay.conftest import CERTIFICATES, IN_SHOP, Dial, watching
from tests.replay.http_client import CutError

PODS = "/api/v1/pods"


async def test_drop_watches_ends_them_cleanly(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """The body ends properly; other resources are left alone."""
    lines = await watching(server, dial)
    pods = await watching(server, dial, PODS)

    assert server.drop_watches("certificates") == 1
    assert await lines.event() is None
    server.model.create("pods", {"metadata": {"namespace": "shop", "name": "p"}})
    assert await pods.names(1) == [("ADDED", "p")]


async def test_cut_mid_line_leaves_half_a_line(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """What was queued arrives whole, then half a line, then nothing."""
    lines = await watching(server, dial)
    empty = await watching(server, dial, PODS)
    server.model.delete("certificates", "web-0", "shop")

    assert server.cut_mid_line() == 2

    assert await lines.names(1) == [("DELETED", "web-0")]
    with pytest.raises(CutError) as caught:
        await lines.event()
    assert caught.value.tail.startswith(b'{"type":"MODIFIED"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(caught.value.tail)
    with pytest.raises(CutError) as caught:
        await empty.event()
    assert caught.value.tail.startswith(b'{"type":')


async def test_expire_as_event(autojump_clock: MockClock, server: ApiServer, dial: Dial) -> None:
    """Open watches get 410 and end; the same RV gets it again; a fresh list works."""
    rv = server.model.store.rv
    lines = await watching(server, dial)

    server.expire("certificates")
    event = await lines.event()
    ended = await lines.event()
    again = await (await dial()).watch(f"{CERTIFICATES}?watch=1&resourceVersion={rv}")
    fresh = (await (await dial()).get(CERTIFICATES)).json()["metadata"]["resourceVersion"]
    live = await (await dial()).watch(
        f"{CERTIFICATES}?watch=1&resourceVersion={fresh}&timeoutSeconds=5"
    )

    assert (event["type"], event["object"]["reason"]) == ("ERROR", "Expired")
    assert ended is None
    assert (await again.event())["object"]["code"] == 410
    assert await live.event() is None


async def test_expire_can_say_gone(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Some servers give 410 the older reason."""
    lines = await watching(server, dial)

    server.expire(reason="Gone")

    assert (await lines.event())["object"]["reason"] == "Gone"


async def test_expire_as_status(autojump_clock: MockClock, server: ApiServer, dial: Dial) -> None:
    """Open watches just end; reopening from the old RV is HTTP 410."""
    rv = server.model.store.rv
    lines = await watching(server, dial)

    server.expire("certificates", shape="status")
    ended = await lines.event()
    response = await (await dial()).get(f"{CERTIFICATES}?watch=1&resourceVersion={rv}")

    assert ended is None
    assert (response.status, response.json()["reason"]) == (410, "Expired")


async def test_stall_holds_back_and_resume_delivers(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """The connection stays open in silence, longer than its timeout; then everything comes."""
    lines = await watching(server, dial)
    assert server.stall("certificates") == 1
    server.model.delete("certificates", "web-0", "shop")

    with trio.move_on_after(1000) as silence:
        await lines.event()
    reopened = await watching(server, dial)
    server.model.delete("certificates", "web-1", "shop")
    other = await reopened.names(1)
    server.resume()

    assert silence.cancelled_caught
    assert other == [("DELETED", "web-1")]
    assert (await lines.names(1))[0] == ("DELETED", "web-0")


async def test_stall_can_hold_new_requests_too(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """No answer at all until resume; requests for other resources are answered."""
    client, other = await dial(), await dial()
    server.stall("certificates", new_requests=True)

    with trio.move_on_after(100) as silence:
        await client.get(CERTIFICATES)
    fine = await other.get(PODS)
    server.resume()

    assert silence.cancelled_caught
    assert fine.status == 200
    assert (await other.get(CERTIFICATES)).status == 200


async def test_a_stalled_watch_can_be_dropped(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Its end, too, is held back until resume."""
    lines = await watching(server, dial)
    server.stall()
    server.drop_watches()

    with trio.move_on_after(10) as silence:
        await lines.event()
    server.resume()

    assert silence.cancelled_caught
    assert await lines.event() is None


async def test_expire_continue(autojump_clock: MockClock, server: ApiServer, dial: Dial) -> None:
    """Tokens of before are 410 with an inconsistent token; a new list works."""
    client = await dial()
    token = (await client.get(f"{IN_SHOP}?limit=2")).json()["metadata"]["continue"]
    server.expire_continue()

    response = await client.get(f"{IN_SHOP}?limit=2&continue={token}")

    assert response.status == 410
    assert response.json()["metadata"]["continue"]
    assert (await client.get(f"{IN_SHOP}?limit=2")).status == 200


@pytest.mark.parametrize("rv", [None, "", "0"])
async def test_bad_bookmark(
    autojump_clock: MockClock, server: ApiServer, dial: Dial, rv: str | None
) -> None:
    """A bookmark whose resourceVersion is missing, empty or zero."""
    lines = await watching(server, dial)

    assert server.bad_bookmark("certificates", rv=rv) == 1

    event = await lines.event()
    assert event["type"] == "BOOKMARK"
    assert event["object"]["metadata"].get("resourceVersion") == rv


async def test_bookmark_at_will(autojump_clock: MockClock, server: ApiServer, dial: Dial) -> None:
    """An honest bookmark without waiting a minute."""
    lines = await watching(server, dial)
    rv = server.model.store.tick()

    assert server.bookmark() == 1

    assert (await lines.event())["object"]["metadata"]["resourceVersion"] == str(rv)


async def test_inject_line(autojump_clock: MockClock, server: ApiServer, dial: Dial) -> None:
    """Any bytes reach the open watches between honest events."""
    lines = await watching(server, dial)
    server.model.delete("certificates", "web-0", "shop")

    assert server.inject_line(b'{"type":"NEW"\x85}\n') == 1
    server.model.delete("certificates", "web-1", "shop")

    assert await lines.names(1) == [("DELETED", "web-0")]
    assert await lines.raw() == b'{"type":"NEW"\x85}'
    assert await lines.names(1) == [("DELETED", "web-1")]


async def test_refuse_and_accept(autojump_clock: MockClock, server: ApiServer, dial: Dial) -> None:
    """New connections are refused, open ones go on, until accept."""
    client = await dial()
    server.refuse()

    with pytest.raises(ConnectionRefusedError):
        await dial()
    status = (await client.get(CERTIFICATES)).status
    server.accept()

    assert status == 200
    assert (await (await dial()).get(CERTIFICATES)).status == 200


async def test_cut_connections(autojump_clock: MockClock, server: ApiServer, dial: Dial) -> None:
    """Every connection ends, idle and busy ones."""
    idle = await dial()
    await idle.get(CERTIFICATES)
    lines = await watching(server, dial)

    assert server.cut_connections() == 2
    await wait_all_tasks_blocked()

    assert not server.connections
    assert not server.watches
    with pytest.raises(CutError):
        await lines.event()
    with pytest.raises((CutError, trio.BrokenResourceError)):
        await idle.get(CERTIFICATES)


async def test_restart_begins_history_anew(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """All connections are cut, and an RV of before is expired; the objects are there."""
    rv = server.model.store.rv
    lines = await watching(server, dial)

    server.restart()
    with pytest.raises(CutError):
        await lines.event()
    client = await dial()
    again = await client.watch(f"{CERTIFICATES}?watch=1&resourceVersion={rv}")
    event = await again.event()

    assert event["object"]["code"] == 410
    assert len((await (await dial()).get(CERTIFICATES)).json()["items"]) == 12


def test_a_server_prints_in_one_line(server: ApiServer) -> None:
    """A failing test shows where the server stands."""
    assert repr(server).startswith("<ApiServer rv=")
    assert repr(server.accepting) == "<Gate open>"
