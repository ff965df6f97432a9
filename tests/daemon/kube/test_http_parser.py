"""One response out of bytes in any chunking."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.kube.http_parser import HEAD_MAX_BYTES, NotHttp, ResponseParser

RESPONSES = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "chunked": (
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: x\r\n\r\n"
        ),
        b"hello",
    ),
    "after an early hint": (
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        ),
        b"hello",
    ),
    "not modified": (b'HTTP/1.1 304 Not Modified\r\nEtag: "x"\r\n\r\n', b""),
    "followed by rubbish": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\x00\x01!!",
        b"hello",
    ),
    "followed by another": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 404 Not Found\r\nA: b\r\n\r\nx",
        b"hello",
    ),
}


def parsed(parser: ResponseParser, pieces: list[bytes]) -> bytes:
    """Feed everything and take everything."""
    body = b""
    for piece in pieces:
        parser.feed(piece)
        body += parser.take()
    return body


@given(st.sampled_from(sorted(RESPONSES)), st.lists(st.integers(1, 200), max_size=8))
def test_any_chunking_gives_the_same_response(name: str, cuts: list[int]) -> None:
    """Status, headers and body do not depend on how the bytes arrive."""
    data, body = RESPONSES[name]
    whole, cut = ResponseParser(), ResponseParser()
    edges = [0, *sorted({min(c, len(data)) for c in cuts}), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges) if a < b]

    assert parsed(whole, [data]) == body
    assert parsed(cut, pieces) == body
    assert (cut.status, cut.headers) == (whole.status, whole.headers)
    assert whole.complete
    assert cut.complete


def test_nothing_after_the_end_is_part_of_the_response() -> None:
    """A second response on the connection changes neither status nor headers of the first."""
    parser = ResponseParser()
    parsed(parser, [RESPONSES["followed by another"][0]])
    parser.feed(b"anything at all")

    assert parser.status == 200
    assert parser.headers == [(b"content-length", b"5")]
    assert parser.take() == b""


def test_a_body_without_its_last_byte_is_not_complete() -> None:
    """Only the proper end counts as one."""
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello")

    assert parser.take() == b"hello"
    assert not parser.complete
    assert repr(parser) == "<ResponseParser body status=200>"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n", False),  # not yet known
        (b"HTTP/1.0 400 Bad Request\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", False),
    ],
)
def test_a_body_without_length_ends_with_its_connection(head: bytes, *, expected: bool) -> None:
    """Neither length nor chunks: only then."""
    parser = ResponseParser()
    parser.feed(head)

    assert parser.ends_with_connection is expected


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\x81",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_MAX_BYTES,
    ],
)
def test_what_is_no_http_response_is_refused(data: bytes) -> None:
    """Another protocol, broken framing, an upgrade, endless headers."""
    with pytest.raises(NotHttp):
        ResponseParser().feed(data)


def test_the_state_is_in_the_repr() -> None:
    """Logs can print the parser."""
    parser = ResponseParser()

    assert repr(parser) == "<ResponseParser head status=0>"
    parser.feed(RESPONSES["length"][0])
    assert repr(parser) == "<ResponseParser complete status=200>"
