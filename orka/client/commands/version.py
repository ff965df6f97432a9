"""`orkactl version`: both ends' versions."""

from __future__ import annotations

from orka import __version__
from orka.client.options import DEFAULTS, Common
from orka.client.output import write
from orka.proto.errors import ExitCode, OrkaError
from orka.proto.names import PROTOCOL
from orka.render.clean import clean


def version(*, common: Common = DEFAULTS) -> int:
    """Print the version of orkactl, and of orkad where one runs."""
    write(f"orkactl {__version__}\n".encode())
    try:
        connection = common.connect()
    except OrkaError as error:
        if error.exit_code is not ExitCode.NO_DAEMON:
            raise
        return 0
    with connection:
        connection.greet(None)
        theirs = clean(str(connection.hello.get("version")))
        write(f"orkad {theirs} (protocol {PROTOCOL})\n".encode())
    return 0
