"""The four ways in which there is no daemon, each with its own words: exit 7."""

from __future__ import annotations

import socket
import time

from tests.e2e.harness import Orka


def test_no_socket_says_how_to_start_one(orka: Orka) -> None:
    """No orkad is running, and nothing hangs."""
    done = [orka.ctl(*args) for args in (("ls", "cert"), ("watch", "cert"), ("status",), ("stop",))]

    for one in done:
        assert (one.returncode, one.stdout) == (7, "")
        assert "no orkad is running" in one.stderr
        assert "orkad --background" in one.stderr


def test_version_and_socket_need_no_daemon(orka: Orka) -> None:
    """They say what they can: this version, and where the socket would be."""
    version = orka.ctl("version").ok()
    path = orka.ctl("socket").ok()

    assert version.stdout.startswith("orkactl ")
    assert path.stdout == f"{orka.socket}\n"
    assert (version.stderr, path.stderr) == ("", "")


def test_a_socket_that_nobody_serves_is_called_a_leftover(orka: Orka) -> None:
    """What a killed daemon leaves behind."""
    orka.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(orka.socket))

    done = orka.ctl("ls", "cert")

    assert (done.returncode, done.stdout) == (7, "")
    assert "leftover" in done.stderr


def test_a_daemon_that_hangs_is_said_to_hang(orka: Orka) -> None:
    """It accepts and says nothing: no client waits for ever."""
    orka.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(orka.socket))
        listener.listen()
        began = time.monotonic()
        done = orka.ctl("ls", "cert")
        took = time.monotonic() - began

    assert (done.returncode, done.stdout) == (7, "")
    assert "hangs" in done.stderr
    assert took < 10
