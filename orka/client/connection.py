"""A socket path to a connection that has shaken hands with orkad, or to the reason why not."""

# os.path costs nothing at start-up, pathlib some milliseconds.
# ruff: noqa: PTH116, PTH120

from __future__ import annotations

import _socket as socket  # the C half of socket: its Python half costs 4 ms, and none of it is used
import os
import struct
from collections import deque
from stat import S_ISSOCK
from types import TracebackType
from typing import Self

from orka import __version__
from orka.client.output import say
from orka.proto.address import SOCKET_PATH_MAX_BYTES
from orka.proto.errors import OrkaError, RemoteProtocolError
from orka.proto.frames import FrameReader, frame
from orka.proto.handshake import check_protocol, version_skew
from orka.proto.names import CLIENT_FRAME_MAX_BYTES, PROTOCOL, SERVER_FRAME_MAX_BYTES
from orka.proto.tinypack import Value, pack, unpack

__all__ = ["HELLO_SECONDS", "Connection", "Message", "connect"]

HELLO_SECONDS = 5.0  # an orkad that lives says hello in milliseconds
RECEIVE_MAX_BYTES = 256 * 1024  # one chunk of text at once
START_HINT = "start it with: orkad --background"

_TIMEVAL = struct.Struct("@ll")
_UCRED = struct.Struct("@iII")

Message = dict[str, Value]


class Connection:
    """Blocking frames of one conversation. A context manager; leaving it closes the socket."""

    def __init__(self, sock: socket.socket, path: str) -> None:
        self._sock = sock
        self._path = path
        self._reader = FrameReader(SERVER_FRAME_MAX_BYTES)
        self._payloads: deque[bytes] = deque()
        self.hello: Message = {}  # the daemon's, after `greet`

    def __repr__(self) -> str:
        return f"<Connection {self._path} waiting={len(self._payloads)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sock.close()

    def greet(self, request: Message | None, *, patience_seconds: float = HELLO_SECONDS) -> None:
        """Say hello, and the request with it; hear the daemon's hello.

        Raises OrkaError: `no-daemon` if none comes in time, `bad-protocol`, `usage`
        for a request that is no UTF-8. Other versions are warned about once.
        """
        hello: Message = {"type": "hello", "protocol": PROTOCOL, "version": __version__}
        messages = [hello] if request is None else [hello, request]
        try:
            frames = [frame(pack(message), CLIENT_FRAME_MAX_BYTES) for message in messages]
        except UnicodeEncodeError as exc:
            raise OrkaError(f"not UTF-8: {exc.object!r}", code="usage") from exc
        self._send(b"".join(frames))
        self.patience(patience_seconds)
        try:
            self.hello = self.receive_message()
        except TimeoutError as exc:
            raise _hung(self._path, patience_seconds) from exc
        check_protocol(self.hello.get("protocol"))
        skew = version_skew(__version__, str(self.hello.get("version")))
        if skew is not None:
            say(skew)

    def patience(self, silence_seconds: float | None) -> None:
        """How long `receive` waits for the next bytes; None waits for ever."""
        seconds = silence_seconds or 0.0  # the kernel takes zero for no limit
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))

    def receive(self) -> bytes:
        """The next payload.

        Raises TimeoutError when patience ends, OrkaError `lost` when the daemon is gone.
        """
        while not self._payloads:
            try:
                data = self._sock.recv(RECEIVE_MAX_BYTES)
            except BlockingIOError as exc:
                raise TimeoutError from exc
            except OSError as exc:
                raise _lost(self._path) from exc
            if not data:
                raise _lost(self._path)
            try:
                self._payloads += self._reader.receive_data(data)
            except RemoteProtocolError as exc:
                raise not_understood(exc) from exc
        return self._payloads.popleft()

    def receive_message(self) -> Message:
        """The next message as plain values; raises as `receive` does."""
        try:
            message = unpack(self.receive())
        except RemoteProtocolError as exc:
            raise not_understood(exc) from exc
        if not isinstance(message, dict):
            raise not_understood("it is no map")
        return message

    def _send(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except BlockingIOError as exc:
            raise _hung(self._path, HELLO_SECONDS) from exc
        except OSError as exc:
            raise _lost(self._path) from exc


def connect(path: str, uid: int, *, patience_seconds: float = HELLO_SECONDS) -> Connection:
    """A connection to the orkad of user `uid` at `path`; the caller closes it.

    Raises OrkaError `no-daemon`, saying which of no socket, nobody listening, another owner
    and no room in the backlog it is.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_MAX_BYTES:
        raise OrkaError(
            f"the socket path is longer than {SOCKET_PATH_MAX_BYTES} bytes: {path}", code="usage"
        )
    check_owner(path, uid)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A blocking connect waits for a place in the backlog, for this long.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(patience_seconds))
        _connect(sock, path, patience_seconds)
        _check_peer(sock, path, uid)
    except BaseException:
        sock.close()
        raise
    return Connection(sock, path)


def _connect(sock: socket.socket, path: str, patience_seconds: float) -> None:
    try:
        sock.connect(path)
    except BlockingIOError as exc:
        raise _hung(path, patience_seconds) from exc
    except (FileNotFoundError, ConnectionRefusedError) as exc:
        raise _no_daemon(f"no orkad listens at {path}: the socket is a leftover") from exc
    except OSError as exc:
        raise _no_daemon(f"cannot connect to {path}: {exc.strerror}") from exc


def _check_peer(sock: socket.socket, path: str, uid: int) -> None:
    """The file may have been replaced after it was looked at; the kernel knows who listens."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, peer_uid, _ = _UCRED.unpack(raw)
    if peer_uid != uid:
        raise _foreign(f"the process behind {path} runs as uid {peer_uid}", uid)


def check_owner(path: str, uid: int) -> None:
    """Refuse a socket that another user could have put there; OrkaError `no-daemon`."""
    folder = os.path.dirname(path)
    try:
        folder_status = os.stat(folder)
        status = os.stat(path) if folder_status.st_uid in (uid, 0) else None
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise _no_daemon(f"no orkad is running: there is no socket at {path}") from exc
    except PermissionError as exc:
        raise _foreign(f"{folder} is closed to you", uid, path) from exc
    if status is None:
        raise _foreign(f"{folder} belongs to uid {folder_status.st_uid}", uid, path)
    if status.st_uid != uid:
        raise _foreign(f"{path} belongs to uid {status.st_uid}", uid)
    if not S_ISSOCK(status.st_mode):
        raise _no_daemon(f"no orkad is running: {path} is not a socket")


def not_understood(why: object) -> OrkaError:
    """The daemon said something that this orkactl cannot read."""
    return OrkaError(f"orkad's answer was not understood: {why}", hint="restart orkad")


def _timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return _TIMEVAL.pack(whole, int((seconds - whole) * 1_000_000))


def _no_daemon(message: str) -> OrkaError:
    return OrkaError(message, hint=START_HINT, code="no-daemon")


def _foreign(message: str, uid: int, path: str = "") -> OrkaError:
    where = f"; {path} is not used" if path else ""
    return OrkaError(
        f"{message}, you are uid {uid}{where}",
        hint="start your own with: orkad --background, or point ORKA_SOCKET elsewhere",
        code="no-daemon",
    )


def _hung(path: str, waited_seconds: float) -> OrkaError:
    return OrkaError(
        f"the orkad at {path} hangs: no hello within {waited_seconds:g} s",
        hint="end it, then start it with: orkad --background",
        code="no-daemon",
    )


def _lost(path: str) -> OrkaError:
    return OrkaError(f"lost orkad at {path} before its answer was complete", code="lost")
