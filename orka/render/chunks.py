"""Pieces of text to chunks of bytes, bounded so that no buffer grows with the number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from orka.proto.names import TEXT_CHUNK_MAX_BYTES

PIECES_PER_JOIN = 512  # joining few hundred lines at once is as fast as joining all


def in_chunks(pieces: Iterable[str], max_bytes: int = TEXT_CHUNK_MAX_BYTES) -> Iterator[bytes]:
    """The pieces as UTF-8 in chunks of at most `max_bytes`; a chunk may end inside a line."""
    buffer = bytearray()
    pending = iter(pieces)
    while batch := list(islice(pending, PIECES_PER_JOIN)):
        buffer += "".join(batch).encode()
        while len(buffer) >= max_bytes:
            yield bytes(buffer[:max_bytes])
            del buffer[:max_bytes]
    if buffer:
        yield bytes(buffer)
