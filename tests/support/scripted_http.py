"""A server that answers each connection by a script, over memory streams or loopback TCP."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

Script = Callable[["ScriptedServer", trio.abc.Stream], Awaitable[None]]
Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]

PATIENCE_SECONDS = 10.0  # a test that waits longer has failed

OK_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(body: bytes, head: bytes = OK_JSON) -> bytes:
    """A response with its length."""
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunk(body: bytes) -> bytes:
    """One chunk of a chunked body; the empty one ends it."""
    return b"%x\r\n%s\r\n" % (len(body), body)


CHUNKED_HEAD = OK_JSON + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass
class ScriptedServer:
    """The n-th connection is served by the n-th script, the last one serves all further ones.

    `requests` are the heads that were received, in order; `open` counts connections.
    """

    scripts: Sequence[Script]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    changed: trio.Event = field(default_factory=trio.Event)

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Run the next script on a connection, and close it afterwards."""
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        self.open += 1
        self._tell()
        try:
            async with stream:
                await script(self, stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the client left
        finally:
            self.open -= 1
            self._tell()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def asked(self, requests: int) -> None:
        """Wait until that many requests have arrived."""
        with trio.fail_after(PATIENCE_SECONDS):
            while len(self.requests) < requests:
                await self.changed.wait()

    async def left(self) -> None:
        """Wait until no connection is open."""
        with trio.fail_after(PATIENCE_SECONDS):
            while self.open:
                await self.changed.wait()

    async def request(self, stream: trio.abc.Stream) -> bytes:
        """Wait for one request without a body."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            data = await stream.receive_some()
            if not data:
                raise trio.BrokenResourceError
            head += data
        self.requests.append(head)
        self._tell()
        return head

    @asynccontextmanager
    async def memory(self) -> AsyncIterator[Dial]:
        """A `dial` for this server, good with the mock clock."""
        async with trio.open_nursery() as nursery:

            async def dial(_host: str, _port: int) -> trio.abc.Stream:
                ours, theirs = memory_stream_pair()
                nursery.start_soon(self.serve, theirs)
                return ours

            yield dial
            nursery.cancel_scope.cancel(reason="the test is over")

    @asynccontextmanager
    async def tcp(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """The port of this server on 127.0.0.1."""
        async with trio.open_nursery() as nursery:
            handler = self.serve if tls is None else partial(self._serve_tls, tls)
            listeners = await nursery.start(partial(trio.serve_tcp, handler, 0, host="127.0.0.1"))
            yield listeners[0].socket.getsockname()[1]
            nursery.cancel_scope.cancel(reason="the test is over")

    async def _serve_tls(self, context: ssl.SSLContext, stream: trio.abc.Stream) -> None:
        secured = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        try:
            await secured.do_handshake()
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(stream)
            return
        await self.serve(secured)


def answer(*pieces: bytes) -> Script:
    """One request, then the pieces, each in a read of its own, then the end of the connection."""

    async def script(server: ScriptedServer, stream: trio.abc.Stream) -> None:
        await server.request(stream)
        for piece in pieces:
            await stream.send_all(piece)
            await wait_all_tasks_blocked()

    return script


def answer_and_hold(*pieces: bytes) -> Script:
    """As `answer`, but the connection stays open until the client closes it."""

    async def script(server: ScriptedServer, stream: trio.abc.Stream) -> None:
        await answer(*pieces)(server, stream)
        while await stream.receive_some():
            pass

    return script


def answer_each(*responses: bytes) -> Script:
    """Keep-alive: the n-th request gets the n-th response; then the connection ends."""

    async def script(server: ScriptedServer, stream: trio.abc.Stream) -> None:
        for response in responses:
            await server.request(stream)
            await stream.send_all(response)

    return script
