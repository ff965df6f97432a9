"""The command line to an exit status: the entry point of `orkactl`.

`--version` is answered before anything is imported; everything else is parsed by cyclopts.
"""

from __future__ import annotations

import gc
import os
import sys

from orka import __version__

TYPE_CHECKING = False  # as typing has it; importing typing costs milliseconds
if TYPE_CHECKING:
    from typing import NoReturn

BROKEN_PIPE_EXIT = 128 + 13  # what a shell reports of kubectl, which SIGPIPE ends


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status; no failure leaves a traceback.

    Without `argv` it is a whole process, which ends after it.
    """
    if argv is not None:
        return _run(argv)
    # A command lives for milliseconds and makes some 20 000 objects, nearly all for good. The
    # collector would look through them many times, and once more at the end unless they are
    # frozen: an eighth of the time. `watch`, which may live for days, switches it on again.
    gc.disable()
    try:
        return _run(sys.argv[1:])
    finally:
        gc.freeze()


def run_process() -> NoReturn:
    """`orkactl` as a process: run one command and end at once.

    Everything was written when it was said, so there is nothing left for the interpreter to take
    down, which would take it 3 ms.
    """
    status = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = BROKEN_PIPE_EXIT
    os._exit(status)


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        print(f"orkactl {__version__}")
        return 0
    from orka.client.output import forget_stdout, say_error
    from orka.proto.errors import ExitCode, OrkaError

    try:
        from orka.client.app import run

        return run(arguments)
    except OrkaError as error:
        say_error(error.message, error.hint)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        forget_stdout()
        return BROKEN_PIPE_EXIT


if __name__ == "__main__":
    sys.exit(main())
