"""The command line to an exit status: the entry point of `orkactl`.

`--version` is answered before anything is imported; everything else is parsed by cyclopts.
"""

from __future__ import annotations

import sys

from orka import __version__

BROKEN_PIPE_EXIT = 128 + 13  # what a shell reports of kubectl, which SIGPIPE ends


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status; no failure leaves a traceback."""
    arguments = sys.argv[1:] if argv is None else argv
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
