"""Promise P8: one user's daemon, closed to everybody else."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import Orka
from tests.e2e.processes import Done, Running
from tests.e2e.servers import Server

NOBODY = 65534  # the uid that owns nothing

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")

# The other user may not be able to read this Python: everything is imported, by doing the same
# once as ourselves, before the process becomes another's.
BECOME = (
    "import os, sys\n"
    "from orka.client.cli import main\n"
    "arguments = sys.argv[2:]\n"
    "assert main(arguments) == 0\n"
    "os.setgroups([])\n"
    "os.setgid(int(sys.argv[1]))\n"
    "os.setuid(int(sys.argv[1]))\n"
    "print('as another:', flush=True)\n"
    "sys.exit(main(arguments))\n"
)
CONNECT = (
    "import os, socket, sys\n"
    "os.setuid(int(sys.argv[1]))\n"
    "client = socket.socket(socket.AF_UNIX)\n"
    "client.connect(sys.argv[2])\n"
    "try:\n"
    "    heard = client.recv(65536)\n"
    "except ConnectionResetError:\n"
    "    heard = b''\n"
    "print('heard', heard)\n"
)


def mode(path: Path) -> int:
    """Its permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def as_nobody(orka: Orka, program: str, *args: str) -> Done:
    """Run a Python program that becomes another user, with the environment of this one."""
    argv = [sys.executable, "-c", program, str(NOBODY), *args]
    with Running(argv, orka.environ()) as running:
        return running.end()


def test_promise_p8_the_socket_is_its_users_alone(orka: Orka) -> None:
    """Directory 0700; socket, lock and log 0600, whatever the umask of the one who starts it."""
    before = os.umask(0)
    try:
        orka.orkad("--background").ok()
    finally:
        os.umask(before)

    assert mode(orka.socket.parent) == 0o700
    assert mode(orka.socket) == 0o600
    assert mode(orka.socket.with_suffix(".log")) == 0o600
    assert mode(orka.socket.with_name("orkad.sock.lock")) == 0o600


def test_promise_p8_a_directory_that_others_may_write_to_is_refused(orka: Orka) -> None:
    """Somebody else could put a socket of theirs there."""
    orka.socket.parent.mkdir(mode=0o700)
    orka.socket.parent.chmod(0o777)

    done = orka.orkad()

    assert done.returncode == 1
    assert "others may write" in done.stderr
    assert "chmod go-w" in done.stderr


@needs_root
def test_promise_p8_another_user_cannot_even_reach_the_socket(orka: Orka) -> None:
    """The directory is closed: exit 7, which says whose it is."""
    orka.start()
    orka.folder.chmod(0o755)
    orka.runtime.chmod(0o755)

    done = as_nobody(orka, BECOME, "status")

    assert done.returncode == 7
    assert done.stdout.endswith("as another:\n")
    assert f"you are uid {NOBODY}" in done.stderr


@needs_root
def test_promise_p8_another_user_on_an_open_socket_is_hung_up_on(orka: Orka) -> None:
    """Even where somebody has opened the doors, the kernel says who is there."""
    daemon = orka.start()
    for path in (orka.folder, orka.runtime, orka.socket.parent, orka.socket):
        path.chmod(0o777)

    raw = as_nobody(orka, CONNECT, str(orka.socket))
    client = as_nobody(orka, BECOME, "status")

    assert raw.ok().stdout == "heard b''\n"
    assert f"uid={NOBODY}" in daemon.log
    assert client.returncode == 7
    assert client.stdout.endswith("as another:\n")
    assert "belongs to uid 0" in client.stderr


@needs_root
def test_promise_p8_a_socket_of_another_user_is_not_trusted(orka: Orka) -> None:
    """What listens there may be anybody: exit 7, wrong owner, and nothing is sent to it."""
    orka.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(orka.socket))
        listener.listen()
        listener.setblocking(False)
        os.chown(orka.socket, NOBODY, NOBODY)

        done = orka.ctl("ls", "cert")

        with pytest.raises(BlockingIOError):
            listener.accept()
    assert done.returncode == 7
    assert f"belongs to uid {NOBODY}" in done.stderr


def test_promise_p8_tokens_are_in_no_log_and_no_answer(orka: Orka, server: Server) -> None:
    """Not even at the most talkative level."""
    daemon = orka.start("--log", "debug")
    orka.ctl("ls", "cert", "-A").ok()
    orka.ctl("ls", "secrets", "-A").ok()
    texts = [orka.ctl(command).ok().stdout for command in ("status", "metrics", "discover")]
    texts.append(orka.ctl("status", "-o", "json").ok().stdout)
    assert daemon.stop() == 0

    assert "DEBUG" in daemon.log
    for text in (daemon.log, *texts):
        assert server.api.token not in text
