"""A session answers requests, refuses what is wrong, and ends every stream with a word."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orka.daemon.model import ResourceVersion, TruthChange
from orka.daemon.serve.client import DROP_SECONDS, LAGGING_SECONDS
from orka.daemon.serve.hub import RING_MAX_FRAMES
from orka.proto.frames import frame
from orka.proto.messages import (
    AllNamespaces,
    Change,
    ClientMessage,
    DefaultNamespace,
    Diff,
    Discover,
    End,
    Error,
    Fresh,
    Hello,
    Lagged,
    List,
    Metrics,
    Namespaces,
    Note,
    Page,
    Progress,
    Resources,
    ServerMessage,
    StateChange,
    Status,
    StatusReport,
    Stop,
    Synced,
    Text,
    Truth,
    Watch,
    encode,
)
from orka.proto.names import CLIENT_FRAME_MAX_BYTES, PROTOCOL
from tests.support.builders import applied, deleted, lite
from tests.support.serving import NODES, TARGET, Bench, FakeService, TestClient, serving

LIVE = TruthChange("live", "watching")


def rv(text: str) -> ResourceVersion:
    """An opaque token."""
    return ResourceVersion(text)


def make_live(service: FakeService, *names: str) -> None:
    """A first list of these objects, and a watch on top of it."""
    service.world.replace([lite(name) for name in names], rv("1"))
    service.world.truth(LIVE)
    service.world.alive()


async def answer(bench: Bench, request: ClientMessage) -> list[ServerMessage]:
    """The whole answer to one request on a connection of its own, without the hello."""
    client = bench.connect()
    client.greet()
    client.say(request)
    heard = await client.hear_until(End, Error)
    assert isinstance(heard[0], Hello)
    return heard[1:]


async def watching(bench: Bench, request: Watch, capacity: float = float("inf")) -> TestClient:
    """A client whose watch has reached its first position."""
    client = bench.connect(capacity)
    client.greet()
    client.say(request)
    await client.hear_until(Synced)
    return client


WATCH = Watch(TARGET, "certificates", AllNamespaces())
ROWS = List(TARGET, "certificates", AllNamespaces(), "rows")
TEXT = List(TARGET, "certificates", AllNamespaces(), "text")


async def test_p1_the_first_word_about_a_kind_is_its_truth(autojump_clock: MockClock) -> None:
    """State, reason, age of the last proof of life, drops and cursor precede the rows."""
    async with serving() as bench:
        make_live(bench.service, "a", "b")
        await trio.sleep(3)
        truth, page, end = await answer(bench, ROWS)

    assert isinstance(truth, Truth)
    assert (truth.state, truth.age_seconds, truth.dropped, truth.objects) == ("live", 3, 0, 2)
    assert truth.context == "kind-dev"
    assert truth.cursor == "c1/certificates.cert-manager.io/l1:1@1"
    assert isinstance(page, Page)
    assert [row.name for row in page.rows] == ["a", "b"]
    assert end == End()


async def test_p1_stale_data_is_served_and_says_so(autojump_clock: MockClock) -> None:
    """A text answer has the rows on stdout and one line about their state on stderr."""
    async with serving() as bench:
        make_live(bench.service, "a")
        bench.service.world.truth(TruthChange("stale", "connection refused"))
        await trio.sleep(90)
        text, note, end = await answer(bench, TEXT)

    assert isinstance(text, Text)
    assert text.data.startswith(b"NAMESPACE")
    assert isinstance(note, Note)
    assert "stale" in note.text
    assert "connection refused" in note.text
    assert end == End()


async def test_p1_max_age_turns_old_data_into_exit_4(autojump_clock: MockClock) -> None:
    """The rows still come: the reader decides what to do with them."""
    async with serving() as bench:
        make_live(bench.service, "a")
        await trio.sleep(90)
        request = List(TARGET, "certificates", AllNamespaces(), "rows", max_age_seconds=60)
        *_, page, end = await answer(bench, request)

    assert isinstance(page, Page)
    assert isinstance(end, End)
    assert (end.code, end.exit_code) == ("not-fresh", 4)
    assert "90.0 s" in end.message


async def test_a_list_waits_for_the_first_sync_and_tells_how_far_it_is(
    autojump_clock: MockClock,
) -> None:
    """Progress while waiting, then the rows of the first complete list."""
    async with serving() as bench:

        async def sync_later() -> None:
            bench.service.world.progress(500)
            await trio.sleep(1)
            make_live(bench.service, "a")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(sync_later)
            request = List(TARGET, "certificates", AllNamespaces(), "rows", progress=True)
            heard = await answer(bench, request)

    assert Progress(500) in heard
    assert isinstance(heard[-2], Page)
    assert heard[-1] == End()


async def test_a_list_that_is_not_synced_in_time_exits_4(autojump_clock: MockClock) -> None:
    """What is there is printed, marked `syncing`."""
    async with serving() as bench:
        began = trio.current_time()
        request = List(TARGET, "certificates", AllNamespaces(), "rows", timeout_seconds=7)
        truth, end = await answer(bench, request)
        took = trio.current_time() - began

    assert isinstance(truth, Truth)
    assert (truth.state, truth.synced) == ("syncing", False)
    assert isinstance(end, End)
    assert end.exit_code == 4
    assert took == pytest.approx(7)


@pytest.mark.parametrize("request_type", [List, Watch])
async def test_a_server_that_does_not_say_what_it_serves_is_given_up_in_time(
    autojump_clock: MockClock, request_type: type[List | Watch]
) -> None:
    """The timeout of a request counts from its arrival, and the API server is named."""
    async with serving() as bench:
        began = trio.current_time()
        if request_type is List:
            asked: ClientMessage = List(TARGET, "hangs", AllNamespaces(), "rows", timeout_seconds=7)
        else:
            asked = Watch(TARGET, "hangs", AllNamespaces(), timeout_seconds=7)
        (error,) = await answer(bench, asked)
        took = trio.current_time() - began
        assert bench.service.leases == 0

    assert isinstance(error, Error)
    assert (error.code, error.exit_code) == ("timeout", 124)
    assert "the API server did not say within 7 s whether it serves hangs" in error.message
    assert took == pytest.approx(7)


async def test_a_list_with_a_timeout_of_0_has_what_is_there(autojump_clock: MockClock) -> None:
    """Nothing is waited for, and a kind that is known is found all the same."""
    async with serving() as bench:
        make_live(bench.service, "a")
        await trio.sleep(1)
        request = List(TARGET, "certificates", AllNamespaces(), "rows", timeout_seconds=0)
        heard = await answer(bench, request)

    assert [type(message) for message in heard] == [Truth, Page, End]


async def test_a_forbidden_kind_exits_5_and_names_the_command(autojump_clock: MockClock) -> None:
    """Nothing is shown, and the hint is the one that RBAC can be asked with."""
    async with serving() as bench:
        hint = "kubectl auth can-i list certificates.cert-manager.io"
        bench.service.world.truth(TruthChange("forbidden", "no rights", hint))
        truth, error = await answer(bench, ROWS)

    assert isinstance(truth, Truth)
    assert isinstance(error, Error)
    assert (error.code, error.exit_code, error.hint) == ("forbidden", 5, hint)


async def test_p1_a_watch_refused_before_the_first_list_never_says_synced(
    autojump_clock: MockClock,
) -> None:
    """An empty snapshot that nobody listed is no place to begin from."""
    async with serving() as bench:
        bench.service.world.truth(TruthChange("forbidden", "no rights", "ask"))
        heard = await answer(bench, Watch(TARGET, "certificates", AllNamespaces(), initial=True))

    assert not [message for message in heard if isinstance(message, (Synced, Page))]
    assert isinstance(heard[-1], Error)
    assert (heard[-1].code, heard[-1].hint) == ("forbidden", "ask")


async def test_p7_a_refused_request_leaves_the_connection_usable(
    autojump_clock: MockClock,
) -> None:
    """A kind that is not served is an answer, not the end of the conversation."""
    async with serving() as bench:
        make_live(bench.service, "a")
        client = bench.connect()
        client.greet()
        client.say(List(TARGET, "certs", AllNamespaces(), "rows"), ROWS)
        first = await client.hear_until(End, Error)
        second = await client.hear_until(End, Error)

    assert first[-1] == Error("not-served", "no certs", 6, "did you mean certificates?")
    assert second[-1] == End()


async def test_a_view_of_namespaces_names_nothing_else(autojump_clock: MockClock) -> None:
    """Rows and later changes of other namespaces are not sent."""
    async with serving() as bench:
        service = bench.service
        service.world.replace([lite("a", namespace="x"), lite("b", namespace="y")], rv("1"))
        service.world.truth(LIVE)
        await wait_all_tasks_blocked()
        client = bench.connect()
        client.greet()
        client.say(Watch(TARGET, "certificates", Namespaces(("y",)), initial=True))
        *_, page, synced = await client.hear_until(Synced)
        service.world.push([applied(lite("c", namespace="x"))], rv("2"))
        await trio.sleep(1)
        service.world.push([applied(lite("d", namespace="y"))], rv("3"))
        diff = (await client.hear_until(Diff))[-1]

    assert isinstance(page, Page)
    assert [row.name for row in page.rows] == ["b"]
    assert isinstance(synced, Synced)
    assert isinstance(diff, Diff)
    assert [change.obj.name for change in diff.changes] == ["d"]
    assert (diff.from_epoch, diff.to_epoch) == (synced.epoch, synced.epoch + 2)


async def test_the_default_namespace_is_the_contexts(autojump_clock: MockClock) -> None:
    """Only the daemon has read the kubeconfig."""
    async with serving() as bench:
        bench.service.world.replace([lite("a", namespace="default"), lite("b")], rv("1"))
        bench.service.world.truth(LIVE)
        request = List(TARGET, "certificates", DefaultNamespace(), "rows")
        _, page, _ = await answer(bench, request)

    assert isinstance(page, Page)
    assert [row.name for row in page.rows] == ["a"]


async def test_a_cluster_scoped_kind_ignores_namespaces(autojump_clock: MockClock) -> None:
    """As kubectl does."""
    async with serving(FakeService(NODES)) as bench:
        bench.service.world.replace([lite("node-1", namespace=None)], rv("1"))
        bench.service.world.truth(LIVE)
        request = List(TARGET, "nodes", Namespaces(("x",)), "rows")
        _, page, _ = await answer(bench, request)

    assert isinstance(page, Page)


async def test_an_empty_namespace_name_is_refused(autojump_clock: MockClock) -> None:
    """It would show nothing, silently."""
    async with serving() as bench:
        make_live(bench.service, "a")
        (error,) = await answer(bench, List(TARGET, "certificates", Namespaces(("",)), "rows"))

    assert isinstance(error, Error)
    assert (error.code, error.exit_code) == ("usage", 2)


async def test_p3_a_watch_is_a_snapshot_and_then_every_change(autojump_clock: MockClock) -> None:
    """Each diff starts at the epoch where the one before ended."""
    async with serving() as bench:
        make_live(bench.service, "a")
        client = bench.connect()
        client.greet()
        client.say(Watch(TARGET, "certificates", AllNamespaces(), initial=True))
        heard = await client.hear_until(Synced)
        for name in "bcd":
            bench.service.world.push([applied(lite(name))], rv(name))
            await trio.sleep(1)
        diffs = [await client.hear() for _ in range(3)]

    assert isinstance(heard[-1], Synced)
    epoch = heard[-1].epoch
    for diff, name in zip(diffs, "bcd", strict=True):
        assert isinstance(diff, Diff)
        assert (diff.from_epoch, diff.to_epoch) == (epoch, epoch + 1)
        assert diff.changes == [Change("ADD", lite(name))]
        epoch = diff.to_epoch


async def test_p3_a_state_is_told_in_order_with_the_changes(autojump_clock: MockClock) -> None:
    """A watcher learns that the stream is down after what came before it."""
    async with serving() as bench:
        make_live(bench.service, "a")
        await trio.sleep(1)
        client = await watching(bench, WATCH)
        bench.service.world.push([applied(lite("b"))], rv("2"))
        bench.service.world.truth(TruthChange("stale", "reset"))
        diff, state = await client.hear(), await client.hear()

    assert isinstance(diff, Diff)
    assert isinstance(state, StateChange)
    assert (state.truth.state, state.truth.reason) == ("stale", "reset")


async def test_p2_a_new_uid_under_an_old_name_is_a_replacement(autojump_clock: MockClock) -> None:
    """Delete and recreate within one batch is REPL, never MOD."""
    async with serving() as bench:
        make_live(bench.service, "a")
        client = await watching(bench, WATCH)
        new = lite("a", uid="new", rv="9")
        bench.service.world.push([deleted(lite("a")), applied(new)], rv("9"))
        diff = (await client.hear_until(Diff))[-1]

    assert isinstance(diff, Diff)
    assert diff.changes == [Change("REPL", new, old_uid=lite("a").uid)]


async def test_p2_deletes_found_by_a_list_are_marked_inferred(autojump_clock: MockClock) -> None:
    """And the diff says that a resync brought them."""
    async with serving() as bench:
        make_live(bench.service, "a", "b")
        client = await watching(bench, WATCH)
        bench.service.world.replace([lite("a")], rv("5"))
        diff = (await client.hear_until(Diff))[-1]

    assert isinstance(diff, Diff)
    assert diff.cause == "resync"
    assert diff.changes == [Change("DEL", lite("b"), inferred=True)]


async def test_a_resync_that_finds_nothing_prints_nothing(autojump_clock: MockClock) -> None:
    """The next message is the change that comes after it."""
    async with serving() as bench:
        make_live(bench.service, "a")
        await trio.sleep(1)
        client = await watching(bench, WATCH)
        bench.service.world.replace([lite("a")], rv("5"))
        await trio.sleep(1)
        bench.service.world.push([applied(lite("b"))], rv("6"))
        diff = await client.hear()

    assert isinstance(diff, Diff)
    assert [change.obj.name for change in diff.changes] == ["b"]


async def test_a_watch_before_the_first_sync_tells_states_until_it_is_there(
    autojump_clock: MockClock,
) -> None:
    """Truth, states on the way, the rows, synced, and then live."""
    async with serving() as bench:
        client = bench.connect()
        client.greet()
        client.say(Watch(TARGET, "certificates", AllNamespaces(), initial=True))
        await trio.sleep(1)
        bench.service.world.truth(TruthChange("syncing", "connection refused"))
        await trio.sleep(1)
        make_live(bench.service, "a")
        heard = [await client.hear() for _ in range(6)]

    assert [type(message) for message in heard] == [
        Hello,
        Truth,
        StateChange,
        Page,
        Synced,
        StateChange,
    ]


async def test_since_a_known_cursor_goes_on_without_a_gap(autojump_clock: MockClock) -> None:
    """Only what came after the cursor is sent."""
    async with serving() as bench:
        make_live(bench.service, "a")
        await trio.sleep(1)
        cursor = bench.service.cursor(bench.service.world.latest.value)
        bench.service.world.push([applied(lite("b"))], rv("2"))
        await trio.sleep(1)
        bench.service.world.push([deleted(lite("a"))], rv("3"))
        await trio.sleep(1)
        client = bench.connect()
        client.greet()
        client.say(Watch(TARGET, "certificates", AllNamespaces(), since=cursor))
        _, _, synced, diff = [await client.hear() for _ in range(4)]

    assert synced == Synced(1, cursor)
    assert isinstance(diff, Diff)
    assert (diff.from_epoch, diff.to_epoch) == (1, 3)
    assert [change.op for change in diff.changes] == ["DEL", "ADD"]


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        ("c1/certificates.cert-manager.io/other:1@1", "earlier lineage"),
        ("c2/certificates.cert-manager.io/l1:1@1", "another cluster"),
        ("c1/pods/l1:1@1", "of pods"),
        ("c1/certificates.cert-manager.io/l1:99@1", "no longer remembered"),
    ],
)
async def test_p3_since_an_unknown_place_is_fresh_with_a_reason(
    autojump_clock: MockClock, since: str, reason: str
) -> None:
    """Everything is sent again, and why."""
    async with serving() as bench:
        make_live(bench.service, "a")
        await trio.sleep(1)
        client = bench.connect()
        client.greet()
        client.say(Watch(TARGET, "certificates", AllNamespaces(), since=since))
        _, _, fresh, page, synced = [await client.hear() for _ in range(5)]

    assert isinstance(fresh, Fresh)
    assert reason in fresh.reason
    assert isinstance(page, Page)
    assert isinstance(synced, Synced)


async def test_something_that_is_no_cursor_is_a_usage_error(autojump_clock: MockClock) -> None:
    """It is named."""
    async with serving() as bench:
        request = Watch(TARGET, "certificates", AllNamespaces(), since="yesterday")
        (error,) = await answer(bench, request)

    assert isinstance(error, Error)
    assert error.code == "usage"
    assert "'yesterday'" in error.message


async def test_a_kind_that_is_gone_ends_its_watches(autojump_clock: MockClock) -> None:
    """The deletes, the state, then the end with exit 6."""
    async with serving() as bench:
        make_live(bench.service, "a")
        await trio.sleep(1)
        client = await watching(bench, WATCH)
        bench.service.world.replace([], rv("5"))
        bench.service.world.truth(TruthChange("gone", "the CRD was removed"))
        diff, state, error = [await client.hear() for _ in range(3)]
        await wait_all_tasks_blocked()

        assert bench.service.leases == 0
    assert isinstance(diff, Diff)
    assert isinstance(state, StateChange)
    assert isinstance(error, Error)
    assert (error.code, error.exit_code) == ("gone", 6)


async def test_a_watcher_that_leaves_gives_its_lease_back(autojump_clock: MockClock) -> None:
    """The end of the client's requests is its leaving."""
    async with serving() as bench:
        make_live(bench.service, "a")
        client = await watching(bench, WATCH)
        assert bench.service.hub.watchers == 1
        client.wire.write(b"")
        await wait_all_tasks_blocked()

        assert bench.service.hub.watchers == 0
        assert bench.service.leases == 0
        assert client.wire.closed


async def test_p5_a_slow_reader_delays_nobody_and_misses_nothing(
    autojump_clock: MockClock,
) -> None:
    """While one reader's socket is full the other sees every epoch; then the first catches up."""
    async with serving() as bench:
        make_live(bench.service, "a")
        await trio.sleep(1)
        slow = await watching(bench, WATCH, capacity=64)
        fast = await watching(bench, WATCH)
        for number in range(5):
            bench.service.world.push([applied(lite("b", rv=str(number)))], rv(str(number)))
            await trio.sleep(1)
        seen = [await fast.hear() for _ in range(5)]
        caught_up = [await slow.hear() for _ in range(5)]

    assert [m.to_epoch for m in seen if isinstance(m, Diff)] == [2, 3, 4, 5, 6]
    assert caught_up == seen


async def test_p4_a_reader_behind_the_ring_gets_one_merged_diff(autojump_clock: MockClock) -> None:
    """However many epochs it is behind, it is sent what became of each object, once."""
    epochs = RING_MAX_FRAMES + 10
    async with serving() as bench:
        make_live(bench.service, "a")
        await trio.sleep(1)
        slow = await watching(bench, WATCH, capacity=64)
        for number in range(epochs):
            bench.service.world.push([applied(lite("b", rv=str(number)))], rv(str(number)))
            await trio.sleep(0.1)
        first, merged = await slow.hear(), await slow.hear()

    assert isinstance(first, Diff)
    assert isinstance(merged, Diff)
    assert (first.from_epoch, first.to_epoch) == (1, 2)
    assert (merged.from_epoch, merged.to_epoch) == (2, 1 + epochs)
    assert merged.folded == epochs - 2
    assert merged.changes == [Change("MOD", lite("b", rv=str(epochs - 1)))]


async def test_p3_a_reader_too_far_behind_is_told_that_it_lagged(
    autojump_clock: MockClock,
) -> None:
    """LAGGED with what it missed, then the whole snapshot."""
    async with serving(FakeService(journal_epochs=3)) as bench:
        make_live(bench.service, "a")
        await trio.sleep(1)
        slow = await watching(bench, WATCH, capacity=64)
        for number in range(9):
            bench.service.world.push([applied(lite(f"n{number}"))], rv(str(number)))
            await trio.sleep(1)
        diff, lagged, page, synced = [await slow.hear() for _ in range(4)]

    assert isinstance(diff, Diff)
    assert isinstance(lagged, Lagged)
    assert lagged.missed_epochs == 8
    assert isinstance(page, Page)
    assert len(page.rows) == 10
    assert isinstance(synced, Synced)


async def test_p4_a_reader_that_takes_nothing_is_shown_as_lagging_then_dropped(
    autojump_clock: MockClock,
) -> None:
    """Its connection is closed; the daemon holds nothing for it any more."""
    async with serving() as bench:
        make_live(bench.service, "a")
        await trio.sleep(1)
        slow = await watching(bench, WATCH, capacity=64)
        bench.service.world.push([applied(lite("b"))], rv("2"))
        await trio.sleep(LAGGING_SECONDS + 1)
        lagging = [client["lagging"] for client in bench.server.clients()]
        await trio.sleep(DROP_SECONDS)

        assert lagging == [True]
        assert slow.wire.closed
        assert len(bench.server) == 0
        assert bench.service.hub.watchers == 0


async def test_p3_at_shutdown_a_watch_gets_the_last_changes_and_its_end(
    autojump_clock: MockClock,
) -> None:
    """END with a code, so that nobody mistakes silence for quiet."""
    async with serving() as bench:
        make_live(bench.service, "a")
        await trio.sleep(1)
        client = await watching(bench, WATCH)
        bench.service.world.push([applied(lite("b"))], rv("2"))
        bench.service.world.flush()
        bench.shutdown.set()
        heard = await client.hear_until(End)

    assert [type(message) for message in heard] == [Diff, End]
    assert heard[-1] == End("shutdown", 8, "orkad is shutting down")


async def test_at_shutdown_a_list_under_way_is_finished(autojump_clock: MockClock) -> None:
    """A request that is being answered is answered."""
    async with serving() as bench:
        client = bench.connect()
        client.greet()
        client.say(ROWS)
        await trio.sleep(1)
        bench.shutdown.set()
        await trio.sleep(1)
        make_live(bench.service, "a")
        heard = await client.hear_until(End)
        goodbye = await client.hear()

    assert heard[-1] == End()
    assert goodbye == End("shutdown", 8, "orkad is shutting down")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ((1 << 20).to_bytes(4, "big"), "oversize frame"),
        (frame(b"\xc1nonsense", CLIENT_FRAME_MAX_BYTES), "request not understood"),
        (frame(encode(Hello(PROTOCOL + 1, "9.9")), CLIENT_FRAME_MAX_BYTES), "protocol 2"),
        (frame(encode(Metrics()), CLIENT_FRAME_MAX_BYTES), "first message must be hello"),
    ],
    ids=["oversize", "undecodable", "wrong-protocol", "no-hello"],
)
async def test_p7_a_client_that_talks_nonsense_is_told_and_the_daemon_lives(
    autojump_clock: MockClock, data: bytes, says: str
) -> None:
    """A typed error to that client, its connection closed, everybody else served."""
    async with serving() as bench:
        make_live(bench.service, "a")
        client = bench.connect()
        client.wire.write(data)
        heard = await client.hear_until(Error)
        end = await client.hear()
        after = await answer(bench, ROWS)

    assert isinstance(heard[-1], Error)
    assert says in heard[-1].message
    assert end is None
    assert after[-1] == End()


async def test_a_truncated_frame_is_a_typed_error(autojump_clock: MockClock) -> None:
    """The client stopped in the middle of a message."""
    async with serving() as bench:
        client = bench.connect()
        client.greet()
        client.wire.write(b"\x00\x00\x00\x09half")
        client.wire.write(b"")
        heard = await client.hear_until(Error)

    assert isinstance(heard[-1], Error)
    assert (heard[-1].code, heard[-1].exit_code) == ("bad-frame", 2)
    assert "truncated" in heard[-1].message


async def test_a_client_that_says_nothing_gives_its_place_up(autojump_clock: MockClock) -> None:
    """Silence is answered with an error after the handshake's time."""
    async with serving() as bench:
        client = bench.connect()
        heard = await client.hear_until(Error)

    assert isinstance(heard[-1], Error)
    assert heard[-1].code == "timeout"


async def test_a_second_hello_and_a_request_during_a_watch_are_refused(
    autojump_clock: MockClock,
) -> None:
    """One conversation, one request at a time."""
    async with serving() as bench:
        make_live(bench.service, "a")
        twice = bench.connect()
        twice.greet()
        twice.greet()
        first = await twice.hear_until(Error)
        client = await watching(bench, WATCH)
        client.say(Metrics())
        second = await client.hear_until(Error)

    assert isinstance(first[-1], Error)
    assert "hello was said already" in first[-1].message
    assert isinstance(second[-1], Error)
    assert "a watch is under way" in second[-1].message


async def test_p7_a_bug_met_by_one_client_ends_only_its_session(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged whole and the client is told; the next one is served."""
    async with serving() as bench:
        make_live(bench.service, "a")
        heard = await answer(bench, List(TARGET, "boom", AllNamespaces(), "rows"))
        after = await answer(bench, ROWS)

    assert isinstance(heard[-1], Error)
    assert heard[-1].code == "internal"
    assert "RuntimeError" in caplog.text
    assert after[-1] == End()


async def test_the_other_requests_are_answered(autojump_clock: MockClock) -> None:
    """Discover, status, metrics and stop, as rows and as text."""
    async with serving() as bench:
        bench.service.failed = {"metrics.k8s.io/v1beta1": "503"}
        rows = await answer(bench, Discover(TARGET, "rows"))
        text = await answer(bench, Discover(TARGET, "text"))
        status = await answer(bench, Status("rows"))
        human = await answer(bench, Status("text"))
        machine = await answer(bench, Status("text", "json"))
        metrics = await answer(bench, Metrics())
        stop = await answer(bench, Stop())

    assert isinstance(rows[0], Resources)
    assert [kind.resource for kind in rows[0].resources] == ["certificates"]
    assert isinstance(text[0], Text)
    assert b"Certificate" in text[0].data
    assert isinstance(text[1], Note)
    assert "metrics.k8s.io/v1beta1" in text[1].text
    assert isinstance(status[0], StatusReport)
    assert isinstance(human[0], Text)
    assert isinstance(machine[0], Text)
    assert machine[0].data.startswith(b'{"v":1,')  # as every JSON document
    assert metrics[0] == Text(b"coalescer_len 0\n")
    assert isinstance(stop[-1], End)
    assert bench.service.stopped


@pytest.mark.parametrize("form", ["table", "json", "name"])
async def test_the_text_answer_is_the_rows_answer_rendered(
    autojump_clock: MockClock, form: str
) -> None:
    """Byte for byte what a client would print from the rows itself."""
    from orka.render import json, name, table

    render = {"table": table, "json": json, "name": name}[form]
    async with serving() as bench:
        make_live(bench.service, *(f"n{i}" for i in range(30)))
        await trio.sleep(5)
        truth, page, _ = await answer(bench, ROWS)
        request = List(TARGET, "certificates", AllNamespaces(), "text", format=form)  # type: ignore[arg-type]
        *texts, _ = await answer(bench, request)
        now = bench.service.wall()

    assert isinstance(truth, Truth)
    assert isinstance(page, Page)
    expected = b"".join(render.objects(truth, page.rows, now))
    assert b"".join(text.data for text in texts if isinstance(text, Text)) == expected
