"""Laws of the line splitter."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.kube.lines import LineSplitter, Oversize

# Bytes that other splitters take for line ends, and characters of several bytes.
TRICKY = [b"\n", b"\r", b"\x0b", b"\x1c", b"\x85", "\u0085".encode(), "\u2028".encode(), b"{}"]
texts = st.lists(st.one_of(st.sampled_from(TRICKY), st.binary(max_size=4)), max_size=30).map(
    b"".join
)


def split_at(text: bytes, cuts: list[int]) -> list[bytes]:
    """`text` in pieces that end at these places."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(places)]


@given(text=texts, cuts=st.lists(st.integers(min_value=0)))
def test_any_chunking_gives_the_same_lines(text: bytes, cuts: list[int]) -> None:
    """Lines end at byte 0x0A alone, wherever the chunks end; the rest is the begun line."""
    splitter = LineSplitter()

    lines = [line for chunk in split_at(text, cuts) for line in splitter.feed(chunk)]

    *whole, begun = text.split(b"\n")
    assert lines == [line for line in whole if line]
    assert splitter.close() == len(begun)
    assert splitter.close() == 0


@given(text=texts, cuts=st.lists(st.integers(min_value=0)), cap=st.integers(1, 8))
def test_lines_over_the_cap_are_marked_and_framing_goes_on(
    text: bytes, cuts: list[int], cap: int
) -> None:
    """Each line over the cap becomes one marker in its place, however it was cut in chunks."""
    splitter = LineSplitter(cap)

    lines = [line for chunk in split_at(text, cuts) for line in splitter.feed(chunk)]

    *whole, begun = text.split(b"\n")
    assert lines == [line if len(line) <= cap else Oversize() for line in whole if line]
    assert splitter.close() == len(begun)


def test_a_line_over_the_cap_is_not_held() -> None:
    """What comes of a line after the cap is only counted."""
    splitter = LineSplitter(10)

    for _ in range(1000):
        assert splitter.feed(b"x" * 9) == []

    assert repr(splitter) == "<LineSplitter begun=0 dropped=9000>"
    assert splitter.feed(b"\nok\n") == [Oversize(), b"ok"]


def test_an_empty_chunk_is_no_line() -> None:
    """Nothing in, nothing out."""
    splitter = LineSplitter()

    assert splitter.feed(b"") == []
    assert splitter.close() == 0
