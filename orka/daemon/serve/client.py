"""One connected client: bytes of a Unix socket to request payloads, frames to bytes.

Writing has two ways: `offer` takes what the kernel takes now and never waits (the hub's way, a
tenth of the cost of a task switch per client), `send` waits, but not for ever.
"""

from __future__ import annotations

import socket
from typing import Protocol

import trio

from orka.proto.frames import FrameReader
from orka.proto.names import CLIENT_FRAME_MAX_BYTES

RECEIVE_MAX_BYTES = 64 * 1024
LAGGING_SECONDS = 10.0  # a reader blocked this long is shown as lagging in `status`
DROP_SECONDS = (
    60.0  # one that takes no byte for this long is dropped; nobody else ever waits for it
)


class ClientLeft(Exception):  # noqa: N818 -- an event of the conversation, not an error of ours
    """The client closed its end, or was dropped because it stopped reading."""


class Wire(Protocol):
    """The client's end as the operating system gives it; tests have one in memory."""

    async def receive_some(self) -> bytes:
        """The next bytes; b"" when the client will send no more. Raises ClientLeft."""

    def send_nowait(self, data: memoryview) -> int:
        """How many bytes were taken; 0 when there is no room now. Raises ClientLeft."""

    async def wait_writable(self) -> None:
        """Return when `send_nowait` may take something again."""

    def close(self) -> None:
        """Close at once; whoever waits on the wire gets ClientLeft."""


class SocketWire:
    """A connected Unix socket: the stdlib one, whose plain `send` is what makes `offer` cheap."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock

    async def receive_some(self) -> bytes:
        """See `Wire`."""
        await trio.lowlevel.checkpoint()
        while True:
            try:
                return self._sock.recv(RECEIVE_MAX_BYTES)
            except BlockingIOError:
                await self._wait(trio.lowlevel.wait_readable)
            except OSError as exc:
                raise ClientLeft from exc

    def send_nowait(self, data: memoryview) -> int:
        """See `Wire`."""
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as exc:
            raise ClientLeft from exc

    async def wait_writable(self) -> None:
        """See `Wire`."""
        await self._wait(trio.lowlevel.wait_writable)

    async def _wait(self, wait: object) -> None:
        assert callable(wait)
        try:
            await wait(self._sock)
        except (trio.ClosedResourceError, OSError) as exc:
            raise ClientLeft from exc

    def close(self) -> None:
        """See `Wire`."""
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()


class Client:
    """Frames over a wire. One task reads; at any moment one task or the hub writes."""

    def __init__(self, wire: Wire, *, pid: int = 0) -> None:
        self.pid = pid
        self.asks = "nothing yet"  # what `status` shows
        self.sent_bytes = 0
        self.blocked_since: float | None = None
        self._wire = wire
        self._reader = FrameReader(CLIENT_FRAME_MAX_BYTES)
        self._unsent = memoryview(b"")

    def __repr__(self) -> str:
        return f"<Client pid={self.pid} {self.asks} unsent={len(self._unsent)}>"

    def lagging(self, now: float) -> bool:
        """Whether the client has taken nothing for long although there is something to take."""
        return self.blocked_since is not None and now - self.blocked_since >= LAGGING_SECONDS

    async def receive(self) -> list[bytes]:
        """The next whole payloads; an empty list at the end of the client's requests.

        Raises ClientLeft, and RemoteProtocolError for an oversize or truncated frame.
        """
        while True:
            data = await self._wire.receive_some()
            if not data:
                self._reader.close()
                return []
            payloads = self._reader.receive_data(data)
            if payloads:
                return payloads

    def offer(self, frames: bytes) -> bool:
        """Write what is taken now; False if a rest is left, which `send` must finish."""
        assert not self._unsent, "the rest of the last frame comes first"
        data = memoryview(frames)
        taken = self._wire.send_nowait(data)
        self.sent_bytes += taken
        self._unsent = data[taken:]
        return taken == len(data)

    async def send(self, frames: bytes = b"") -> None:
        """Write the rest of the last frames, then `frames`, whole.

        Raises ClientLeft when the client is gone, or took no byte for DROP_SECONDS. What a
        cancelled send did not write is kept, and goes first next time.
        """
        if frames:
            self._unsent = memoryview(bytes(self._unsent) + frames if self._unsent else frames)
        await trio.lowlevel.checkpoint()
        while self._unsent:
            taken = self._wire.send_nowait(self._unsent)
            self.sent_bytes += taken
            self._unsent = self._unsent[taken:]
            if self._unsent:
                await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        if self.blocked_since is None:
            self.blocked_since = trio.current_time()
        with trio.move_on_after(DROP_SECONDS) as scope:
            await self._wire.wait_writable()
        if scope.cancelled_caught:
            raise ClientLeft("took no byte for too long")
        self.blocked_since = None

    def close(self) -> None:
        """Close at once."""
        self._wire.close()
