"""Why there is no orkad: four messages, each with the path and what to do; and other refusals."""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path

import pytest

from orka.client.connection import Connection, check_owner, connect
from orka.proto.errors import OrkaError
from orka.proto.messages import End
from tests.support.client import Run
from tests.support.scripted_daemon import ScriptedDaemon, until_left

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
OTHER_UID = 65534
START = "orkactl: start it with: orkad --background\n"


def test_no_socket(socket_path: Path, orkactl: Run) -> None:
    """Nothing runs: exit 7, the path, and the command that starts one."""
    done = orkactl("ls", "v1/Pod")

    assert (done.status, done.stdout) == (7, "")
    assert done.stderr == (
        f"orkactl: no orkad is running: there is no socket at {socket_path}\n{START}"
    )


def test_no_folder(socket_path: Path, orkactl_here: Run) -> None:
    """A path through a missing folder or through a file is no socket either."""
    for path in (f"{socket_path}.d/x.sock", f"{__file__}/x.sock"):
        done = orkactl_here("status", "--socket", path)
        assert done.status == 7
        assert f"there is no socket at {path}" in done.stderr


def test_refused(socket_path: Path, orkactl_here: Run) -> None:
    """The socket of an orkad that was killed: exit 7, and it is called a leftover."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
    done = orkactl_here("ls", "v1/Pod")

    assert done.status == 7
    assert done.stderr == (
        f"orkactl: no orkad listens at {socket_path}: the socket is a leftover\n{START}"
    )


def test_not_a_socket(socket_path: Path, orkactl_here: Run) -> None:
    """A plain file in its place is named as such."""
    socket_path.touch()
    done = orkactl_here("ls", "v1/Pod")

    assert done.status == 7
    assert f"{socket_path} is not a socket" in done.stderr


@AS_ROOT
def test_wrong_owner_of_the_socket(socket_path: Path, orkactl: Run) -> None:
    """Another user's socket is never spoken to: exit 7, both uids, and how to start one's own."""
    with ScriptedDaemon(socket_path, [End()]) as daemon:
        os.chown(socket_path, OTHER_UID, -1)
        done = orkactl("ls", "v1/Pod")
        assert not daemon.hellos

    assert done.status == 7
    assert f"{socket_path} belongs to uid {OTHER_UID}, you are uid 0" in done.stderr
    assert "orkad --background" in done.stderr


@AS_ROOT
def test_wrong_owner_of_the_folder(socket_path: Path, orkactl_here: Run) -> None:
    """A folder of another user could hold anything, so it is refused before it is looked into."""
    os.chown(socket_path.parent, OTHER_UID, -1)
    done = orkactl_here("ls", "v1/Pod")

    assert done.status == 7
    assert f"{socket_path.parent} belongs to uid {OTHER_UID}" in done.stderr
    assert str(socket_path) in done.stderr


def test_owner_is_checked_against_the_user_given(socket_path: Path) -> None:
    """The same without being root: a file of ours, asked about for somebody else."""
    socket_path.parent.chmod(stat.S_IRWXU)
    socket_path.touch()
    someone = os.geteuid() + 1
    with pytest.raises(OrkaError, match=f"you are uid {someone}") as failed:
        check_owner(str(socket_path), someone)

    assert failed.value.exit_code == 7


def test_a_closed_folder_is_somebody_elses(tmp_path: Path) -> None:
    """A folder that may not be entered is another user's, whatever is in it."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    try:
        with pytest.raises(OrkaError) as failed:
            check_owner(str(folder / "x" / "orkad.sock"), os.geteuid())
    finally:
        folder.chmod(stat.S_IRWXU)

    assert failed.value.exit_code == 7


def test_hung(socket_path: Path) -> None:
    """An orkad that accepts and says nothing: exit 7, and it is said to hang."""
    with (
        ScriptedDaemon(socket_path, [until_left], hello=None),
        connect(str(socket_path), os.geteuid()) as connection,
        pytest.raises(OrkaError) as failed,
    ):
        connection.greet(None, patience_seconds=0.05)

    assert failed.value.exit_code == 7
    assert failed.value.message == f"the orkad at {socket_path} hangs: no hello within 0.05 s"
    assert failed.value.hint is not None
    assert "orkad --background" in failed.value.hint


def test_hung_with_a_full_backlog(socket_path: Path) -> None:
    """An orkad that no longer even accepts is the same message, not an endless connect."""
    waiting = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen(0)
        with pytest.raises(OrkaError, match=r"hangs: no hello within 0\.05 s"):  # noqa: PT012
            while True:  # the kernel takes one or two beyond the backlog
                waiting.append(connect(str(socket_path), os.geteuid(), patience_seconds=0.05))
    for connection in waiting:
        with connection:
            pass

    assert 0 < len(waiting) < 5


def test_a_request_that_is_not_taken_is_a_hung_daemon() -> None:
    """A daemon that accepts and never reads blocks no client for ever."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, 50_000))
    with (
        theirs,
        Connection(ours, "/run/x.sock") as connection,
        pytest.raises(OrkaError, match=r"the orkad at /run/x\.sock hangs") as failed,
    ):
        connection.greet({"type": "list", "kind": "x" * 60_000})

    assert failed.value.exit_code == 7


def test_a_daemon_that_leaves_before_the_request_is_lost() -> None:
    """A connection that is closed at once is exit 8."""
    ours, theirs = socket.socketpair()
    theirs.close()
    with (
        Connection(ours, "/run/x.sock") as connection,
        pytest.raises(OrkaError, match=r"lost orkad at /run/x\.sock") as failed,
    ):
        connection.greet(None)

    assert failed.value.exit_code == 8


@AS_ROOT
def test_wrong_owner_of_the_process(socket_path: Path) -> None:
    """A file that looks right is not enough: the kernel says who listens behind it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        os.seteuid(OTHER_UID)  # the kernel notes the user at listen()
        try:
            listener.listen(1)
        finally:
            os.seteuid(0)
        with pytest.raises(OrkaError, match=f"runs as uid {OTHER_UID}") as failed:
            connect(str(socket_path), 0)

    assert failed.value.exit_code == 7


def test_another_kind_of_socket(socket_path: Path, orkactl_here: Run) -> None:
    """What is no stream socket cannot be orkad's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(socket_path))
        done = orkactl_here("ls", "v1/Pod")

    assert done.status == 7
    assert f"cannot connect to {socket_path}" in done.stderr


def test_path_too_long_for_a_socket(tmp_path: Path, orkactl_here: Run) -> None:
    """The kernel's limit is a usage error that names the path."""
    path = str(tmp_path / ("x" * 110))
    done = orkactl_here("ls", "v1/Pod", "--socket", path)

    assert done.status == 2
    assert path in done.stderr


def test_a_daemon_that_resets_is_lost(socket_path: Path, orkactl_here: Run) -> None:
    """A connection that breaks instead of ending is exit 8 as well."""
    with ScriptedDaemon(socket_path, [], asked=False):
        done = orkactl_here("ls", "x" * 60_000)

    assert done.status == 8
    assert f"lost orkad at {socket_path}" in done.stderr


def test_repr_says_where_it_leads() -> None:
    """A connection in a log names its socket."""
    ours, theirs = socket.socketpair()
    with theirs, Connection(ours, "/run/x.sock") as connection:
        assert repr(connection) == "<Connection /run/x.sock waiting=0>"


def test_a_connection_that_is_reset_is_lost() -> None:
    """A daemon that dies with our request unread."""
    ours, theirs = socket.socketpair()
    ours.sendall(b"unread")
    theirs.close()
    with (
        Connection(ours, "/run/x.sock") as connection,
        pytest.raises(OrkaError, match=r"lost orkad at /run/x\.sock") as failed,
    ):
        connection.receive()

    assert failed.value.exit_code == 8
