"""The command line itself: versions, help, usage errors, interruptions, pipes that close."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orka import __version__
from orka.client.app import COMMANDS
from orka.proto.messages import End, Hello, Note, Text
from orka.proto.names import PROTOCOL
from tests.support.client import Run
from tests.support.scripted_daemon import ScriptedDaemon, until_left


def test_version_flag(orkactl_here: Run) -> None:
    """One line, alone or among other arguments."""
    for arguments in (["--version"], ["--version", "ls"]):
        done = orkactl_here(*arguments)
        assert (done.status, done.stdout) == (0, f"orkactl {__version__}\n")


def test_help_lists_every_command(orkactl: Run) -> None:
    """Without arguments, and with --help; the status is 0 as kubectl's."""
    for arguments in ([], ["--help"]):
        done = orkactl(*arguments)
        assert done.status == 0
        for command, text in COMMANDS.items():
            assert command in done.stdout
            assert text.split()[0] in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_the_common_options(orkactl_here: Run, command: str) -> None:
    """Each command can be imported, explains itself and takes what all take."""
    done = orkactl_here(command, "--help")

    assert done.status == 0
    for option in ("--context", "--kubeconfig", "--socket"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["lss"], ["lss", "ls"]),
        (["ls"], ["KIND"]),
        (["ls", "v1/Pod", "more"], ["more"]),
        (["ls", "v1/Pod", "--nope"], ["--nope"]),
        (["ls", "v1/Pod", "-o", "yaml"], ["-o", "yaml", "json"]),
        (["ls", "v1/Pod", "--max-age", "abc"], ["--max-age", "abc"]),
        (["ls", "v1/Pod", "--max-age", "-1"], ["--max-age", "-1"]),
        (["ls", "v1/Pod", "--timeout", "nan"], ["--timeout", "nan"]),
        (["ls", "v1/Pod", "--timeout"], ["--timeout"]),
        (["ls", "v1/Pod", "--ns", "a", "-A"], ["--ns", "a", "--all-namespaces"]),
        (["ls", "v1/Pod", "--ns", ""], ["--ns", "empty"]),
        (["watch", "v1/Pod", "-o", "name"], ["-o", "name"]),
        (["status", "-o", "name"], ["-o", "name"]),
    ],
)
def test_usage_errors_name_the_flag_and_the_value(
    orkactl_here: Run, arguments: list[str], named: list[str]
) -> None:
    """Exit 2, one or two lines on stderr, nothing on stdout, no daemon needed."""
    done = orkactl_here(*arguments)

    assert (done.status, done.stdout) == (2, "")
    assert all(word in done.stderr for word in named), done.stderr
    assert done.stderr.count("\n") <= 2


def test_socket_prints_the_path(orkactl_here: Run, socket_path: Path) -> None:
    """The environment's, or the flag's, made absolute; no daemon needed."""
    assert orkactl_here("socket").stdout == f"{socket_path}\n"
    done = orkactl_here("socket", "--socket", "some.sock")
    assert (done.status, done.stdout) == (0, f"{Path.cwd()}/some.sock\n")


def test_version_names_the_daemon_where_one_runs(orkactl_here: Run, socket_path: Path) -> None:
    """Both ends' versions; without a daemon only this one's."""
    alone = orkactl_here("version")
    with ScriptedDaemon(socket_path, [], hello=Hello(PROTOCOL, __version__), asked=False):
        both = orkactl_here("version")

    assert (alone.status, alone.stdout, alone.stderr) == (0, f"orkactl {__version__}\n", "")
    assert (both.status, both.stderr) == (0, "")
    assert both.stdout == f"orkactl {__version__}\norkad {__version__} (protocol 1)\n"


def test_version_says_when_the_socket_cannot_be_right(orkactl_here: Run) -> None:
    """Only the absence of a daemon is passed over in silence."""
    assert orkactl_here("version", "--socket", "/" + "x" * 200).status == 2


def wait_for_request(daemon: ScriptedDaemon) -> None:
    """Return when a client has asked."""
    deadline = time.monotonic() + 20
    while not daemon.requests:
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("command", ["ls", "watch"])
def test_interrupt_is_130_without_a_traceback(
    socket_path: Path, environ: dict[str, str], command: str
) -> None:
    """Ctrl-C ends a command at once and quietly."""
    with ScriptedDaemon(socket_path, [until_left]) as daemon:
        client = subprocess.Popen(
            [sys.executable, "-m", "orka.client.cli", command, "v1/Pod"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_for_request(daemon)
        client.send_signal(signal.SIGINT)
        out, err = client.communicate(timeout=20)

    assert (client.returncode, out, err) == (130, b"", b"")


def test_a_closed_pipe_ends_quietly(socket_path: Path, environ: dict[str, str]) -> None:
    """`orkactl ls … | head` leaves no complaint; the status is what SIGPIPE would have made it."""
    reading, writing = os.pipe()
    os.close(reading)
    with ScriptedDaemon(socket_path, [Text(b"x" * 100_000), Text(b"y"), End()]):
        done = subprocess.run(
            [sys.executable, "-m", "orka.client.cli", "ls", "v1/Pod"],
            env=environ,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_disk_is_said(socket_path: Path, environ: dict[str, str]) -> None:
    """Output that cannot be written is an error, not a silent loss."""
    with ScriptedDaemon(socket_path, [Text(b"x"), End()]), Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "orka.client.cli", "ls", "v1/Pod"],
            env=environ,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == b"orkactl: cannot write to stdout: No space left on device\n"


def test_a_closed_stdout_is_said(socket_path: Path, environ: dict[str, str]) -> None:
    """Without a place for the data there is no success."""
    with ScriptedDaemon(socket_path, [Text(b"x"), End()]):
        done = run_closing(1, environ)

    assert done.returncode == 1
    assert done.stderr == b"orkactl: cannot write to stdout: it is closed\n"


def test_a_closed_stderr_keeps_stdout_clean(socket_path: Path, environ: dict[str, str]) -> None:
    """What belongs on stderr never ends up among the data."""
    with ScriptedDaemon(socket_path, [Note("is stale"), Text(b"x"), End()]):
        done = run_closing(2, environ)

    assert (done.returncode, done.stdout) == (0, b"x")


def run_closing(descriptor: int, environ: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    """A client that is started by a shell without one of its descriptors."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -m orka.client.cli ls v1/Pod {descriptor}>&-', sys.executable],
        env=environ,
        capture_output=True,
        timeout=60,
        check=False,
    )
