"""One connection served to its end: requests parsed, recorded, made to suffer, answered."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Iterator

import h11
import trio

from . import lists, status
from .connection import BodyTooLargeError, Connection, chunks_of
from .core import Core
from .faults import Effect
from .lists import Page
from .requests import RECORDED_HEADERS, Record, Request, parse
from .status import JSON, Reply
from .watch import Opening, Watch

FUTURE_RV_WAIT_SECONDS = 3.0  # how long a list waits for a resourceVersion yet to come
FUTURE_RV_POLL_SECONDS = 0.05  # the real cache wakes waiters at 50 ms steps too
STUCK_SECONDS = (
    5.0  # after its deadline a watch does not wait longer for a client that reads nothing
)
GZIP_MIN_BYTES = 128 * 1024  # smaller bodies are never compressed


async def converse(core: Core, connection: Connection) -> None:
    """Answer one request after the other until either side closes."""
    while True:
        try:
            received = await connection.receive()
        except h11.RemoteProtocolError:
            await connection.reply(400, (("Connection", "close"),), b"400 Bad Request")
            return
        except BodyTooLargeError:
            body = status.failure(413, "RequestEntityTooLarge", "limit is 3145728")
            await connection.reply(413, (JSON, ("Connection", "close")), status.reply(body).body)
            return
        if received is None:
            return
        await _serve(core, connection, *received)
        if not connection.next_cycle():
            return


async def _serve(core: Core, connection: Connection, head: h11.Request, body: bytes) -> None:
    request = parse(
        core.model.catalog,
        method=head.method.decode(),
        target=head.target.decode(),
        headers=[(name.decode(), value.decode("latin-1")) for name, value in head.headers],
        body=body,
    )
    record = _record(core, connection, request)
    core.requests.append(record)
    effect, record.fault = core.script.take(request)
    try:
        await _suffer(core, connection, request, record, effect)
    finally:
        record.ended = core.now()
        if record.status not in (
            401,
            403,
        ):  # refused at the door, a real server does not count them
            core.totals.count(record)


def _record(core: Core, connection: Connection, request: Request) -> Record:
    return Record(
        time=core.now(),
        connection=connection.number,
        method=request.method,
        verb=request.verb,
        path=request.path,
        query=request.query,
        headers={name: request.header(name) for name in RECORDED_HEADERS if request.header(name)},
        resource=request.full_name,
        version=request.version,
        namespace=request.namespace,
        name=request.name,
    )


async def _suffer(
    core: Core, connection: Connection, request: Request, record: Record, effect: Effect
) -> None:
    if effect.delay_seconds:
        await trio.sleep(effect.delay_seconds)
    if effect.stall:
        await core.resumed.wait_open()
    if effect.hang_up:
        connection.abort()
        await trio.lowlevel.checkpoint()
    elif effect.answer is not None:
        await _reply(core, connection, record, effect.answer)
    elif effect.empty:
        record.status = 200
        await connection.start(200, _headers(core, (JSON,)))
        await connection.finish()
    else:
        await _answer(core, connection, request, record, effect)


async def _answer(
    core: Core, connection: Connection, request: Request, record: Record, effect: Effect
) -> None:
    wanted = lists.required_rv(request)
    late = wanted > core.model.store.rv and not await _comes_up(core, wanted)
    if late and not request.streaming:  # a stream says so in an event
        too_large = status.too_large(wanted, core.model.store.rv)
        await _reply(core, connection, record, status.reply(too_large))
        return
    match core.plan(request, record, effect):
        case Reply() as reply:
            await _reply(core, connection, record, reply)
        case Page() as page:
            record.status = 200
            await _send_page(core, connection, request, page, cut=effect.cut)
        case Opening() as opening:
            record.status = 200
            await _stream(core, connection, opening, record, cut=effect.cut)


async def _comes_up(core: Core, rv: int) -> bool:
    with trio.move_on_after(FUTURE_RV_WAIT_SECONDS):
        while core.model.store.rv < rv:  # noqa: ASYNC110
            await trio.sleep(FUTURE_RV_POLL_SECONDS)  # the store is pure: it wakes nobody
    return core.model.store.rv >= rv


async def _reply(core: Core, connection: Connection, record: Record, reply: Reply) -> None:
    record.status = reply.code
    await connection.reply(reply.code, _headers(core, reply.headers), reply.body)


def _headers(core: Core, given: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    names = {name for name, _ in given}
    usual = [
        ("Audit-Id", str(uuid.UUID(int=core.random.getrandbits(128), version=4))),
        ("Cache-Control", "no-cache, private"),
        ("X-Kubernetes-Pf-Flowschema-Uid", "7e3c4b9e-1f0a-4d52-9a55-0d6f5a0c8b11"),
        ("X-Kubernetes-Pf-Prioritylevel-Uid", "c1a2f6d4-52a7-4f2e-8a43-6f5e1c9d7b20"),
    ]
    return [*(pair for pair in usual if pair[0] not in names), *given]


async def _send_page(
    core: Core, connection: Connection, request: Request, page: Page, *, cut: bool
) -> None:
    headers = _headers(core, (JSON,))
    chunks = chunks_of(page.pieces)
    if cut:
        whole = b"".join(chunks)
        await connection.start(200, headers)
        await connection.write([whole[: len(whole) // 2]])
        connection.abort(reset=False)
        await trio.lowlevel.checkpoint()
        return
    if "gzip" in request.header("accept-encoding"):
        whole = b"".join(chunks)
        if len(whole) > GZIP_MIN_BYTES:
            packed = gzip.compress(whole, compresslevel=1, mtime=0)
            headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
            await connection.reply(200, headers, packed)
            return
        chunks = iter([whole])
    await _send_chunks(connection, headers, list_of=chunks)


async def _send_chunks(
    connection: Connection, headers: list[tuple[str, str]], list_of: Iterator[bytes]
) -> None:
    """A short body goes with its length, a longer one chunk by chunk."""
    first = next(list_of, b"")
    second = next(list_of, None)
    if second is None:
        await connection.reply(200, headers, first)
        return
    await connection.start(200, headers)
    await connection.write([first, second])
    for chunk in list_of:
        await connection.write([chunk])
    await connection.finish()


async def _stream(
    core: Core, connection: Connection, opening: Opening, record: Record, *, cut: bool
) -> None:
    """Serve one watch to its end; returns early when the client leaves."""
    watch = Watch(opening, record, deadline=core.now() + opening.timeout_seconds)
    watch.plan_bookmark(core.now())
    # No checkpoint between taking the snapshot and subscribing: nothing is lost or doubled.
    opening.collection.subscribers[watch] = None
    core.watches[watch] = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, connection, nursery.cancel_scope, name="hang-up")
            await _pump(core, connection, watch, cut=cut)
            nursery.cancel_scope.cancel(reason="the watch ended")
    finally:
        opening.collection.subscribers.pop(watch, None)
        core.watches.pop(watch, None)


async def _until_gone(connection: Connection, scope: trio.CancelScope) -> None:
    """Cancel the watch when its client closes; bytes of a next request are kept."""
    try:
        while await connection.pull():
            pass
    except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
        pass
    scope.cancel(reason="the client left")


async def _pump(core: Core, connection: Connection, watch: Watch, *, cut: bool) -> None:
    try:
        await connection.start(200, _headers(core, (JSON,)))
        await _send_backlog(core, connection, watch, cut=cut)
        while watch.finish is None or watch.pending:
            await _send_lines(core, connection, watch, watch.take())
            await watch.wait(min(watch.next_bookmark, watch.deadline))
            _keep_time(core, watch)
        await _end(core, connection, watch)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        connection.abort()


async def _send_backlog(core: Core, connection: Connection, watch: Watch, *, cut: bool) -> None:
    if cut:
        whole = b"".join(watch.opening.backlog())
        watch.cut(whole[: len(whole) // 2], reset=False)
        return
    for chunk in chunks_of(watch.opening.backlog()):
        if watch.finish is not None:
            return
        await _send_lines(core, connection, watch, [chunk])
    if watch.opening.error is not None or watch.opening.broken:
        watch.end()


async def _send_lines(core: Core, connection: Connection, watch: Watch, lines: list[bytes]) -> None:
    if not lines:
        return
    if watch.stalled:
        await core.resumed.wait_open()
    watch.sending_since = core.now()
    # A stall may have outlasted the deadline, so never less than that from now.
    with trio.move_on_at(max(watch.deadline, core.now()) + STUCK_SECONDS) as scope:
        await connection.write(lines)
    if scope.cancelled_caught:
        raise trio.BrokenResourceError("the client stopped reading")
    watch.sending_since = None


def _keep_time(core: Core, watch: Watch) -> None:
    """Queue the bookmark that is due, and end the watch at its deadline."""
    now = core.now()
    if watch.next_bookmark <= now < watch.deadline:
        watch.push_bookmark(core.bookmark_rv(watch))
        watch.plan_bookmark(now)
    if now >= watch.deadline:
        watch.end()


async def _end(core: Core, connection: Connection, watch: Watch) -> None:
    if watch.stalled:
        await core.resumed.wait_open()
    finish = watch.finish
    if finish is None or finish.clean:
        await connection.finish()
        return
    if finish.tail:
        await connection.write([finish.tail])
    connection.abort(reset=finish.reset)
    await trio.lowlevel.checkpoint()
