"""Watches: order, resuming, bookmarks, expiry, streaming lists, and who is too slow."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, wait_all_tasks_blocked

from replay.apiserver import ApiServer
from replay.apiserver.clusters import populate
from replay.apiserver.watch import BUFFER_MAX_EVENTS
from tests.replay.conftest import CERTIFICATES, IN_SHOP, STREAMING, Dial, small_model
from tests.replay.http_client import METADATA, METADATA_LIST, Client, CutError

END = {"k8s.io/initial-events-end": "true"}


def watch_from(rv: int | str, more: str = "", path: str = CERTIFICATES) -> str:
    """The path of a watch from a revision."""
    return f"{path}?watch=1&resourceVersion={rv}&timeoutSeconds=300{more}"


async def test_changes_arrive_in_order_with_their_revisions(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """ADDED, MODIFIED and DELETED come as they happened, the last with the delete's RV."""
    client = await dial()
    lines = await client.watch(watch_from(server.model.store.rv))

    server.model.create("certificates", {"metadata": {"namespace": "shop", "name": "new"}})
    server.model.patch("certificates", "new", {"spec": {"a": 1}}, "shop")
    server.model.delete("certificates", "new", "shop")

    events = [await lines.event() for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(versions)
    assert versions[-1] == server.model.store.rv
    assert events[-1]["object"]["spec"] == {"a": 1}


async def test_a_watch_resumes_with_what_it_missed(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """From an RV in the history the changes since then come first."""
    rv = server.model.store.rv
    server.model.delete("certificates", "web-0", "shop")
    server.model.delete("certificates", "web-1", "payments")
    client = await dial()

    lines = await client.watch(watch_from(rv))

    assert await lines.names(2) == [("DELETED", "web-0"), ("DELETED", "web-1")]


async def test_a_namespaced_watch_sees_its_namespace_only(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Changes elsewhere do not appear, neither missed nor live ones."""
    rv = server.model.store.rv
    server.model.delete("certificates", "web-0", "payments")
    client = await dial()
    lines = await client.watch(watch_from(rv, path=IN_SHOP))
    server.model.delete("certificates", "web-1", "payments")
    server.model.delete("certificates", "web-2", "shop")

    assert await lines.names(1) == [("DELETED", "web-2")]


async def test_metadata_only_watches_carry_no_spec(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Events hold PartialObjectMetadata."""
    client = await dial()
    lines = await client.watch(watch_from(server.model.store.rv), METADATA)
    server.model.patch("certificates", "web-0", {"spec": {"a": 1}}, "shop")

    event = await lines.event()

    assert event["object"]["kind"] == "PartialObjectMetadata"
    assert set(event["object"]) == {"kind", "apiVersion", "metadata"}


async def test_the_form_of_a_list_breaks_a_watch(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Crossed, the stream ends before its first event."""
    client = await dial()

    lines = await client.watch(f"{CERTIFICATES}?watch=1", METADATA_LIST)

    assert (lines.status, await lines.event()) == (200, None)


async def test_a_quiet_watch_gets_bookmarks_and_ends_at_its_timeout(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """A bookmark each minute, one two seconds before the end, then a proper end."""
    client = await dial()
    lines = await client.watch(
        f"{CERTIFICATES}?watch=1&resourceVersion={server.model.store.rv}"
        "&timeoutSeconds=150&allowWatchBookmarks=true"
    )
    server.model.store.tick()  # a write of another kind

    times = []
    while (event := await lines.event()) is not None:
        assert event["type"] == "BOOKMARK"
        assert event["object"]["metadata"]["resourceVersion"] == str(server.model.store.rv)
        times.append(trio.current_time())

    assert times == pytest.approx([60, 120, 148])
    assert trio.current_time() == pytest.approx(150)


async def test_no_bookmark_goes_back_to_where_the_watch_began(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Without any write there is no bookmark, however long the watch lasts."""
    client = await dial()

    lines = await client.watch(watch_from(server.model.store.rv, "&allowWatchBookmarks=true"))

    assert await lines.event() is None
    assert trio.current_time() == pytest.approx(300)


async def test_without_progress_notifications_bookmarks_stay_with_their_kind(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """A write of another kind then moves no bookmark."""
    server.progress_notify = False
    client = await dial()
    lines = await client.watch(watch_from(server.model.store.rv, "&allowWatchBookmarks=true"))
    server.model.store.tick()

    assert await lines.event() is None


async def test_the_last_bookmark_needs_more_than_two_seconds(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """With timeoutSeconds=3 it comes after one second, with 2 never."""
    client = await dial()
    rv = server.model.store.rv
    server.model.store.tick()
    path = f"{CERTIFICATES}?watch=1&resourceVersion={rv}&allowWatchBookmarks=true&timeoutSeconds="

    short = await client.watch(f"{path}2")
    nothing = await short.event()
    await client.next_cycle()
    longer = await client.watch(f"{path}3")
    started = trio.current_time()
    bookmark = await longer.event()

    assert nothing is None
    assert bookmark["type"] == "BOOKMARK"
    assert trio.current_time() - started == pytest.approx(1)


async def test_a_clean_end_leaves_the_connection_usable(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """After a watch the next request goes over the same connection."""
    client = await dial()
    lines = await client.watch(watch_from(server.model.store.rv))
    await lines.event()

    await client.next_cycle()
    response = await client.get(CERTIFICATES)

    assert response.status == 200
    assert {record.connection for record in server.requests} == {1}


async def test_an_old_revision_is_expired_inside_the_stream(autojump_clock: object) -> None:
    """410 comes as an ERROR event on a 200, and ends the stream."""
    server = ApiServer(small_model(history_limit=3))
    async with server.memory() as connect:
        client = Client(await connect())

        lines = await client.watch(watch_from(3))
        event = await lines.event()

        assert lines.status == 200
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        assert event["object"]["message"].startswith("too old resource version: 3 (")
        assert await lines.event() is None


async def test_a_revision_from_the_future_is_accepted_in_silence(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Changes up to that revision are not shown, nor is there an error."""
    client = await dial()
    lines = await client.watch(watch_from(server.model.store.rv + 1))

    server.model.delete("certificates", "web-0", "shop")
    server.model.delete("certificates", "web-1", "shop")

    assert await lines.names(1) == [("DELETED", "web-1")]


async def test_a_streaming_list_marks_its_end_and_goes_on_live(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """All objects as ADDED, then a bookmark with the annotation, then changes."""
    client = await dial()

    lines = await client.watch(STREAMING, METADATA)
    initial = await lines.names(12)
    mark = await lines.event()
    server.model.delete("certificates", "web-0", "shop")

    assert initial == [("ADDED", f"web-{i}") for _ in range(2) for i in range(6)]
    assert mark["object"]["metadata"]["annotations"] == END
    assert mark["object"]["metadata"]["resourceVersion"] == str(server.model.store.rv - 1)
    assert await lines.names(1) == [("DELETED", "web-0")]
    assert [record.verb for record in server.requests] == ["watchlist"]


async def test_changes_during_a_streaming_list_come_after_it(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """The initial events are one snapshot; what changes meanwhile follows once."""
    populate(server.model, "configmaps", 1000)
    client = await dial()
    lines = await client.watch(STREAMING.replace(CERTIFICATES, "/api/v1/configmaps"))
    server.model.delete("configmaps", "item-999", "ns-0")

    initial = await lines.names(1000)
    mark = await lines.event()

    assert initial[-1] == ("ADDED", "item-999")
    assert mark["type"] == "BOOKMARK"
    assert await lines.names(1) == [("DELETED", "item-999")]


async def test_a_streaming_list_needs_its_gate(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """With the gate off the request is 422, with it on a bad combination is."""
    client = await dial()

    bad = await client.get(f"{CERTIFICATES}?watch=1&sendInitialEvents=true")
    alone = await client.get(f"{CERTIFICATES}?watch=1&resourceVersionMatch=NotOlderThan")
    server.streaming_list = False
    off = await client.get(STREAMING)

    assert (bad.status, alone.status, off.status) == (422, 422, 422)
    assert "unless the WatchList feature gate is enabled" in off.json()["message"]


async def test_a_watch_from_nowhere_becomes_a_streaming_list(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """A server with streaming lists marks the end also when it was not asked; others do not."""
    client, other = await dial(), await dial()
    path = f"{CERTIFICATES}?watch=1&allowWatchBookmarks=true&timeoutSeconds=10"

    lines = await client.watch(path)
    await lines.names(12)
    mark = await lines.event()
    server.streaming_list = False
    plain = await other.watch(path)
    await plain.names(12)

    assert mark["object"]["metadata"]["annotations"] == END
    assert await plain.event() is None


async def test_a_streaming_list_from_the_future_says_so_in_an_event(
    autojump_clock: MockClock, dial: Dial
) -> None:
    """After three seconds of waiting an ERROR event of 504 comes."""
    client = await dial()

    lines = await client.watch(f"{STREAMING}&resourceVersion=99999")
    event = await lines.event()

    assert event["object"]["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize(
    ("query", "status"),
    [("resourceVersion=abc", 500), ("timeoutSeconds=x", 400), ("fieldSelector=a=b", 400)],
)
async def test_bad_watch_options_are_refused(
    autojump_clock: MockClock, dial: Dial, query: str, status: int
) -> None:
    """They are HTTP errors before any stream."""
    client = await dial()

    assert (await client.get(f"{CERTIFICATES}?watch=1&{query}")).status == status


async def test_a_negative_timeout_ends_at_once(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """The stream opens and ends properly."""
    client = await dial()

    lines = await client.watch(f"{CERTIFICATES}?watch=1&resourceVersion=99&timeoutSeconds=-1")

    assert await lines.event() is None
    assert trio.current_time() == pytest.approx(0)


async def test_a_watch_without_a_timeout_lasts_half_an_hour_to_an_hour(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """The server draws the duration itself."""
    client = await dial()

    lines = await client.watch(f"{CERTIFICATES}?watch=1&resourceVersion={server.model.store.rv}")
    await lines.event()

    assert 1800 <= trio.current_time() <= 3600


async def test_a_client_that_leaves_is_noticed(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """The watch of a closed connection is gone at once."""
    client = await dial()
    await client.watch(watch_from(server.model.store.rv))
    assert len(server.watches) == 1

    await client.stream.aclose()
    await wait_all_tasks_blocked()

    assert not server.watches
    assert not server.connections


async def test_a_slow_reader_loses_its_watch_and_blocks_nobody(
    autojump_clock: MockClock, server: ApiServer, dial: Dial, nursery: trio.Nursery
) -> None:
    """Once its buffer is over the limit for a while the stream ends; others see everything."""
    ours, theirs = lockstep_stream_pair()  # send_all waits until the other side reads
    nursery.start_soon(server.serve_connection, ours)
    slow, quick = Client(theirs), await dial()
    path = watch_from(server.model.store.rv)
    behind = await slow.watch(path)
    lines = await quick.watch(path)
    server.model.patch("certificates", "web-0", {"spec": {"n": -1}}, "shop")
    await trio.sleep(1)

    for index in range(BUFFER_MAX_EVENTS + 10):
        server.model.patch("certificates", "web-0", {"spec": {"n": index}}, "shop")

    assert len(await lines.names(BUFFER_MAX_EVENTS + 11)) == BUFFER_MAX_EVENTS + 11
    assert await behind.names(1) == [("MODIFIED", "web-0")]
    assert await behind.event() is None


async def test_a_reader_that_never_reads_is_cut_after_its_deadline(
    autojump_clock: MockClock, server: ApiServer, nursery: trio.Nursery
) -> None:
    """A stuck client does not keep its watch for ever."""
    ours, theirs = lockstep_stream_pair()
    nursery.start_soon(server.serve_connection, ours)
    client = Client(theirs)
    lines = await client.watch(watch_from(server.model.store.rv))
    server.model.patch("certificates", "web-0", {"spec": {"n": 1}}, "shop")

    await trio.sleep(310)

    assert not server.watches
    await lines.event()  # was on its way
    with pytest.raises(CutError):
        await lines.event()


async def test_open_watches_and_finished_requests_are_counted(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """The metrics have the real server's names and labels; a watch counts when it ends."""
    client, other = await dial(), await dial()
    await client.get(CERTIFICATES)
    await client.get(CERTIFICATES)
    lines = await other.watch(watch_from(server.model.store.rv))

    def series(text: str, name: str, verb: str) -> list[str]:
        return [
            line.rpartition(" ")[2]
            for line in text.splitlines()
            if line.startswith(f"{name}{{") and f'verb="{verb}"' in line and "certificates" in line
        ]

    during = (await client.get("/metrics")).body.decode()
    server.drop_watches()
    await lines.event()
    after = (await client.get("/metrics")).body.decode()

    assert series(during, "apiserver_longrunning_requests", "WATCH") == ["1"]
    assert series(during, "apiserver_request_total", "LIST") == ["2"]
    assert series(during, "apiserver_request_total", "WATCH") == []
    assert series(after, "apiserver_longrunning_requests", "WATCH") == ["0"]
    assert series(after, "apiserver_request_total", "WATCH") == ["1"]
    assert 'group="cert-manager.io",resource="certificates",scope="cluster"' in after
