"""Every failure as a code with the exit status that scripts see, and the exceptions that carry it.

The table below is the one in the README; docs/protocol.md lists the codes of the wire.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "EXIT_OF_CODE",
    "ConfigError",
    "ExitCode",
    "LocalProtocolError",
    "OrkaError",
    "ProtocolError",
    "Refused",
    "RemoteProtocolError",
    "exit_code_of",
]


class ExitCode(IntEnum):
    """What `orkactl` and `orkad` return; scripts may trust these numbers."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_FRESH = 4
    FORBIDDEN = 5
    NOT_SERVED = 6
    NO_DAEMON = 7
    STREAM_LOST = 8
    TIMEOUT = 124
    INTERRUPTED = 130


# Codes of Error and End messages. A client that meets a code it does not know uses the
# exit code that travels beside it, so that codes may be added without a new protocol number.
EXIT_OF_CODE: dict[str, ExitCode] = {
    "ok": ExitCode.OK,
    "internal": ExitCode.ERROR,
    "config": ExitCode.ERROR,  # the kubeconfig cannot be used
    "unavailable": ExitCode.ERROR,  # the API server cannot be reached or does not answer
    "usage": ExitCode.USAGE,
    "pinned": ExitCode.USAGE,  # another context was asked for than this orkad is pinned to
    "ambiguous": ExitCode.USAGE,  # one name, several kinds
    "bad-frame": ExitCode.USAGE,  # oversize, truncated or undecodable
    "bad-protocol": ExitCode.USAGE,
    "not-found": ExitCode.NOT_FOUND,
    "not-fresh": ExitCode.NOT_FRESH,
    "forbidden": ExitCode.FORBIDDEN,
    "not-served": ExitCode.NOT_SERVED,
    "gone": ExitCode.NOT_SERVED,  # the kind was served once and is no longer
    "no-daemon": ExitCode.NO_DAEMON,
    "shutdown": ExitCode.STREAM_LOST,
    "lost": ExitCode.STREAM_LOST,
    "lagging": ExitCode.STREAM_LOST,  # the reader did not read for too long
    "timeout": ExitCode.TIMEOUT,
    "interrupted": ExitCode.INTERRUPTED,
}


def exit_code_of(code: str) -> ExitCode:
    """The exit status for a wire code; a code this version does not know is ERROR."""
    return EXIT_OF_CODE.get(code, ExitCode.ERROR)


class OrkaError(Exception):
    """Root of every error orka raises on purpose.

    `code` is the wire's word for it, `message` one line that names what was wrong,
    `hint` one line that says what to do (or None).
    """

    code = "internal"

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    @property
    def exit_code(self) -> ExitCode:
        """The exit status of a process that ends with this error."""
        return exit_code_of(self.code)


class ConfigError(OrkaError):
    """The user's flags, environment or kubeconfig cannot be obeyed."""

    code = "config"


class Refused(OrkaError):  # noqa: N818 -- an answer of no, not a fault
    """A request that was understood and is answered with no: the code says why."""

    code = "usage"


class ProtocolError(OrkaError):
    """The two ends of the socket do not understand each other."""

    code = "bad-frame"


class LocalProtocolError(ProtocolError):
    """Our side tried to say what the protocol does not allow: a bug in orka."""

    code = "internal"


class RemoteProtocolError(ProtocolError):
    """The other side said what the protocol does not allow."""
