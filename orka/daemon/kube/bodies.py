"""An open connection and a request to the response's head and body, decoded where needed."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import trio

from orka.daemon.kube.dial import lost_failure
from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.http_parser import NotHttp, ResponseParser
from orka.daemon.kube.inflate import ENCODINGS, BadCompression, Inflater

RECEIVE_BYTES = 64 * 1024  # per system call: many events at once, and little to hold per stream


class RawBody:
    """One response on a connection of its own, its body as it was sent; for one reading task."""

    def __init__(self, stream: trio.abc.Stream, where: str) -> None:
        self.where = where
        self.parser = ResponseParser()
        self._stream = stream

    def __repr__(self) -> str:
        return f"<RawBody {self.where} {self.parser!r}>"

    async def exchange(self, request: bytes) -> None:
        """Send the request, then read until status and headers are there; raises KubeError."""
        try:
            await self._stream.send_all(request)
        except (ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise KubeError(lost_failure(self.where, exc)) from exc
        while not self.parser.head_complete:
            await self._feed()

    async def receive_some(self) -> bytes:
        """The body bytes of one read of the socket, b"" at the proper end; raises KubeError."""
        data = self.parser.take()
        if data or self.parser.complete:
            await trio.lowlevel.checkpoint()
            return data
        while not data and not self.parser.complete:
            if not await self._feed():
                break
            data = self.parser.take()
        return data

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def _feed(self) -> bool:
        """One read into the parser; False at the only end that an error's text may have."""
        try:
            data = await self._stream.receive_some(RECEIVE_BYTES)
        except (ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise KubeError(lost_failure(self.where, exc)) from exc
        if not data:
            # Without length and chunks nobody can say whether a body is whole. That matters for
            # objects, not for the words of an error.
            if self.parser.ends_with_connection and self.parser.status >= 400:
                return False
            what = "the body's end" if self.parser.head_complete else "any answer"
            message = f"{self.where}: connection closed before {what}"
            raise KubeError(Failure(FailureKind.CUT, message))
        try:
            self.parser.feed(data)
        except NotHttp as exc:
            message = f"{self.where}: not HTTP: {exc}"
            raise KubeError(Failure(FailureKind.NOT_KUBERNETES, message)) from exc
        return True


def _decoder(where: str, encoding: str) -> Inflater | None:
    """What undoes a Content-Encoding; None where there is nothing to undo."""
    if encoding.lower() in ENCODINGS:
        return Inflater()
    if encoding.lower() == "identity":
        return None
    message = f"{where}: Content-Encoding {encoding} was not asked for"
    raise KubeError(Failure(FailureKind.NOT_KUBERNETES, message))


def _bad_compression(where: str, exc: BadCompression) -> KubeError:
    return KubeError(Failure(FailureKind.NOT_KUBERNETES, f"{where}: bad compression: {exc}"))


def _compression_cut(where: str) -> KubeError:
    return KubeError(Failure(FailureKind.CUT, f"{where}: body ended inside its compression"))


class DecodedBody:
    """A ByteStream over a RawBody: decompressed if somebody on the way compressed it."""

    def __init__(self, raw: RawBody, status: int, headers: Mapping[str, str]) -> None:
        """Raises KubeError for a Content-Encoding that cannot be undone."""
        self.status = status
        self.headers = headers
        self._raw = raw
        self._inflater = _decoder(raw.where, headers.get("content-encoding", "identity"))

    def __repr__(self) -> str:
        return f"<DecodedBody status={self.status} {self._raw!r} {self._inflater!r}>"

    async def receive_some(self) -> bytes:
        """See ByteStream."""
        if self._inflater is None:
            return await self._raw.receive_some()
        try:
            return await self._inflated(self._inflater)
        except BadCompression as exc:
            raise _bad_compression(self._raw.where, exc) from exc

    async def _inflated(self, inflater: Inflater) -> bytes:
        data = inflater.pull()
        if data:
            await trio.lowlevel.checkpoint()
        while not data:
            raw = await self._raw.receive_some()
            if not raw and not inflater.finished:
                raise _compression_cut(self._raw.where)
            if not raw:
                break
            inflater.push(raw)
            data = inflater.pull()
        return data


class WholeBody:
    """The raw pieces of a body to all of it, decoded and bounded.

    Trouble is told at the end only: its connection is read to the end of the answer in any
    case, and what comes after the trouble is not kept.
    """

    def __init__(self, where: str, encoding: str, max_bytes: int) -> None:
        """Raises KubeError for a Content-Encoding that cannot be undone."""
        self._where = where
        self._max_bytes = max_bytes
        self._inflater = _decoder(where, encoding)
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._trouble: KubeError | None = None

    def __repr__(self) -> str:
        return f"<WholeBody bytes={self._bytes} trouble={self._trouble}>"

    def feed(self, piece: bytes) -> None:
        """The next piece, as it came."""
        if self._trouble is not None:
            return
        if self._inflater is None:
            self._keep(piece)
            return
        self._inflater.push(piece)
        try:
            while (data := self._inflater.pull()) and self._keep(data):
                pass
        except BadCompression as exc:
            self._trouble = _bad_compression(self._where, exc)

    def finish(self) -> bytes:
        """The body; raises KubeError if it is not one, or over the limit."""
        if self._trouble is not None:
            raise self._trouble
        if self._inflater is not None and not self._inflater.finished and self._bytes:
            raise _compression_cut(self._where)
        return b"".join(self._pieces)

    def _keep(self, data: bytes) -> bool:
        """Whether there is room for more."""
        self._bytes += len(data)
        self._pieces.append(data)
        if self._bytes > self._max_bytes:
            self._pieces.clear()
            message = f"{self._where}: a body over the {self._max_bytes} bytes that are taken"
            self._trouble = KubeError(Failure(FailureKind.SERVER, message))
        return self._trouble is None
