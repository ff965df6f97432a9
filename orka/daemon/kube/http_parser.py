"""The bytes of one HTTP/1.1 response to its status, headers and body, in any chunking."""

from __future__ import annotations

import httptools

HEAD_MAX_BYTES = 64 * 1024  # of status line and headers; API servers send one or two KiB


class NotHttp(Exception):  # noqa: N818 -- it says what the bytes are, like FileNotFoundError
    """The bytes are no HTTP response, or one that orka does not take."""


class ResponseParser:
    """Parses one response and ignores whatever follows it: its connection has one use.

    Body bytes stay here until they are taken, at most what one `feed` brought, so whoever
    feeds bounds the memory.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._head_bytes = 0
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.head_complete = False
        self.complete = False  # the final chunk, or the last byte of Content-Length

    def __repr__(self) -> str:
        state = "complete" if self.complete else "body" if self.head_complete else "head"
        return f"<ResponseParser {state} status={self.status}>"

    @property
    def ends_with_connection(self) -> bool:
        """No length and no chunks: the end of the connection is the only end the body has."""
        names = {name for name, _ in self.headers}
        return self.head_complete and names.isdisjoint({b"content-length", b"transfer-encoding"})

    def feed(self, data: bytes | bytearray) -> None:
        """The next bytes of the connection; raises NotHttp."""
        if self.complete:
            return
        if not self.head_complete:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            raise NotHttp("the server switched to another protocol") from exc
        except httptools.HttpParserError as exc:
            if not self.complete:
                raise NotHttp(str(exc)) from exc
        if not self.head_complete and self._head_bytes > HEAD_MAX_BYTES:
            raise NotHttp(f"headers over {HEAD_MAX_BYTES} bytes")

    def take(self) -> bytes:
        """The body bytes since the last call, without their chunking."""
        if not self._pieces:
            return b""
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        return data

    # -- called by httptools ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A response begins: the first one, or the one after a 1xx."""
        self.headers = [] if not self.complete else self.headers

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line; trailers behind the body are not ours."""
        if not self.head_complete:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole; a 1xx head announces another one."""
        if self.complete:
            return
        self.status = self._parser.get_status_code()
        self.head_complete = self.status >= 200 or self.status == 101

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        if not self.complete:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """The response has its proper end."""
        self.complete = self.head_complete
