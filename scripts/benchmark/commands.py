"""Command lines to how long they took as whole processes, or to what they said."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND_SECONDS = 180.0  # pip builds, and kubectl takes seconds on a busy machine
SETTLE_SECONDS = 0.5  # an API server goes on collecting garbage after it served a large list


class BenchError(Exception):
    """A measure could not be taken; the text says what its programs said."""


@dataclass(frozen=True)
class Timed:
    """A command as users type it, and where its output goes while the clock runs."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    output: Path  # a file: a pipe would need a reader, who would take part in the measure
    lines: int  # of output, or it did something else than what is measured

    def seconds(self) -> float:
        """From before its start to after its end. Raises BenchError if it failed."""
        with self.output.open("wb") as output:
            began = time.monotonic()
            done = subprocess.run(
                self.argv,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                timeout=COMMAND_SECONDS,
                check=False,
            )
            took = time.monotonic() - began
        lines = self.output.read_bytes().count(b"\n")
        if done.returncode or lines != self.lines:
            raise BenchError(
                f"{' '.join(self.argv)}: exit code {done.returncode}, {lines} lines instead of"
                f" {self.lines}: {done.stderr.decode(errors='replace')}"
            )
        return took


def settle() -> None:
    """Let pass what the command before has left for others to do."""
    time.sleep(SETTLE_SECONDS)


def said(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> str:
    """The stdout of a command that nobody times; BenchError with its stderr if it failed."""
    done = subprocess.run(
        argv,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{' '.join(argv)}: exit code {done.returncode}: {done.stderr}")
    return done.stdout
