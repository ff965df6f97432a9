"""Entry point of `orkad`: `--version` is answered before anything is imported."""

from __future__ import annotations

import sys

from orka import __version__


def main() -> None:
    """Run `orkad` with this process's arguments and exit with its status."""
    if sys.argv[1:] == ["--version"]:
        print(f"orkad {__version__}")  # noqa: T201
        return
    from orka.daemon.command import run  # noqa: PLC0415

    sys.exit(run(sys.argv[1:]))
