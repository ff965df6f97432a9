"""Compressed pieces to plain bytes, early and bounded."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.kube.inflate import OUTPUT_MAX_BYTES, BadCompression, Inflater


def pulled(inflater: Inflater) -> bytes:
    """Everything that can be had now."""
    out = b""
    while piece := inflater.pull():
        out += piece
    return out


@given(plain=st.binary(), step=st.integers(1, 50), as_gzip=st.booleans())
def test_any_chunking_gives_the_same_bytes(*, plain: bytes, step: int, as_gzip: bool) -> None:
    """Gzip and zlib, cut anywhere."""
    data = gzip.compress(plain) if as_gzip else zlib.compress(plain)
    inflater = Inflater()
    out = b""
    for start in range(0, len(data), step):
        inflater.push(data[start : start + step])
        out += pulled(inflater)

    assert out == plain
    assert inflater.finished


def test_a_flushed_event_comes_out_at_once() -> None:
    """A compressing proxy that flushes does not hold events back."""
    compressor = zlib.compressobj(wbits=31)
    inflater = Inflater()
    inflater.push(compressor.compress(b"event\n") + compressor.flush(zlib.Z_SYNC_FLUSH))

    assert pulled(inflater) == b"event\n"
    assert not inflater.finished
    assert repr(inflater) == "<Inflater pending=0 finished=False>"


def test_a_bomb_comes_out_in_bounded_pieces() -> None:
    """Megabytes of zeros from a few KiB never stand in memory together."""
    inflater = Inflater()
    inflater.push(gzip.compress(bytes(10 * OUTPUT_MAX_BYTES)))
    sizes = []
    while piece := inflater.pull():
        sizes.append(len(piece))

    assert max(sizes) <= OUTPUT_MAX_BYTES
    assert sum(sizes) == 10 * OUTPUT_MAX_BYTES


def test_what_is_not_compressed_is_refused() -> None:
    """A wrong Content-Encoding."""
    inflater = Inflater()
    inflater.push(b'{"kind":"PodList"}')

    with pytest.raises(BadCompression):
        inflater.pull()
