"""`orkactl watch` against a scripted daemon: lines for people, whatever happens to the stream."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from orka.client.connection import Connection, connect
from orka.client.follow import follow
from orka.client.lines import LineWriter
from orka.proto.messages import (
    AllNamespaces,
    Change,
    Diff,
    End,
    Error,
    Fresh,
    Lagged,
    Note,
    Page,
    Progress,
    ServerMessage,
    StateChange,
    Synced,
    Target,
    Text,
    Watch,
)
from tests.support.client import Run
from tests.support.scripted_daemon import ScriptedDaemon, Step, framed, raw, until_left
from tests.support.wire import CURSOR, NEXT_CURSOR, NODE, NOW, obj, truth, uid

SYNCED = Synced(41, CURSOR)
SHUTDOWN = End("shutdown", 8, "orkad is shutting down")


def diff(*changes: Change, cursor: str = NEXT_CURSOR) -> Diff:
    """A diff of one epoch."""
    return Diff(41, 42, list(changes), cursor)


def lines_of(writer: LineWriter, *messages: ServerMessage) -> tuple[str, list[str]]:
    """All that a writer prints for these messages, received at NOW."""
    outputs = [writer.take(message, NOW) for message in messages]
    return "".join(output.stdout for output in outputs), [
        note for output in outputs for note in output.notes
    ]


def test_every_flag_of_watch_reaches_the_daemon(
    socket_path: Path, orkactl_here: Run, environ: dict[str, str]
) -> None:
    """The request carries what the command line says."""
    with ScriptedDaemon(socket_path, [truth(), SHUTDOWN]) as daemon:
        orkactl_here("watch", "cert", "-A", "--initial", "--since", CURSOR, "--timeout", "3")

    assert daemon.requests == [
        Watch(
            Target("default", (f"{environ['HOME']}/.kube/config",)),
            "cert",
            AllNamespaces(),
            CURSOR,
            initial=True,
            timeout_seconds=3.0,
        )
    ]


def test_changes_are_lines_until_the_daemon_ends_the_stream(
    socket_path: Path, orkactl: Run
) -> None:
    """As a process: data on stdout, the end on stderr, its status as exit status."""
    old = obj("web", age_seconds=None)
    steps: list[Step] = [truth(), SYNCED, diff(Change("ADD", old)), Progress(1), SHUTDOWN]
    with ScriptedDaemon(socket_path, steps):
        done = orkactl("watch", "cert")

    assert done.status == 8
    assert done.stdout == "+ default     web                        <unknown>\n"
    assert done.stderr == "orkactl: orkad is shutting down\n"


def test_each_kind_of_change_has_its_mark() -> None:
    """+ added, ~ modified, - deleted; a replaced object is a - and a +; inferred is said."""
    out, notes = lines_of(
        LineWriter(show_cursor=False),
        truth(),
        SYNCED,
        diff(
            Change("ADD", obj("a")),
            Change("MOD", obj("b", deletion_ts=int(NOW) + 30)),
            Change("DEL", obj("c"), inferred=True),
            Change("REPL", obj("d", age_seconds=0), inferred=True, old_uid=uid(9)),
        ),
    )

    assert notes == []
    assert [line.split(maxsplit=3) for line in out.splitlines()] == [
        ["+", "default", "a", "5m12s"],
        ["~", "default", "b", "5m12s (terminating)"],
        ["-", "default", "c", "5m12s (inferred)"],
        ["-", "default", "d", "<replaced> (inferred)"],
        ["+", "default", "d", "0s (inferred)"],
    ]


def test_initial_objects_wait_for_the_last_page_so_that_columns_fit() -> None:
    """The widths come from the whole snapshot; nothing is printed before it is complete."""
    writer = LineWriter(show_cursor=False)
    long = "a-name-that-is-longer-than-most-of-the-others"
    first, _ = lines_of(writer, truth(), Page([obj("a")]), Page([obj(long, "a-namespace")]))
    out, _ = lines_of(writer, SYNCED, diff(Change("ADD", obj("b"))))

    assert first == ""
    assert [line[0] for line in out.splitlines()] == ["=", "=", "+"]
    assert {line.index("5m12s") for line in out.splitlines()} == {2 + 11 + 3 + len(long) + 3}


def test_columns_only_ever_grow() -> None:
    """A longer name widens its column once; the shorter ones after it keep the place."""
    writer = LineWriter(show_cursor=False)
    out, _ = lines_of(
        writer,
        truth(),
        SYNCED,
        diff(Change("ADD", obj("a"))),
        diff(Change("ADD", obj("x" * 40))),
        diff(Change("DEL", obj("a"))),
    )
    places = [line.index("5m12s") for line in out.splitlines()]

    assert places == [2 + 9 + 3 + 24 + 3, 2 + 9 + 3 + 40 + 3, 2 + 9 + 3 + 40 + 3]


def test_a_cluster_scoped_kind_has_no_namespace_column() -> None:
    """The line is mark, name and age."""
    out, _ = lines_of(
        LineWriter(show_cursor=False),
        truth(kind=NODE),
        SYNCED,
        diff(Change("ADD", obj("n1", None))),
    )

    assert out.split() == ["+", "n1", "5m12s"]


def test_cursor_lines_come_after_what_they_stand_for() -> None:
    """--show-cursor prints the cursor of the start and of each diff."""
    out, _ = lines_of(LineWriter(show_cursor=True), truth(), SYNCED, diff(Change("ADD", obj("a"))))

    lines = out.splitlines()
    assert [lines[0], lines[2]] == [f"# cursor: {CURSOR}", f"# cursor: {NEXT_CURSOR}"]
    assert lines[1].startswith("+ ")


def test_states_go_to_stderr() -> None:
    """A stream that is not live says so when it begins and whenever that changes."""
    stale = truth("stale", reason="connection reset", age_seconds=200, since=NOW - 190)
    out, notes = lines_of(
        LineWriter(show_cursor=False), stale, SYNCED, StateChange(stale), StateChange(truth())
    )

    text = (
        "cert-manager.io/v1/Certificate is stale for 3m10s: connection reset; "
        "last proof of life 3m20s ago"
    )
    assert out == ""
    assert notes == [text, text, "cert-manager.io/v1/Certificate is live"]


@pytest.mark.parametrize(
    ("gap", "note"),
    [
        (Fresh("the lineage changed", CURSOR), "fresh: the lineage changed"),
        (Lagged("too far behind", 70, CURSOR), "lagged: too far behind, 70 epochs missed"),
    ],
)
def test_a_gap_is_announced_and_everything_follows(gap: Fresh | Lagged, note: str) -> None:
    """What was had is void: the reason on stderr, then all objects, marked =."""
    out, notes = lines_of(
        LineWriter(show_cursor=False), truth(), Page([obj("half")]), gap, Page([obj("a")]), SYNCED
    )

    assert notes == [f"{note}; all there is follows, marked ="]
    assert [line.split()[:3] for line in out.splitlines()] == [["=", "default", "a"]]


def test_names_never_reach_the_terminal_raw(socket_path: Path, orkactl_here: Run) -> None:
    """Control characters in names, cursors and reasons are escaped on both streams."""
    steps: list[Step] = [
        truth("stale", reason="\x1b]0;x\x07"),
        SYNCED,
        diff(Change("ADD", obj("a\x1b[31mb\u202e", "n\rs")), cursor="c\x9b"),
        Note("n\x1b"),
        Error("internal", "e\x1b", 1, "h\x1b"),
    ]
    with ScriptedDaemon(socket_path, steps * 2):
        text = orkactl_here("watch", "cert", "--show-cursor")
        json = orkactl_here("watch", "cert", "-o", "json")

    for done in (text, json):
        shown = (done.stdout + done.stderr).replace("\n", "")
        assert shown.isprintable()
        assert done.status == 1
    assert r"a\x1b[31mb\u202e" in text.stdout
    assert r"a\u001b[31mb\u202e" in json.stdout


@pytest.mark.parametrize("form", ["table", "json"])
@pytest.mark.parametrize(
    "cut", [[], [framed(SYNCED)[:-3]]], ids=["between messages", "inside a frame"]
)
def test_a_cut_stream_is_exit_8(
    socket_path: Path, orkactl_here: Run, form: str, cut: list[bytes]
) -> None:
    """A stream without its end says so in one line."""
    with ScriptedDaemon(socket_path, [truth(), *cut]):
        done = orkactl_here("watch", "cert", "-o", form)

    assert done.status == 8
    assert done.stderr == f"orkactl: lost orkad at {socket_path} before its answer was complete\n"


def test_an_error_before_the_stream_ends_it(socket_path: Path, orkactl_here: Run) -> None:
    """A kind that is not served: its message, its hint, its status."""
    error = Error("not-served", "no kind crt", 6, "did you mean cert?")
    with ScriptedDaemon(socket_path, [error]):
        done = orkactl_here("watch", "crt")

    assert (done.status, done.stdout) == (6, "")
    assert done.stderr == "orkactl: no kind crt\norkactl: did you mean cert?\n"


def test_unknown_messages_are_ignored(socket_path: Path, orkactl_here: Run) -> None:
    """A newer daemon may say more; what is not for a watch is left alone too."""
    unknown = raw(b"\x81\xa4type\xa6gossip")
    with ScriptedDaemon(socket_path, [unknown, truth(), Text(b"x"), unknown, End()]):
        done = orkactl_here("watch", "cert")

    assert (done.status, done.stdout, done.stderr) == (0, "", "")


def test_a_message_that_is_not_understood_is_exit_1(socket_path: Path, orkactl_here: Run) -> None:
    """A known type with wrong fields is named, not skipped: something would be missing."""
    with ScriptedDaemon(socket_path, [truth(), raw(b"\x82\xa4type\xa4page\xa4rows\x01")]):
        done = orkactl_here("watch", "cert")

    assert done.status == 1
    assert "not understood" in done.stderr


def test_a_stream_that_does_not_begin_is_exit_124(
    socket_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until the first truth a silent daemon is a hung one."""
    with (
        ScriptedDaemon(socket_path, [until_left]),
        connect(str(socket_path), os.geteuid()) as connection,
    ):
        connection.greet({"type": "metrics"})
        status = follow(connection, LineWriter(show_cursor=False), patience_seconds=0.05)

    assert status == 124
    assert capsys.readouterr().err == "orkactl: orkad did not begin the stream in time\n"


class Patient(Connection):
    """A connection that keeps what patience was asked of it."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, "/run/orkad.sock")
        self.asked: list[float | None] = []

    def patience(self, silence_seconds: float | None) -> None:
        """Keep it."""
        self.asked.append(silence_seconds)


def test_silence_in_a_stream_is_no_failure() -> None:
    """After the first truth nothing may happen for as long as nothing changes."""
    ours, theirs = socket.socketpair()
    with Patient(ours) as connection, theirs:
        theirs.sendall(framed(truth()) + framed(End()))
        status = follow(connection, LineWriter(show_cursor=False), patience_seconds=7.0)

    assert (status, connection.asked) == (0, [7.0, None])
