"""Bytes in chunks of any size turned into whole lines, split at byte 0x0A and nowhere else.

JSON strings may hold U+0085, U+2028 or a carriage return, and a chunk may end inside a
character, so nothing here looks at text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Twice what client-go accepts in one watch event; etcd itself refuses objects over 1.5 MB.
LINE_MAX_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Oversize:
    """A line longer than the cap stood here; its bytes were dropped as they came."""


class LineSplitter:
    """Splits one stream; sans I/O. Empty lines are no lines.

    The begun line never holds a newline, so each byte is searched once however small the
    chunks are, and every line given out is a copy that pins no buffer.
    """

    def __init__(self, cap_bytes: int = LINE_MAX_BYTES) -> None:
        self._cap_bytes = cap_bytes
        self._begun = bytearray()
        self._dropped_bytes = 0  # of a begun line that went over the cap

    def __repr__(self) -> str:
        return f"<LineSplitter begun={len(self._begun)} dropped={self._dropped_bytes}>"

    def feed(self, chunk: bytes) -> Sequence[bytes | Oversize]:
        """The lines that `chunk` completes, without their newlines."""
        pieces = chunk.split(b"\n")
        begun = pieces.pop()
        lines: Sequence[bytes | Oversize] = pieces
        if pieces:
            self._extend(pieces[0])
            lines = self._completed(pieces)
        self._extend(begun)
        return lines

    def close(self) -> int:
        """How many bytes of a line without its newline are thrown away: a cut, if any."""
        discarded = len(self._begun) + self._dropped_bytes
        self._begun = bytearray()
        self._dropped_bytes = 0
        return discarded

    def _extend(self, more: bytes) -> None:
        if self._dropped_bytes or len(self._begun) + len(more) > self._cap_bytes:
            self._dropped_bytes += len(self._begun) + len(more)
            self._begun = bytearray()
        else:
            self._begun += more

    def _completed(self, pieces: list[bytes]) -> Sequence[bytes | Oversize]:
        """The pieces as lines, the first of them with what was begun before."""
        too_long = self._dropped_bytes
        pieces[0] = bytes(self._begun)
        self._begun = bytearray()
        self._dropped_bytes = 0
        if not too_long and max(map(len, pieces)) <= self._cap_bytes:
            return list(filter(None, pieces))
        first = Oversize() if too_long else pieces[0]
        lines = (first, *map(self._capped, pieces[1:]))
        return [line for line in lines if line]

    def _capped(self, line: bytes) -> bytes | Oversize:
        return Oversize() if len(line) > self._cap_bytes else line
