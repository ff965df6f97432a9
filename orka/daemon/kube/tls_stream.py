"""A byte stream to the decrypted one inside it, all records of a read at once.

`trio.SSLStream` hands out one TLS record per call. An API server writes at least one record
for every watch event, so that costs one task step per event; draining whatever has arrived
makes a busy watch several times cheaper.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import trio

READ_BYTES = 64 * 1024  # of ciphertext per system call; bounds the plaintext of one read too
RECORD_MAX_BYTES = 16 * 1024  # plaintext of one TLS record: a larger read returns no more

T = TypeVar("T")


class DrainingTlsStream(trio.abc.Stream):
    """The client side of TLS over `transport`, which it owns and closes.

    For one task at a time: a read may have to write (key updates), so a concurrent writer
    would interleave its records. ssl.SSLError passes through unmapped. A connection that ends
    without TLS's own goodbye reads as an end, like a polite one: the HTTP framing above
    knows whether anything is missing.
    """

    def __init__(
        self, transport: trio.abc.Stream, context: ssl.SSLContext, server_hostname: str
    ) -> None:
        self._transport = transport
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )

    def __repr__(self) -> str:
        return f"<DrainingTlsStream {self._object.server_hostname} {self._object.version()}>"

    async def do_handshake(self) -> None:
        """Once, before anything else; ssl.SSLError if the server hangs up or is not trusted."""
        try:
            await self._retry(self._object.do_handshake)
        except ssl.SSLError:
            # The alert that tells the server why. If it is gone, the first error still counts.
            with suppress(trio.BrokenResourceError):
                await self._flush()
            raise

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send all of `data`."""
        with memoryview(data) as view:
            sent = 0
            while sent < len(view):
                sent += await self._retry(partial(self._object.write, view[sent:]))

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream below."""
        await self._transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """All plaintext of the ciphertext that arrives, at most `max_bytes`; b"" at the end."""
        limit = sys.maxsize if max_bytes is None else max_bytes
        data = self._drain(limit)
        if data is not None:
            await trio.lowlevel.checkpoint()
            return data
        while data is None:
            # Only here, where nothing is in hand: a cancelled flush must not lose plaintext.
            await self._flush()
            await self._fill()
            data = self._drain(limit)
        return data

    async def aclose(self) -> None:
        """Say goodbye without waiting for the answer, then close the stream below."""
        try:
            with suppress(ssl.SSLError):  # "want read": the answer that nobody waits for
                self._object.unwrap()
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._flush()
        finally:
            await self._transport.aclose()

    async def _retry(self, operation: Callable[[], T]) -> T:
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._transport.send_all(self._outgoing.read())

    async def _fill(self) -> None:
        data = await self._transport.receive_some(READ_BYTES)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _drain(self, limit: int) -> bytes | None:
        """Every whole record that is here; None if there is none yet, b"" at the end."""
        pieces: list[bytes] = []
        while limit > 0:
            try:
                piece = self._object.read(min(limit, RECORD_MAX_BYTES))
            except ssl.SSLWantReadError:
                break
            except ssl.SSLEOFError:
                piece = b""
            if not piece:
                # The end is told by itself, in the next call if plaintext came before it.
                return b"".join(pieces)
            pieces.append(piece)
            limit -= len(piece)
        return b"".join(pieces) if pieces else None
