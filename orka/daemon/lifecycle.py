"""The daemon as a process: its directory, its lock, its listening socket, systemd, detaching."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from orka.proto.errors import ConfigError, OrkaError

LISTEN_FDS_START = 3  # systemd's first passed descriptor
BACKLOG_CONNECTIONS = 512  # many watchers may start in the same instant
PROBE_SECONDS = 1.0  # a daemon that is alive accepts in microseconds


def prepare_directory(path: Path) -> None:
    """Make the socket's directory (0700), or check that nobody else could replace what is in it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.stat()
    except OSError as exc:
        raise ConfigError(f"cannot use the directory {path}: {exc.strerror}") from exc
    if info.st_uid not in (os.getuid(), 0):
        raise ConfigError(f"the directory {path} belongs to uid {info.st_uid}, not to you")
    if info.st_mode & 0o022 and not info.st_mode & stat.S_ISVTX:
        raise ConfigError(
            f"others may write to the directory {path} (mode {stat.S_IMODE(info.st_mode):04o})",
            hint=f"chmod go-w {path}",
        )


@contextmanager
def one_daemon(socket_path: Path) -> Iterator[None]:
    """Hold the lock file beside the socket for as long as this daemon lives.

    The kernel releases it however the process ends, so a lock that is held means a daemon
    that runs. The file itself stays: removing it would race with the next daemon.
    """
    path = socket_path.with_name(socket_path.name + ".lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise ConfigError(f"cannot open the lock file {path}: {exc.strerror}") from exc
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            raise OrkaError(
                f"another orkad (pid {holder}) serves {socket_path}",
                hint="orkactl status shows it, orkactl stop ends it",
            ) from exc
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


@contextmanager
def listening(socket_path: Path, environ: Mapping[str, str]) -> Iterator[socket.socket]:
    """The listening socket: passed by systemd, or bound here and unlinked at the end.

    The caller holds the lock, so a socket file that is in the way is stale, unless something
    that is not orkad answers on it.
    """
    passed = systemd_listener(environ)
    if passed is not None:
        with passed:
            yield passed
        return
    remove_stale(socket_path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listener:
        before = os.umask(0o177)  # the socket is 0600 from its first instant
        try:
            listener.bind(str(socket_path))
        except OSError as exc:
            raise ConfigError(f"cannot listen on {socket_path}: {exc.strerror}") from exc
        finally:
            os.umask(before)
        listener.listen(BACKLOG_CONNECTIONS)
        ours = _identity(socket_path)
        try:
            yield listener
        finally:
            if _identity(socket_path) == ours:
                socket_path.unlink()


def remove_stale(socket_path: Path) -> None:
    """Unlink a socket file that nobody serves; refuse anything else that is in the way."""
    try:
        info = socket_path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(info.st_mode):
        raise ConfigError(f"{socket_path} is in the way and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(str(socket_path))
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                socket_path.unlink()
            return
        except OSError as exc:
            if exc.errno not in (errno.EAGAIN, errno.ETIMEDOUT):
                raise ConfigError(f"cannot probe {socket_path}: {exc.strerror}") from exc
    raise OrkaError(f"something that holds no lock already serves {socket_path}")


def systemd_listener(environ: Mapping[str, str]) -> socket.socket | None:
    """The socket passed by systemd's socket activation, if this process was started that way."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = environ.get("LISTEN_FDS", "")
    if count != "1":
        raise ConfigError(f"LISTEN_FDS={count}: orkad takes exactly one socket from systemd")
    return socket.socket(fileno=LISTEN_FDS_START)


def notify_systemd(environ: Mapping[str, str], message: str) -> None:
    """Tell systemd how far we are (`READY=1`, `STOPPING=1`), if it asked to be told."""
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        try:
            notify.connect(address)
            notify.send(message.encode())
        except OSError as exc:
            raise ConfigError(f"cannot notify systemd at {address!r}: {exc.strerror}") from exc


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        info = path.lstat()
    except FileNotFoundError:
        return None
    return info.st_dev, info.st_ino


class Detached:
    """`--background`: the parent waits on a pipe for the child's first word, then returns.

    The child is a new session whose output goes to the log file. Its word is one JSON line
    once the socket answers; an end of file without it means that it died.
    """

    def __init__(self, log_path: Path) -> None:
        self.log_path = log_path
        self._child = 0
        self._read, self._write = os.pipe2(os.O_CLOEXEC)

    def fork(self) -> bool:
        """True in the child. Call before anything starts a thread or an event loop."""
        log = os.open(
            self.log_path,
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW,
            0o600,
        )
        self._child = os.fork()
        if self._child:
            os.close(log)
            os.close(self._write)
            return False
        os.close(self._read)
        os.setsid()
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 -- a descriptor to hand over
            os.dup2(nothing.fileno(), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        return True

    def report(self, **word: object) -> None:
        """In the child: the daemon answers."""
        os.write(self._write, json.dumps(word).encode() + b"\n")
        os.close(self._write)

    def wait(self) -> dict[str, object] | None:
        """In the parent: the child's word, or None if it died without one."""
        with os.fdopen(self._read, "rb") as pipe:
            line = pipe.readline()
        if not line:
            return None
        word: dict[str, object] = json.loads(line)
        return word

    def exit_code(self) -> int:
        """In the parent: how the child that died ended, never 0."""
        _, status = os.waitpid(self._child, 0)
        return os.waitstatus_to_exitcode(status) or 1

    def last_words(self, lines: int) -> list[str]:
        """In the parent: the end of the log, for the user who has nothing else to go by."""
        return self.log_path.read_text("utf-8", "replace").splitlines()[-lines:]
