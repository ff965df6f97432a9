"""A response on a connection of its own: head, body, and every way it can fail."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import assert_checkpoints, memory_stream_pair

from orka.daemon.kube.bodies import DecodedBody, RawBody, WholeBody
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.kube.inflate import OUTPUT_MAX_BYTES
from tests.support.scripted_http import CHUNKED_HEAD, OK_JSON, chunk, whole

REQUEST = b"GET / HTTP/1.1\r\n\r\n"


class PiecesStream(trio.abc.Stream):
    """Gives one piece per read, then its end: b"" or an error."""

    def __init__(self, *pieces: bytes, end: Exception | None = None) -> None:
        self.pieces = list(pieces)
        self.end = end
        self.sent = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Remember."""
        await trio.lowlevel.checkpoint()
        self.sent += bytes(data)

    async def wait_send_all_might_not_block(self) -> None:
        """It never does."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next piece, or the end."""
        assert max_bytes is None or all(len(piece) <= max_bytes for piece in self.pieces)
        await trio.lowlevel.checkpoint()
        if self.pieces:
            return self.pieces.pop(0)
        if self.end is not None:
            raise self.end
        return b""

    async def aclose(self) -> None:
        """Nothing to close."""
        await trio.lowlevel.checkpoint()


async def opened(*pieces: bytes, end: Exception | None = None) -> RawBody:
    """A body whose head was read."""
    body = RawBody(PiecesStream(*pieces, end=end), "api.test:80")
    await body.exchange(REQUEST)
    return body


async def read_all(read: Callable[[], Awaitable[bytes]]) -> bytes:
    """Until the end."""
    data = b""
    while piece := await read():
        data += piece
    return data


async def failure_of(read: Callable[[], Awaitable[bytes]]) -> KubeError:
    """What the reader raises, after any number of good reads."""
    with pytest.raises(KubeError) as caught:
        await read_all(read)
    return caught.value


async def test_each_read_gives_the_body_of_one_socket_read() -> None:
    """Chunks that came together come together, as soon as they are there."""
    body = await opened(
        CHUNKED_HEAD + chunk(b"a\n"),
        chunk(b"b\n") + chunk(b"c\n"),
        b"2\r\n",
        b"d\n\r\n",
        chunk(b""),
    )
    reads = []
    with assert_checkpoints():
        reads.append(await body.receive_some())
    while reads[-1]:
        reads.append(await body.receive_some())
    with assert_checkpoints():
        assert await body.receive_some() == b""

    assert reads == [b"a\n", b"b\nc\n", b"d\n", b""]


async def test_the_head_may_come_alone_and_in_pieces() -> None:
    """Headers are not held back for the first event."""
    body = await opened(CHUNKED_HEAD[:7], CHUNKED_HEAD[7:])

    assert body.parser.status == 200
    assert repr(body) == "<RawBody api.test:80 <ResponseParser body status=200>>"


async def test_a_body_with_a_length_ends_at_its_length() -> None:
    """No matter what follows."""
    body = await opened(whole(b"hello") + b"rubbish")

    assert [await body.receive_some(), await body.receive_some()] == [b"hello", b""]


@pytest.mark.parametrize(
    "pieces",
    [
        (CHUNKED_HEAD, chunk(b"a\n")),
        (CHUNKED_HEAD, b"5\r\nab"),
        (OK_JSON + b"Content-Length: 5\r\n\r\nab",),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"all of it?"),
    ],
)
async def test_an_end_before_the_proper_one_is_a_cut(pieces: tuple[bytes, ...]) -> None:
    """Also where only the server knows what would have followed."""
    body = await opened(*pieces)
    caught = await failure_of(body.receive_some)

    assert caught.failure.kind is FailureKind.CUT
    assert caught.failure.message == "api.test:80: connection closed before the body's end"


async def test_an_errors_text_may_end_with_its_connection() -> None:
    """It is for reading, not for parsing."""
    body = await opened(b"HTTP/1.0 400 Bad Request\r\n\r\n", b"Client sent an HTTP request to")

    assert await body.receive_some() == b"Client sent an HTTP request to"
    assert await body.receive_some() == b""


async def test_no_answer_at_all_is_a_cut() -> None:
    """A server that shuts down."""
    with pytest.raises(KubeError) as caught:
        await opened()

    assert str(caught.value.failure) == "cut: api.test:80: connection closed before any answer"


async def test_another_protocol_is_not_kubernetes() -> None:
    """Something else listens there."""
    with pytest.raises(KubeError) as caught:
        await opened(b"SSH-2.0-OpenSSH_9.6\r\n")

    assert caught.value.failure.kind is FailureKind.NOT_KUBERNETES
    assert caught.value.failure.message.startswith("api.test:80: not HTTP: ")


@pytest.mark.parametrize("end", [trio.BrokenResourceError("reset"), trio.ClosedResourceError()])
async def test_a_broken_connection_is_a_cut(end: Exception) -> None:
    """A reset, or a close from another task."""
    body = await opened(CHUNKED_HEAD, end=end)
    caught = await failure_of(body.receive_some)

    assert caught.failure.kind is FailureKind.CUT
    assert "connection lost" in caught.failure.message


async def test_a_request_that_cannot_be_sent_is_a_cut() -> None:
    """The peer is gone already."""
    ours, theirs = memory_stream_pair()
    await theirs.aclose()
    body = RawBody(ours, "api.test:80")
    with pytest.raises(KubeError) as caught:
        await body.exchange(REQUEST)
    await body.aclose()

    assert caught.value.failure.kind is FailureKind.CUT


async def decoded(encoding: str | None, *pieces: bytes) -> DecodedBody:
    """A chunked body with a Content-Encoding."""
    raw = await opened(CHUNKED_HEAD, *(chunk(piece) for piece in pieces))
    headers = {} if encoding is None else {"content-encoding": encoding}
    return DecodedBody(raw, 200, headers)


async def test_a_compressed_stream_is_read_event_by_event() -> None:
    """Some proxies compress whatever was asked for."""
    compressor = zlib.compressobj(wbits=31)

    def event(data: bytes, mode: int = zlib.Z_SYNC_FLUSH) -> bytes:
        return compressor.compress(data) + compressor.flush(mode)

    body = await decoded("GZIP", event(b"a\n"), event(b"b\n"), event(b"", zlib.Z_FINISH), b"")

    assert [await body.receive_some() for _ in range(3)] == [b"a\n", b"b\n", b""]
    assert "status=200" in repr(body)


async def test_plain_streams_are_passed_through() -> None:
    """With and without saying so."""
    for encoding in (None, "identity"):
        body = await decoded(encoding, b"a\n", b"")

        assert [await body.receive_some(), await body.receive_some()] == [b"a\n", b""]


async def test_a_bomb_is_read_in_bounded_pieces() -> None:
    """A few KiB that become megabytes; each piece is a checkpoint."""
    body = await decoded("gzip", gzip.compress(bytes(3 * OUTPUT_MAX_BYTES)), b"")
    sizes = []
    with assert_checkpoints():
        sizes.append(len(await body.receive_some()))
    with assert_checkpoints():
        sizes.append(len(await body.receive_some()))

    assert sizes == [OUTPUT_MAX_BYTES] * 2


async def test_compression_that_ends_inside_is_a_cut() -> None:
    """Even if the HTTP body has its proper end."""
    body = await decoded("gzip", gzip.compress(b"hello")[:-4], b"")
    caught = await failure_of(body.receive_some)

    assert caught.failure.kind is FailureKind.CUT
    assert caught.failure.message == "api.test:80: body ended inside its compression"


async def test_compression_that_is_none_is_not_kubernetes() -> None:
    """The header lied."""
    body = await decoded("gzip", b'{"type":"ADDED"}', b"")

    assert (await failure_of(body.receive_some)).failure.kind is FailureKind.NOT_KUBERNETES


async def test_an_unknown_encoding_is_not_kubernetes() -> None:
    """We asked for none, and cannot undo this one."""
    with pytest.raises(KubeError) as caught:
        await decoded("br")

    assert caught.value.failure.message == "api.test:80: Content-Encoding br was not asked for"


def whole_of(encoding: str, data: bytes, max_bytes: int = 10_000) -> bytes:
    """A body that comes in small pieces."""
    body = WholeBody("api.test:80", encoding, max_bytes)
    for start in range(0, len(data), 7):
        body.feed(data[start : start + 7])
    return body.finish()


@pytest.mark.parametrize("encoding", ["identity", "gzip", "Deflate"])
def test_a_whole_body_is_decoded(encoding: str) -> None:
    """Whatever it was compressed with."""
    plain = b"{} " * 1000
    data = {"identity": plain, "gzip": gzip.compress(plain), "Deflate": zlib.compress(plain)}

    assert whole_of(encoding, data[encoding]) == plain


def test_a_body_without_bytes_needs_no_decoding() -> None:
    """A 304 may repeat the header of the answer that it stands for."""
    assert whole_of("gzip", b"") == b""


@pytest.mark.parametrize(
    ("encoding", "data", "kind", "words"),
    [
        ("identity", b"x" * 11, FailureKind.SERVER, "a body over the 10 bytes that are taken"),
        ("gzip", gzip.compress(bytes(10**7)), FailureKind.SERVER, "a body over the 10 bytes"),
        ("gzip", b"no gzip at all", FailureKind.NOT_KUBERNETES, "bad compression"),
        ("gzip", gzip.compress(b"hello")[:-4], FailureKind.CUT, "ended inside its compression"),
        ("br", b"", FailureKind.NOT_KUBERNETES, "Content-Encoding br was not asked for"),
    ],
)
def test_what_is_no_whole_body(encoding: str, data: bytes, kind: FailureKind, words: str) -> None:
    """Too large, not what its header says, or not all of it."""
    with pytest.raises(KubeError) as caught:
        whole_of(encoding, data, max_bytes=10)

    assert caught.value.failure.kind is kind
    assert words in caught.value.failure.message


def test_nothing_is_kept_after_trouble() -> None:
    """The rest of the answer passes through."""
    body = WholeBody("api.test:80", "identity", 10)
    for _ in range(100):
        body.feed(bytes(11))

    assert repr(body).startswith("<WholeBody bytes=11 trouble=server: ")
