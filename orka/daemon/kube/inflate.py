"""A compressed body, piece by piece, to its plain bytes as early as they can be had."""

from __future__ import annotations

import zlib

OUTPUT_MAX_BYTES = 1024 * 1024  # per pull: 64 KiB of input can hold 64 MiB of zeros
AUTO_WBITS = 32 + zlib.MAX_WBITS  # gzip or zlib, told apart by their headers

ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})


class BadCompression(Exception):  # noqa: N818 -- says what the bytes are
    """The bytes are not what Content-Encoding said."""


class Inflater:
    """Push compressed bytes, then pull until nothing comes."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(AUTO_WBITS)
        self._pending = b""

    def __repr__(self) -> str:
        return f"<Inflater pending={len(self._pending)} finished={self.finished}>"

    @property
    def finished(self) -> bool:
        """The compressed data has its own end."""
        return self._inflate.eof

    def push(self, data: bytes) -> None:
        """More input; what was pushed before must have been pulled."""
        self._pending += data

    def pull(self) -> bytes:
        """Some plain bytes, or b"" if more input is needed; raises BadCompression."""
        try:
            data = self._inflate.decompress(self._pending, OUTPUT_MAX_BYTES)
        except zlib.error as exc:
            raise BadCompression(str(exc)) from exc
        self._pending = self._inflate.unconsumed_tail
        return data
