"""A command line to what the program printed and how it ended; it never outlives its caller."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import trio

STDOUT_MAX_BYTES = 1024 * 1024  # a credential with a long certificate chain is some KiB
STDERR_KEPT_BYTES = 16 * 1024  # the end of it: where the reason stands
READ_BYTES = 64 * 1024
# A child that the program left behind may hold its output open; what is there by then counts.
LEFT_BEHIND_SECONDS = 1.0


@dataclass(slots=True)
class Said:
    """What a program has printed so far; readable while it runs."""

    stdout: bytearray = field(default_factory=bytearray, repr=False)
    stderr: bytearray = field(default_factory=bytearray, repr=False)
    too_much: bool = False  # more than STDOUT_MAX_BYTES: the rest was not kept


RunProgram = Callable[[str, Sequence[str], Mapping[str, str], Said], Awaitable[int]]
"""Path, argv, environment, and where to note what it says; returns the exit code (see below)."""


async def run_program(
    path: str, argv: Sequence[str], environ: Mapping[str, str], said: Said
) -> int:
    """Run it to its end with no input; the exit code, negative for a signal.

    It gets a session of its own: it cannot ask at our terminal, and whatever it started is
    killed with it when we are cancelled, or it prints too much. Raises OSError or ValueError if it
    cannot be started.
    """
    process = await trio.lowlevel.open_process(
        list(argv),
        executable=path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environ),
        start_new_session=True,
    )
    try:
        await _follow(process, said)
    finally:
        _kill_group(process)
        with trio.CancelScope(shield=True):  # SIGKILL is not refused: this does not last
            await process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    await pipe.aclose()
    assert process.returncode is not None
    return process.returncode


async def _follow(process: trio.Process, said: Said) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_read_output, process.stdout, said, nursery.cancel_scope)
        nursery.start_soon(_read_errors, process.stderr, said)
        await process.wait()
        nursery.cancel_scope.deadline = trio.current_time() + LEFT_BEHIND_SECONDS


async def _read_output(
    pipe: trio.abc.ReceiveStream, said: Said, everything: trio.CancelScope
) -> None:
    while data := await pipe.receive_some(READ_BYTES):
        if len(said.stdout) + len(data) > STDOUT_MAX_BYTES:
            said.too_much = True
            everything.cancel(reason="it prints too much")
            return
        said.stdout += data


async def _read_errors(pipe: trio.abc.ReceiveStream, said: Said) -> None:
    while data := await pipe.receive_some(READ_BYTES):
        said.stderr += data
        del said.stderr[:-STDERR_KEPT_BYTES]


def _kill_group(process: trio.Process) -> None:
    """The program and all it started in its session's group, if it has not ended by itself.

    Then its id still names that group. What a program leaves behind on purpose, e.g. the browser
    of a login, lives on.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
