"""A daemon that says what a test wrote down: a real Unix socket, a blocking thread, no cluster."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from orka import __version__
from orka.proto.frames import FrameReader, frame
from orka.proto.messages import ClientMessage, Hello, ServerMessage, decode_client, encode
from orka.proto.names import CLIENT_FRAME_MAX_BYTES, PROTOCOL, SERVER_FRAME_MAX_BYTES

HELLO = Hello(PROTOCOL, __version__, ("text", "resume"), "scripted", 4711)
PATIENCE_SECONDS = 20.0  # a test that hangs here has failed

Step = ServerMessage | bytes | Callable[[socket.socket], None]


def framed(message: ServerMessage) -> bytes:
    """A message as the daemon sends it."""
    return frame(encode(message), SERVER_FRAME_MAX_BYTES)


def raw(payload: bytes) -> bytes:
    """Bytes that are no message of ours, in a frame."""
    return frame(payload, SERVER_FRAME_MAX_BYTES)


class ScriptedDaemon:
    """Serves each connection the same steps after its hello and request, then closes it.

    A step is a message, bytes as they are, or a function that gets the connection. `requests`
    has what clients asked, in order.
    """

    def __init__(
        self, path: Path, steps: Sequence[Step], *, hello: Step | None = HELLO, asked: bool = True
    ) -> None:
        self.path = path
        self.requests: list[ClientMessage] = []
        self.hellos: list[Hello] = []
        self._steps = steps
        self._hello = hello
        self._asked = asked
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve, name=f"scripted {path.name}")
        self._failures: list[BaseException] = []

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen(16)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread out of accept
        self._thread.join(PATIENCE_SECONDS)
        self._listener.close()
        assert not self._thread.is_alive(), "a scripted conversation did not end"
        if error is None and self._failures:
            raise self._failures[0]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(PATIENCE_SECONDS)
                try:
                    self._converse(connection)
                except (BrokenPipeError, ConnectionResetError):
                    continue  # the client left before the script was over: its right
                except BaseException as exc:  # noqa: BLE001 -- raised again where the test sees it
                    self._failures.append(exc)

    def _converse(self, connection: socket.socket) -> None:
        if self._hello is not None:
            self._take(self._hello, connection)
        self._listen(connection)
        for step in self._steps:
            self._take(step, connection)

    def _listen(self, connection: socket.socket) -> None:
        reader = FrameReader(CLIENT_FRAME_MAX_BYTES)
        wanted = 2 if self._asked else 1
        while wanted > 0:
            data = connection.recv(65536)
            if not data:
                return
            for payload in reader.receive_data(data):
                wanted -= 1
                message = decode_client(payload)
                if isinstance(message, Hello):
                    self.hellos.append(message)
                else:
                    self.requests.append(message)

    def _take(self, step: Step, connection: socket.socket) -> None:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif callable(step):
            step(connection)
        else:
            connection.sendall(framed(step))


def until_left(connection: socket.socket) -> None:
    """A step that waits until the client closes its end."""
    while connection.recv(65536):
        pass


def unlinks(path: Path) -> Callable[[socket.socket], None]:
    """A step that removes the socket, as a daemon does at its end."""

    def step(_: socket.socket) -> None:
        os.unlink(path)  # noqa: PTH108 -- as the daemon does it

    return step
