"""One-shot commands against a scripted daemon: what is asked, what is printed, how it ends."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from orka.client.commands.stop import inode, wait_gone
from orka.client.connection import connect
from orka.client.oneshot import answer
from orka.proto.errors import EXIT_OF_CODE, OrkaError
from orka.proto.messages import (
    AllNamespaces,
    DefaultNamespace,
    Discover,
    End,
    Error,
    Hello,
    List,
    Metrics,
    Namespaces,
    Note,
    Progress,
    Status,
    Stop,
    Target,
    Text,
)
from orka.proto.names import PROTOCOL
from tests.support.client import Run
from tests.support.scripted_daemon import (
    HELLO,
    ScriptedDaemon,
    Step,
    framed,
    raw,
    unlinks,
    until_left,
)

TABLE = b"NAMESPACE   NAME   AGE\ndefault     web    5m12s\n"
UNKNOWN_TYPE = raw(b"\x81\xa4type\xa6gossip")


def default_target(environ: dict[str, str], context: str | None = None) -> Target:
    """What a shell without $KUBECONFIG means."""
    return Target("default", (f"{environ['HOME']}/.kube/config",), context)


def test_ls_asks_once_and_prints_the_text_it_gets(
    socket_path: Path, orkactl: Run, environ: dict[str, str]
) -> None:
    """The chunks go to stdout as they are, the note to stderr, the exit status is the end's."""
    steps: list[Step] = [Text(TABLE[:20]), Text(TABLE[20:]), Note("is stale"), End()]
    with ScriptedDaemon(socket_path, steps) as daemon:
        done = orkactl("ls", "cert")

    assert (done.status, done.stdout, done.stderr) == (0, TABLE.decode(), "orkactl: is stale\n")
    assert daemon.requests == [
        List(default_target(environ), "cert", DefaultNamespace(), "text", timeout_seconds=30.0)
    ]
    assert daemon.hellos == [Hello(PROTOCOL, HELLO.version)]


def test_every_flag_of_ls_reaches_the_daemon(
    socket_path: Path, orkactl_here: Run, environ: dict[str, str]
) -> None:
    """The request carries what the command line says."""
    with ScriptedDaemon(socket_path, [End()]) as daemon:
        flags = ["--max-age", "2.5", "--timeout", "7", "-o", "json"]
        flags += ["--context", "dev", "--kubeconfig", "/etc/kube"]
        done = orkactl_here("ls", "v1/Pod", "-n", "a", "--namespace", "b", "--ns", "c", *flags)

    assert done.status == 0, done.stderr
    assert daemon.requests == [
        List(
            Target("flag", ("/etc/kube",), "dev"),
            "v1/Pod",
            Namespaces(("a", "b", "c")),
            "text",
            "json",
            2.5,
            7.0,
        )
    ]


def test_all_namespaces_is_asked_for_by_flag(socket_path: Path, orkactl_here: Run) -> None:
    """-A is the view of all namespaces."""
    with ScriptedDaemon(socket_path, [End()]) as daemon:
        orkactl_here("ls", "v1/Pod", "-A")

    (request,) = daemon.requests
    assert isinstance(request, List)
    assert request.view == AllNamespaces()


def test_discover_status_metrics_ask_for_text(
    socket_path: Path, orkactl_here: Run, environ: dict[str, str]
) -> None:
    """Each command is one request, printed as it comes."""
    with ScriptedDaemon(socket_path, [Text(b"x 1\n"), End()]) as daemon:
        for command in (
            ["discover", "--all-versions", "--prefer-crd", "-o", "name"],
            ["status", "-o", "json"],
            ["metrics"],
        ):
            done = orkactl_here(*command)
            assert (done.status, done.stdout, done.stderr) == (0, "x 1\n", ""), command

    assert daemon.requests == [
        Discover(default_target(environ), "text", "name", all_versions=True, prefer_crd=True),
        Status("text", "json"),
        Metrics(),
    ]


@pytest.mark.parametrize(("code", "status"), EXIT_OF_CODE.items())
def test_an_error_ends_with_the_exit_status_of_its_code(
    socket_path: Path, orkactl_here: Run, code: str, status: int
) -> None:
    """Each row of the table of codes: message and hint on stderr, nothing on stdout."""
    error = Error(code, f"it is {code}", int(status), "do this")
    with ScriptedDaemon(socket_path, [error]):
        done = orkactl_here("ls", "v1/Pod")

    assert (done.status, done.stdout) == (int(status), "")
    assert done.stderr == f"orkactl: it is {code}\norkactl: do this\n"


def test_a_code_of_a_newer_daemon_has_the_status_beside_it(
    socket_path: Path, orkactl_here: Run
) -> None:
    """Codes may be added without a new protocol number."""
    with ScriptedDaemon(socket_path, [Error("novel", "new", 42)]):
        assert orkactl_here("ls", "v1/Pod").status == 42


def test_a_status_that_is_missing_is_that_of_the_code(socket_path: Path, orkactl_here: Run) -> None:
    """An error without a number is still not a success."""
    with ScriptedDaemon(socket_path, [raw(b"\x82\xa4type\xa5error\xa4code\xa9forbidden")]):
        assert orkactl_here("ls", "v1/Pod").status == 5


def test_an_end_may_say_that_the_answer_is_not_fresh(socket_path: Path, orkactl_here: Run) -> None:
    """The rows are printed all the same; status 4 and its reason come after them."""
    steps: list[Step] = [Text(TABLE), End("not-fresh", 4, "3 s old, 1 s allowed")]
    with ScriptedDaemon(socket_path, steps):
        done = orkactl_here("ls", "v1/Pod", "--max-age", "1")

    assert done.status == 4
    assert (done.stdout, done.stderr) == (TABLE.decode(), "orkactl: 3 s old, 1 s allowed\n")


def test_unknown_messages_are_ignored(socket_path: Path, orkactl_here: Run) -> None:
    """A newer daemon may say more than this client understands."""
    with ScriptedDaemon(socket_path, [UNKNOWN_TYPE, Text(TABLE), UNKNOWN_TYPE, End()]):
        done = orkactl_here("ls", "v1/Pod")

    assert (done.status, done.stdout, done.stderr) == (0, TABLE.decode(), "")


def test_nothing_that_a_daemon_says_reaches_the_terminal_raw(
    socket_path: Path, orkactl_here: Run
) -> None:
    """Control characters in notes, errors and hints are escaped."""
    steps: list[Step] = [Note("a\x1b[2Jb\nc"), Error("internal", "x\x9by\u202e", 1, "z\x07")]
    with ScriptedDaemon(socket_path, steps):
        done = orkactl_here("ls", "v1/Pod")

    assert done.stderr.splitlines() == [
        r"orkactl: a\x1b[2Jb\nc",
        r"orkactl: x\x9by\u202e",
        r"orkactl: z\x07",
    ]


def test_another_version_is_warned_about_once(socket_path: Path, orkactl_here: Run) -> None:
    """Skew is no failure."""
    hello = Hello(PROTOCOL, "9.9.9", (), "scripted", 1)
    with ScriptedDaemon(socket_path, [Text(TABLE), End()], hello=hello):
        done = orkactl_here("ls", "v1/Pod")

    assert (done.status, done.stdout) == (0, TABLE.decode())
    assert done.stderr.count("9.9.9") == 1


def test_another_protocol_is_refused(socket_path: Path, orkactl_here: Run) -> None:
    """Only another protocol number stops a conversation."""
    with ScriptedDaemon(socket_path, [Text(TABLE), End()], hello=Hello(99, "9.9.9")):
        done = orkactl_here("ls", "v1/Pod")

    assert (done.status, done.stdout) == (2, "")
    assert "protocol 99" in done.stderr


@pytest.mark.parametrize(
    "steps",
    [[], [Text(TABLE)], [framed(Text(TABLE))[:10]]],
    ids=["before the answer", "between messages", "inside a frame"],
)
def test_a_daemon_that_goes_away_is_exit_8(
    socket_path: Path, orkactl_here: Run, steps: list[Step]
) -> None:
    """An answer without its end is never taken for a whole one."""
    with ScriptedDaemon(socket_path, steps):
        done = orkactl_here("ls", "v1/Pod")

    assert done.status == 8
    assert done.stderr == f"orkactl: lost orkad at {socket_path} before its answer was complete\n"


@pytest.mark.parametrize(
    "step",
    [b"\xff\xff\xff\xff", raw(b"\xc1"), raw(b"\x93\x01\x02\x03")],
    ids=["oversize", "no msgpack", "no map"],
)
def test_an_answer_that_is_not_understood_is_exit_1(
    socket_path: Path, orkactl_here: Run, step: bytes
) -> None:
    """Nonsense is named as such, without a traceback."""
    with ScriptedDaemon(socket_path, [step]):
        done = orkactl_here("ls", "v1/Pod")

    assert done.status == 1
    assert "not understood" in done.stderr


def test_progress_is_not_asked_for_where_nobody_looks(socket_path: Path, orkactl_here: Run) -> None:
    """Without a terminal nothing is written while the first sync runs."""
    with ScriptedDaemon(socket_path, [Progress(500), Text(TABLE), End()]) as daemon:
        done = orkactl_here("ls", "v1/Pod")

    (request,) = daemon.requests
    assert isinstance(request, List)
    assert (request.progress, done.stderr) == (False, "")


def test_progress_is_one_line_that_vanishes(socket_path: Path, environ: dict[str, str]) -> None:
    """On a terminal the count is written over and erased before the answer."""
    main_end, client_end = pty.openpty()
    steps: list[Step] = [Progress(500), Progress(1000), Text(TABLE), End()]
    with ScriptedDaemon(socket_path, steps) as daemon:
        done = subprocess.run(
            [sys.executable, "-m", "orka.client.cli", "ls", "v1/Pod"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=client_end,
            timeout=60,
            check=False,
        )
    os.close(client_end)
    said = os.read(main_end, 4096).decode()
    os.close(main_end)

    assert (done.returncode, done.stdout) == (0, TABLE)
    assert said == ("\rsyncing: 500 objects so far\rsyncing: 1000 objects so far\r\x1b[K")
    (request,) = daemon.requests
    assert isinstance(request, List)
    assert request.progress


def test_stop_waits_until_the_socket_is_gone(socket_path: Path, orkactl_here: Run) -> None:
    """The command returns when another orkad could be started."""
    with ScriptedDaemon(socket_path, [End(), unlinks(socket_path)]) as daemon:
        done = orkactl_here("stop")

    assert (done.status, done.stdout, done.stderr) == (0, "", "")
    assert daemon.requests == [Stop()]
    assert not socket_path.exists()


def test_stop_gives_up_on_a_daemon_that_stays(tmp_path: Path) -> None:
    """A socket that is still there at the deadline is exit 124."""
    path = tmp_path / "orkad.sock"
    path.touch()
    with pytest.raises(OrkaError, match="still has its socket 0 s after") as failed:
        wait_gone(str(path), inode(str(path)), 0.0)

    assert failed.value.exit_code == 124


def test_stop_knows_the_socket_of_a_successor(tmp_path: Path) -> None:
    """A new orkad under the same path is not waited for."""
    path = tmp_path / "orkad.sock"
    path.touch()
    before = inode(str(path))
    (tmp_path / "new").touch()
    (tmp_path / "new").replace(path)
    wait_gone(str(path), before, 0.0)
    wait_gone(str(tmp_path / "none"), None, 0.0)


def test_a_silent_daemon_is_exit_124(socket_path: Path) -> None:
    """A daemon that greets and then hangs is not waited for for ever."""
    with (
        ScriptedDaemon(socket_path, [until_left]),
        connect(str(socket_path), os.geteuid()) as connection,
    ):
        connection.greet({"type": "metrics"})
        with pytest.raises(OrkaError, match=r"did not answer within 0\.05 s") as failed:
            answer(connection, patience_seconds=0.05)

    assert failed.value.exit_code == 124


def test_stop_passes_a_refusal_on(socket_path: Path, orkactl_here: Run) -> None:
    """A daemon that does not stop says why."""
    with ScriptedDaemon(socket_path, [Error("internal", "no", 1)]):
        assert orkactl_here("stop").status == 1


def test_a_request_that_is_no_utf8_is_a_usage_error(socket_path: Path, orkactl_here: Run) -> None:
    """An argument in another encoding is named, not sent."""
    with ScriptedDaemon(socket_path, []):
        done = orkactl_here("ls", "ab\udce9")

    assert done.status == 2
    assert "not UTF-8" in done.stderr
