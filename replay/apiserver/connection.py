"""A byte stream turned into HTTP/1.1 requests, and answers turned into bytes (h11)."""

from __future__ import annotations

import http
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence

import h11
import trio

RECEIVE_BYTES = 65536
CHUNK_BYTES = 65536  # pieces of lists and backlogs are sent together up to this
BODY_MAX_BYTES = 3 * 1024 * 1024  # the real server's limit for a request body

Headers = Sequence[tuple[str, str]]


class BodyTooLargeError(Exception):
    """The client sent more than the server takes (413)."""


class Connection:
    """One HTTP/1.1 connection, with keep-alive. Created for each stream, cancelled by verbs."""

    def __init__(self, stream: trio.abc.Stream, number: int) -> None:
        self.stream = stream
        self.number = number
        self.scope = trio.CancelScope()
        self._http = h11.Connection(h11.SERVER)
        self._head_only = False

    def __repr__(self) -> str:
        return f"<Connection {self.number} us={self._http.our_state} them={self._http.their_state}>"

    async def receive(self) -> tuple[h11.Request, bytes] | None:
        """The next request with its body; None when the client is done.

        Raises h11.RemoteProtocolError, BodyTooLarge and trio.BrokenResourceError.
        """
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    await self._send(h11.InformationalResponse(status_code=100, headers=[]))
                await self.pull()
            elif isinstance(event, h11.Request):
                request = event
                self._head_only = event.method == b"HEAD"
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_MAX_BYTES:
                    raise BodyTooLargeError
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                return request, bytes(body)
            else:
                return None

    async def pull(self) -> bool:
        """Read once; False when the client has closed."""
        data = await self.stream.receive_some(RECEIVE_BYTES)
        self._http.receive_data(bytes(data))
        return bool(data)

    async def reply(self, code: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer with its length."""
        length = [] if code == 304 else [("Content-Length", str(len(body)))]
        head = h11.Response(status_code=code, headers=[*headers, *length], reason=_reason(code))
        sent = b"" if self._head_only else body
        await self._send(head, h11.Data(data=sent), h11.EndOfMessage())

    async def start(self, code: int, headers: Headers) -> None:
        """Begin an answer whose length is not known: chunks follow."""
        chunked = ("Transfer-Encoding", "chunked")
        head = h11.Response(status_code=code, headers=[*headers, chunked], reason=_reason(code))
        await self._send(head)

    async def write(self, chunks: Iterable[bytes]) -> None:
        """Send each as one HTTP chunk, all in one go."""
        await self._send(*(h11.Data(data=chunk) for chunk in chunks))

    async def finish(self) -> None:
        """End the body properly."""
        await self._send(h11.EndOfMessage())

    def next_cycle(self) -> bool:
        """Make ready for another request; False when the connection must close."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def abort(self, *, reset: bool = True) -> None:
        """Close without another byte, from any task; with `reset` by RST where there is TCP."""
        if reset:
            self._linger_zero()
        self.scope.cancel(reason="a fault verb cut the connection")

    def _linger_zero(self) -> None:
        stream = self.stream
        if isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        if isinstance(stream, trio.SocketStream) and stream.socket.fileno() >= 0:
            # On, with no time to linger: close() discards what is queued and sends RST.
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def _send(self, *events: h11.Event) -> None:
        data = b"".join(self._http.send(event) or b"" for event in events)
        await self.stream.send_all(data)


def _reason(code: int) -> bytes:
    try:
        return http.HTTPStatus(code).phrase.encode()
    except ValueError:
        return b"Unknown"


def chunks_of(pieces: Iterable[bytes], size_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Small pieces put together, so that a long list is neither one buffer nor 5000 writes."""
    waiting: list[bytes] = []
    length = 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= size_bytes:
            yield b"".join(waiting)
            waiting, length = [], 0
    if waiting:
        yield b"".join(waiting)
