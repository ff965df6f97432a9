"""Bytes to stdout, lines to stderr: data goes to one, everything said about it to the other."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from orka.proto.errors import OrkaError
from orka.render.clean import clean

__all__ = ["forget_stdout", "say", "say_error", "say_raw", "watched", "write"]


def write(data: bytes) -> None:
    """Write to stdout at once. BrokenPipeError if the reader left, OrkaError if it cannot be."""
    stdout: TextIO | None = sys.stdout
    if stdout is None:
        raise OrkaError("cannot write to stdout: it is closed")
    try:
        stdout.buffer.write(data)
        stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        forget_stdout()
        raise OrkaError(f"cannot write to stdout: {exc.strerror}") from exc


def forget_stdout() -> None:
    """Give what is still buffered a place to go, or the interpreter complains as it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def say(line: str) -> None:
    """One line about the answer, on stderr; whatever its origin, it cannot move the cursor."""
    say_raw(f"orkactl: {clean(line)}\n")


def say_raw(text: str) -> None:
    """Text of ours to stderr as it is; nowhere if the user closed it."""
    stderr: TextIO | None = sys.stderr
    if stderr is not None:
        stderr.write(text)
        stderr.flush()


def watched() -> bool:
    """Whether somebody is looking at stderr."""
    stderr: TextIO | None = sys.stderr
    return stderr is not None and stderr.isatty()


def say_error(message: str, hint: str | None) -> None:
    """What failed, and on a second line what to do about it."""
    say(message)
    if hint:
        say(hint)
