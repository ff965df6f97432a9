"""Programs that are run for what they print: real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from orka.daemon.kube.programs import STDERR_KEPT_BYTES, STDOUT_MAX_BYTES, Said, run_program

pytestmark = pytest.mark.slow  # processes take their time
ENVIRON = {"PATH": os.environ["PATH"]}


async def sh(body: str, said: Said) -> int:
    """Run a line of shell."""
    return await run_program("/bin/sh", ["sh", "-c", body], ENVIRON, said)


async def test_what_it_prints_and_how_it_ends() -> None:
    """Both outputs and the exit code; its input is empty and its environment the one given."""
    said = Said()
    code = await sh('cat; echo out "$0" $(env | grep -c "^PATH="); echo err >&2; exit 3', said)

    assert (code, bytes(said.stdout), bytes(said.stderr)) == (3, b"out sh 1\n", b"err\n")


async def test_ended_by_a_signal() -> None:
    """Told apart from an exit code."""
    assert await sh("kill -TERM $$", Said()) == -15


async def test_no_terminal_is_in_reach() -> None:
    """It is the leader of a session of its own, so a prompt fails at once."""
    said = Said()
    await sh("(: </dev/tty) && echo prompted; cut -d' ' -f6 /proc/$$/stat; echo $$", said)
    *prompted, session, pid = bytes(said.stdout).split()

    assert (prompted, session) == ([], pid)


async def test_a_run_that_is_given_up_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its children die with it, though they ignore polite signals."""
    pids = tmp_path / "pids"
    with trio.move_on_after(0.5) as patience:
        await sh(f"trap '' TERM; (trap '' TERM; sleep 60)& echo $! $$ > {pids}; wait", Said())

    assert patience.cancelled_caught
    for pid in pids.read_text().split():
        assert not alive(int(pid))


def alive(pid: int) -> bool:
    """Whether the process runs (and is no zombie)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_child_left_behind_does_not_hold_up_the_answer() -> None:
    """A login's browser lives on with the pipes it inherited; the answer is there."""
    said = Said()
    with trio.fail_after(10):
        code = await sh("sleep 5 & echo answer $!", said)
    word, pid = bytes(said.stdout).split()

    assert (code, word) == (0, b"answer")
    assert alive(int(pid))


async def test_an_endless_output_is_cut_off() -> None:
    """The program is killed, and nothing grows."""
    said = Said()
    with trio.fail_after(20):
        code = await sh("yes", said)

    assert said.too_much
    assert len(said.stdout) <= STDOUT_MAX_BYTES
    assert code == -9


async def test_only_the_end_of_its_errors_is_kept() -> None:
    """The reason stands there."""
    said = Said()
    await sh("head -c 300000 /dev/zero >&2; echo reason >&2", said)

    assert len(said.stderr) == STDERR_KEPT_BYTES
    assert said.stderr.endswith(b"reason\n")


@pytest.mark.parametrize(
    ("path", "environ", "error"),
    [
        ("/nonexistent", {}, OSError),
        ("/etc/passwd", {}, OSError),
        ("/bin/true", {"A": "nul\0"}, ValueError),
    ],
)
async def test_what_cannot_be_started(
    path: str, environ: dict[str, str], error: type[Exception]
) -> None:
    """Is the caller's to explain."""
    with pytest.raises(error):
        await run_program(path, [path], environ, Said())
