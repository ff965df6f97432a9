"""The commands of `orkactl` by name; each is imported only when it runs."""

from __future__ import annotations

from collections.abc import Sequence

from cyclopts import App, CycloptsError

from orka import __version__
from orka.client.output import say_error
from orka.proto.errors import ExitCode

__all__ = ["app", "run"]

COMMANDS = {
    "discover": "List the kinds that the cluster serves.",
    "ls": "List the objects of one kind as they are now.",
    "watch": "Print the changes of one kind as they happen: + added, - deleted, ~ modified.",
    "status": "Show what orkad is doing, and what it costs the API server.",
    "metrics": "Print orkad's counters as Prometheus text.",
    "socket": "Print the path of orkad's socket.",
    "stop": "Stop orkad and wait until its socket is gone.",
    "version": "Print the version of orkactl, and of orkad where one runs.",
}

app = App(
    name="orkactl",
    help="Read what orkad knows about Kubernetes kinds, in milliseconds.",
    version=f"orkactl {__version__}",
    version_format="plaintext",
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for _name, _help in COMMANDS.items():
    app.command(f"orka.client.commands.{_name}:{_name}", name=_name, help=_help)


def run(arguments: Sequence[str]) -> int:
    """Parse and run; returns the exit status, 2 with a line that names the flag for bad usage."""
    try:
        status = app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        command = arguments[0] if arguments[0] in COMMANDS else ""
        say_error(str(error), f"see: orkactl {command} --help".replace("  ", " "))
        return int(ExitCode.USAGE)
    return int(status or ExitCode.OK)
