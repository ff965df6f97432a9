"""orkad under systemd: a socket that is passed to it, and notices of its start and its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

from tests.e2e.harness import BIN, Orka
from tests.e2e.processes import STOP_SECONDS
from tests.e2e.servers import CERTIFICATES, Server

# What systemd does between fork and exec: the socket as descriptor 3, and whom it is for.
ACTIVATE = (
    "import os, sys\n"
    "os.dup2(int(sys.argv[1]), 3)\n"
    "os.environ['LISTEN_PID'] = str(os.getpid())\n"
    "os.environ['LISTEN_FDS'] = '1'\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


def test_a_passed_socket_is_served_and_systemd_is_told(orka: Orka, server: Server) -> None:
    """READY=1 once it answers, STOPPING=1 when it ends, and the socket is left to its owner."""
    orka.socket.parent.mkdir(mode=0o700)
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices,
    ):
        listener.bind(str(orka.socket))
        orka.socket.chmod(0o600)
        listener.listen()
        notices.bind(str(orka.runtime / "notify"))
        notices.settimeout(STOP_SECONDS)
        descriptor = listener.fileno()
        waiting = orka.running("ls", CERTIFICATES.resource, "-A", "-o", "json")
        with subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(descriptor), BIN / "orkad"],
            env=orka.environ(NOTIFY_SOCKET=str(orka.runtime / "notify")),
            pass_fds=[descriptor],
            stderr=subprocess.PIPE,
        ) as process:
            try:
                ready = notices.recv(4096)
                activated = waiting.end()
                status = orka.status()
                process.send_signal(signal.SIGTERM)
                stopping = notices.recv(4096)
                _, log = process.communicate(timeout=STOP_SECONDS)
            finally:
                process.kill()

    assert ready == b"READY=1"
    assert activated.json()["truth"]["state"] == "live"
    assert status["daemon"]["pid"] == process.pid
    assert stopping == b"STOPPING=1"
    assert process.returncode == 0, log
    assert os.path.lexists(orka.socket)


def test_a_notify_socket_in_the_abstract_namespace_works(orka: Orka, server: Server) -> None:
    """An address that begins with @ has no file."""
    address = f"orka-e2e-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind("\0" + address)
        notices.settimeout(STOP_SECONDS)
        orka.start(NOTIFY_SOCKET="@" + address)

        assert notices.recv(4096) == b"READY=1"
