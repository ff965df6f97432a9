"""Frames: a 4-byte big-endian length, then one msgpack value; bytes in any chunking to payloads."""

from __future__ import annotations

from orka.proto.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["HEADER_BYTES", "FrameReader", "frame"]

HEADER_BYTES = 4


def frame(payload: bytes, max_bytes: int) -> bytes:
    """The payload with its length before it; over the cap is a bug of the sender."""
    if len(payload) > max_bytes:
        raise LocalProtocolError(f"a frame of {len(payload)} bytes is over the {max_bytes} allowed")
    return len(payload).to_bytes(HEADER_BYTES, "big") + payload


class FrameReader:
    """Collects chunks as they arrive and hands out whole payloads.

    Memory is bounded by one frame of `max_bytes` plus one chunk: an announced length over
    the cap is refused before its body is awaited.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def __repr__(self) -> str:
        return f"<FrameReader buffered={len(self._buffer)} max_bytes={self._max_bytes}>"

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Payloads completed by `data`, in order; RemoteProtocolError for an oversize frame."""
        buffer = self._buffer
        buffer += data
        payloads: list[bytes] = []
        start = 0
        while len(buffer) - start >= HEADER_BYTES:
            length = int.from_bytes(buffer[start : start + HEADER_BYTES], "big")
            if length > self._max_bytes:
                raise RemoteProtocolError(
                    f"oversize frame: {length} bytes announced, {self._max_bytes} allowed"
                )
            end = start + HEADER_BYTES + length
            if len(buffer) < end:
                break
            payloads.append(bytes(buffer[start + HEADER_BYTES : end]))
            start = end
        del buffer[:start]
        return payloads

    def close(self) -> None:
        """The stream ended; RemoteProtocolError if it ended inside a frame."""
        if self._buffer:
            raise RemoteProtocolError(
                f"truncated frame: the stream ended after {len(self._buffer)} bytes of it"
            )
