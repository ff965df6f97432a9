"""One daemon per socket, in a directory that nobody else can write to."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from orka.daemon.lifecycle import (
    Detached,
    listening,
    notify_systemd,
    one_daemon,
    prepare_directory,
    remove_stale,
    systemd_listener,
)
from orka.proto.errors import ConfigError, OrkaError


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short path: sun_path has 108 bytes."""
    return tmp_path_factory.mktemp("s")


def test_p8_a_missing_directory_is_made_private(folder: Path) -> None:
    """Mode 0700, parents included."""
    made = folder / "a" / "orka"

    prepare_directory(made)

    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_p8_a_directory_others_may_write_to_is_refused(folder: Path) -> None:
    """They could replace the socket; the hint says what to do."""
    folder.chmod(0o777)

    with pytest.raises(ConfigError, match="others may write") as caught:
        prepare_directory(folder)

    assert caught.value.hint == f"chmod go-w {folder}"


def test_a_sticky_directory_is_accepted(folder: Path) -> None:
    """In /tmp nobody can replace what is not theirs."""
    folder.chmod(0o1777)

    prepare_directory(folder)


def test_a_directory_of_somebody_else_is_refused(folder: Path) -> None:
    """Whoever owns it owns the socket."""
    if os.getuid():
        pytest.skip("only root can give a directory away")
    os.chown(folder, 12345, 12345)

    with pytest.raises(ConfigError, match="belongs to uid 12345"):
        prepare_directory(folder)


def test_a_directory_that_cannot_be_made_is_named(folder: Path) -> None:
    """A file is in the way."""
    (folder / "file").write_text("")

    with pytest.raises(ConfigError, match=r"cannot use the directory .*/file/orka"):
        prepare_directory(folder / "file" / "orka")


def test_a_second_daemon_is_refused_with_the_pid_of_the_first(folder: Path) -> None:
    """The lock is the kernel's: it ends with the process that holds it."""
    path = folder / "o.sock"

    with (
        one_daemon(path),
        pytest.raises(OrkaError, match=rf"pid {os.getpid()}\)"),
        one_daemon(path),
    ):
        raise AssertionError("two daemons")
    with one_daemon(path):
        pass


def test_a_lock_that_cannot_be_opened_is_named(folder: Path) -> None:
    """A directory is in its place."""
    (folder / "o.sock.lock").mkdir()

    with (
        pytest.raises(ConfigError, match="cannot open the lock file"),
        one_daemon(folder / "o.sock"),
    ):
        raise AssertionError("no lock")


def test_p8_the_socket_is_private_and_gone_at_the_end(folder: Path) -> None:
    """Mode 0600 from its first instant."""
    path = folder / "o.sock"

    with listening(path, {}):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_a_socket_that_was_replaced_is_left_alone(folder: Path) -> None:
    """Another daemon's socket is not ours to remove."""
    path = folder / "o.sock"

    with listening(path, {}):
        path.unlink()
        path.write_text("another's")
    assert path.exists()


def test_a_stale_socket_is_healed(folder: Path) -> None:
    """A socket file that nobody serves is what a killed daemon leaves behind."""
    path = folder / "o.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()

    with listening(path, {}):
        pass


def test_a_socket_that_answers_is_not_touched(folder: Path) -> None:
    """Whatever serves it without our lock is not stale."""
    path = folder / "o.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        with pytest.raises(OrkaError, match="already serves"):
            remove_stale(path)
    assert path.exists()


def test_something_else_in_the_sockets_place_is_not_removed(folder: Path) -> None:
    """A file of the user's is never deleted."""
    path = folder / "o.sock"
    path.write_text("precious")

    with pytest.raises(ConfigError, match="is not a socket"):
        remove_stale(path)


def test_a_path_that_cannot_be_bound_is_named(folder: Path) -> None:
    """The directory is missing."""
    with (
        pytest.raises(ConfigError, match="cannot listen on"),
        listening(folder / "no" / "o.sock", {}),
    ):
        raise AssertionError("no socket")


def test_without_systemd_nothing_is_passed_or_told() -> None:
    """Variables meant for another process are ignored."""
    assert systemd_listener({}) is None
    assert systemd_listener({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None
    notify_systemd({}, "READY=1")


def test_more_than_one_passed_socket_is_refused() -> None:
    """Nobody can tell which one is meant."""
    with pytest.raises(ConfigError, match="LISTEN_FDS=2"):
        systemd_listener({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"})


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(folder: Path, abstract: bool) -> None:
    """READY=1 on the datagram socket it named, in the file system or abstract."""
    address = f"@orka-test-{os.getpid()}" if abstract else str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + address[1:] if abstract else address)

        notify_systemd({"NOTIFY_SOCKET": address}, "READY=1")

        assert systemd.recv(64) == b"READY=1"


def test_a_systemd_that_does_not_listen_is_an_error(folder: Path) -> None:
    """Nothing is swallowed."""
    with pytest.raises(ConfigError, match="cannot notify systemd"):
        notify_systemd({"NOTIFY_SOCKET": str(folder / "nobody")}, "READY=1")


def test_a_detached_child_reports_and_a_dead_one_leaves_its_last_words(folder: Path) -> None:
    """The parent learns what the child said, or that it died and how."""
    alive = Detached(folder / "alive.log")
    if alive.fork():
        alive.report(pid=os.getpid())
        os._exit(0)
    dead = Detached(folder / "dead.log")
    if dead.fork():
        os.write(2, b"one\ntwo\nthree\n")
        os._exit(9)

    word = alive.wait()
    silence = dead.wait()

    assert word is not None
    assert word["pid"] != os.getpid()
    assert alive.exit_code() == 1
    assert silence is None
    assert dead.exit_code() == 9
    assert dead.last_words(2) == ["two", "three"]
