"""One client's conversation: hello, then requests answered one after the other, then goodbye."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from orka import __version__
from orka.daemon.serve import text
from orka.daemon.serve.answers import (
    cursor_at,
    error_message,
    first_sync,
    refusal,
    resources_message,
    truth_of,
    view_of,
)
from orka.daemon.serve.client import Client, ClientLeft
from orka.daemon.serve.hub import Restart, Watcher, framed
from orka.daemon.serve.service import Lease, Service
from orka.daemon.world.cursor import Cursor, parse_cursor
from orka.daemon.world.snapshot import Snapshot, View
from orka.proto.errors import (
    OrkaError,
    ProtocolError,
    Refused,
    RemoteProtocolError,
    exit_code_of,
)
from orka.proto.handshake import CAPABILITIES, check_hello
from orka.proto.messages import (
    ClientMessage,
    Discover,
    End,
    Fresh,
    Hello,
    Lagged,
    List,
    Metrics,
    Page,
    ServerMessage,
    StateChange,
    Status,
    StatusReport,
    Stop,
    Synced,
    Text,
    Truth,
    Watch,
    decode_client,
)
from orka.proto.names import PAGE_MAX_ROWS, PROTOCOL

HELLO_SECONDS = 10.0  # a client that connects and says nothing gives its place up
GOODBYE_SECONDS = 1.0  # the last word to a client that may not be reading

LOOKUP_MIN_SECONDS = 1.0  # with a timeout of 0, a kind that is known is still found

REQUESTS_AHEAD = 4  # pipelining saves a round trip; more than a few is not a conversation

Requests = trio.MemoryReceiveChannel[ClientMessage]

logger = logging.getLogger("orka.serve")


class Session:
    """Answers one client; `run` returns when the conversation is over and never raises for it."""

    def __init__(
        self,
        client: Client,
        service: Service,
        *,
        instance: str,
        pid: int,
        shutdown: trio.Event,
        clients: Callable[[], list[dict[str, object]]],
    ) -> None:
        self._client = client
        self._shutdown = shutdown
        self._service = service
        self._hello = Hello(PROTOCOL, __version__, CAPABILITIES, instance, pid)
        self._clients = clients

    async def run(self) -> None:
        """Talk until the client leaves, says something wrong, or the daemon shuts down.

        At shutdown a request under way is finished, a watch is led to the last snapshot and
        ended; the caller's deadline bounds both.
        """
        try:
            await self._converse()
            if self._shutdown.is_set():
                await self._last_word(
                    End("shutdown", int(exit_code_of("shutdown")), "orkad is shutting down")
                )
        except* ClientLeft as left:
            logger.debug("left client=%r why=%s", self._client, left.exceptions[0])
        except* ProtocolError as wrong:
            error = _first_leaf(wrong)
            logger.warning("refused client=%r error=%r", self._client, error.message)
            await self._last_word(error_message(error))

    async def _last_word(self, message: ServerMessage) -> None:
        """One more message, if the client soon takes it and whatever it was owed before."""
        with trio.move_on_after(GOODBYE_SECONDS, shield=True):
            try:
                await self._client.send(framed(message))
            except ClientLeft:
                logger.debug("left before its last word client=%r", self._client)

    async def _converse(self) -> None:
        """The handshake, then one request after the other; a few may be sent ahead."""
        requests_in, requests = trio.open_memory_channel[ClientMessage](REQUESTS_AHEAD)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, requests_in, name="read")
            if await self._greet(requests):
                while (request := await self._next(requests)) is not None:
                    await self._answer(request, requests)
            nursery.cancel_scope.cancel(reason="no more requests")

    async def _read(self, requests: trio.MemorySendChannel[ClientMessage]) -> None:
        # Closed without a checkpoint: a cancellation there would replace the error that ended it.
        with requests:
            while payloads := await self._client.receive():
                for payload in payloads:
                    await requests.send(decode_client(payload))

    async def _greet(self, requests: Requests) -> bool:
        """Say hello and hear it; False if the client left or said nothing."""
        await self._client.send(framed(self._hello))
        with trio.move_on_after(HELLO_SECONDS):
            try:
                hello = await requests.receive()
            except trio.EndOfChannel:
                return False
            if not isinstance(hello, Hello):
                raise RemoteProtocolError("the first message must be hello")
            check_hello(hello)
            return True
        raise RemoteProtocolError(f"no hello within {HELLO_SECONDS:.0f} s", code="timeout")

    async def _next(self, requests: Requests) -> ClientMessage | None:
        """The next request; None when there will be none, or the daemon shuts down."""
        request = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on, self._shutdown, nursery.cancel_scope, name="shutdown")
            try:
                request = await requests.receive()
            except trio.EndOfChannel:
                logger.debug("no more requests client=%r", self._client)
            nursery.cancel_scope.cancel(reason="decided")
        return request

    async def _answer(self, request: ClientMessage, requests: Requests) -> None:
        self._client.asks = describe(request)
        logger.debug("request client=%r", self._client)
        try:
            match request:
                case Hello():
                    raise RemoteProtocolError("hello was said already")
                case Discover():
                    await self._discover(request)
                case List():
                    await self._list(request)
                case Watch():
                    await self._watch(request, requests)
                case Status():
                    await self._status(request)
                case Metrics():
                    await self._send(Text(self._service.metrics()), End())
                case Stop():
                    await self._send(End(message="orkad is shutting down"))
                    self._service.stop()
        except ProtocolError:
            raise
        except OrkaError as error:
            await self._send(error_message(error))
        self._client.asks = "nothing"

    async def _send(self, *messages: ServerMessage) -> None:
        await self._client.send(b"".join([framed(message) for message in messages]))

    # -- the requests --------------------------------------------------------------------

    async def _discover(self, request: Discover) -> None:
        found = await self._service.discover(request.target, prefer_crd=request.prefer_crd)
        if request.answer == "text":
            await self._send_text(text.discovered(found, request))
            await self._send(*text.failed_parts(found), End())
        else:
            await self._send(resources_message(found, all_versions=request.all_versions), End())

    async def _status(self, request: Status) -> None:
        report = {**self._service.status(), "clients": self._clients()}
        if request.answer == "text":
            await self._send_text(text.status(report, request.format, self._service.wall()))
        else:
            await self._send(StatusReport(report))
        await self._send(End())

    @asynccontextmanager
    async def _lease(self, request: List | Watch) -> AsyncIterator[Lease]:
        """Hold the kind; Refused `timeout` if the cluster does not say in time what it serves.

        The scope ends before the lease does, so a lease must not open one that is still open.
        """
        async with AsyncExitStack() as stack:
            seconds = max(request.timeout_seconds, LOOKUP_MIN_SECONDS)
            with trio.move_on_after(seconds) as finding:
                lease = await stack.enter_async_context(
                    self._service.lease(request.target, request.kind)
                )
            if finding.cancelled_caught:
                raise Refused(
                    f"the API server did not say within {seconds:g} s"
                    f" whether it serves {request.kind}",
                    code="timeout",
                )
            yield lease

    async def _list(self, request: List) -> None:
        deadline = trio.current_time() + request.timeout_seconds
        async with self._lease(request) as lease:
            view = view_of(request.view, lease)
            snapshot = await first_sync(
                lease,
                timeout_seconds=max(0.0, deadline - trio.current_time()),
                progress=self._client.send if request.progress else None,
            )
            refused = refusal(lease, snapshot)
            if refused is not None:
                await self._send(truth_of(lease, snapshot), refused.error())
                return
            truth = truth_of(lease, snapshot)
            end = freshness(truth, request.max_age_seconds)
            if request.answer == "text":
                shown = (truth, snapshot, view, request.format, self._service.wall())
                await self._send_text(text.objects(*shown))
                await self._send(*text.notes(*shown), end)
            else:
                await self._send(truth)
                await self._send_pages(snapshot, view)
                await self._send(end)

    async def _send_text(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            await self._send(Text(chunk))

    async def _send_pages(self, snapshot: Snapshot, view: View) -> None:
        for rows in snapshot.pages(view, PAGE_MAX_ROWS):
            await self._send(Page(rows))

    # -- watch ---------------------------------------------------------------------------

    async def _watch(self, request: Watch, requests: Requests) -> None:
        """Stream until the kind ends, the daemon shuts down or the client closes its end."""
        since = parse_cursor(request.since) if request.since is not None else None
        async with self._lease(request) as lease:
            view = view_of(request.view, lease)
            watcher = watcher_at(lease, self._client, view)
            lease.hub.attach(watcher)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_until_left, requests, name="until-left")
                    nursery.start_soon(_cancel_on, self._shutdown, nursery.cancel_scope)
                    await self._send(truth_of(lease, lease.world.latest.value))
                    await self._begin(watcher, lease, since, rows=request.initial)
                    await self._follow(watcher, lease)
                    nursery.cancel_scope.cancel(reason="stream ended")
                if self._shutdown.is_set() and watcher.following:
                    await self._send_last(watcher, lease)
            finally:
                lease.hub.detach(watcher)

    async def _begin(
        self, watcher: Watcher, lease: Lease, since: Cursor | None, *, rows: bool
    ) -> None:
        """Lead the watcher to its first position: a cursor that is still known, or all of now."""
        snapshot = await self._await_sync(watcher, lease)
        if not snapshot.synced:
            return  # refused before anything was known: there is no place to begin from
        if since is None:
            await self._send_snapshot(watcher, lease, snapshot, rows=rows)
            return
        reason = unknown_place(lease, snapshot, since)
        if reason is None:
            watcher.move_to(snapshot, since.epoch)
            await self._send(Synced(since.epoch, str(since)))
        else:
            await self._send(Fresh(reason, cursor_at(lease, snapshot)))
            await self._send_snapshot(watcher, lease, snapshot, rows=True)

    async def _await_sync(self, watcher: Watcher, lease: Lease) -> Snapshot:
        """The first synced (or refused) snapshot; the states on the way are told as they come."""
        latest = lease.world.latest
        while True:
            snapshot, version = latest.value, latest.version
            if snapshot.synced or refusal(lease, snapshot) is not None:
                return snapshot
            if snapshot.truth != watcher.truth:
                watcher.truth = snapshot.truth
                await self._send(StateChange(truth_of(lease, snapshot)))
            await latest.wait_newer(version)

    async def _send_snapshot(
        self, watcher: Watcher, lease: Lease, snapshot: Snapshot, *, rows: bool
    ) -> None:
        """The snapshot the stream goes on from; `rows` unless the reader wants only changes."""
        watcher.following = False
        if rows:
            await self._send_pages(snapshot, watcher.view)
        await self._send(Synced(snapshot.epoch, cursor_at(lease, snapshot)))
        watcher.move_to(snapshot, snapshot.epoch)

    async def _follow(self, watcher: Watcher, lease: Lease) -> None:
        """Diffs and states for as long as the kind lives; the hub writes while nothing is stuck."""
        while True:
            await self._client.send()
            frames = lease.hub.next_frames(watcher)
            if isinstance(frames, Restart):
                await self._restart(watcher, lease, frames)
            elif frames:
                await self._client.send(frames)
            else:
                ended = refusal(lease, lease.world.latest.value)
                if ended is not None:
                    await self._send(ended.error())
                    return
                await lease.hub.park(watcher)

    async def _restart(self, watcher: Watcher, lease: Lease, restart: Restart) -> None:
        """All of now again, announced: FRESH for a new lineage, LAGGED for a slow reader."""
        snapshot = await self._await_sync(watcher, lease)
        cursor = cursor_at(lease, snapshot)
        if watcher.lineage == snapshot.lineage:
            await self._send(Lagged(restart.reason, restart.missed_epochs, cursor))
        else:
            await self._send(Fresh(restart.reason, cursor))
        await self._send_snapshot(watcher, lease, snapshot, rows=True)

    async def _send_last(self, watcher: Watcher, lease: Lease) -> None:
        """What the final flush brought; a watcher too far behind learns of it from END alone."""
        frames = lease.hub.next_frames(watcher)
        if not isinstance(frames, Restart):
            await self._client.send(frames)


def watcher_at(lease: Lease, client: Client, view: View) -> Watcher:
    """A watcher that has been sent nothing yet."""
    snapshot = lease.world.latest.value
    return Watcher(
        client=client,
        view=view,
        truth_of=lambda snapshot: truth_of(lease, snapshot),
        lineage=snapshot.lineage,
        sent_epoch=snapshot.epoch,
        at_epoch=snapshot.epoch,
        truth=snapshot.truth,
    )


def describe(request: ClientMessage) -> str:
    """What the request asks, in the words of the command line."""
    match request:
        case List(kind=kind):
            return f"ls {kind}"
        case Watch(kind=kind):
            return f"watch {kind}"
        case _:
            return type(request).__name__.lower()


def freshness(truth: Truth, max_age_seconds: float | None) -> End:
    """The end of a list: exit 4 if the answer is not synced, or older than the reader takes."""
    if not truth.synced:
        message = f"{truth.kind.kind} is not synced yet: {truth.reason}"
    elif max_age_seconds is not None and (
        truth.age_seconds is None or truth.age_seconds > max_age_seconds
    ):
        age = "unknown" if truth.age_seconds is None else f"{truth.age_seconds:.1f} s"
        message = f"the last proof of life is {age} old, {max_age_seconds:g} s allowed"
    else:
        return End()
    return End("not-fresh", int(exit_code_of("not-fresh")), message)


def unknown_place(lease: Lease, snapshot: Snapshot, since: Cursor) -> str | None:
    """Why a stream cannot go on from this cursor; None if it can."""
    if since.cluster != lease.cluster:
        return "the cursor is of another cluster"
    if since.group_resource != lease.resource.group_resource:
        return f"the cursor is of {since.group_resource}"
    if since.lineage != snapshot.lineage:
        return "the cursor is of an earlier lineage"
    if lease.world.journal.after(since.epoch, snapshot.epoch) is None:
        return "the cursor's epoch is no longer remembered"
    return None


async def _cancel_on(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel(reason="shutdown")


async def _until_left(requests: Requests) -> None:
    """While a watch runs the client has nothing to say: the end of its requests is its leaving."""
    try:
        await requests.receive()
    except trio.EndOfChannel as exc:
        raise ClientLeft("closed its end") from exc
    raise RemoteProtocolError("a watch is under way; it ends when its connection is closed")


def _first_leaf(group: BaseExceptionGroup[ProtocolError]) -> ProtocolError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ProtocolError)
    return error
