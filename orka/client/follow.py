"""A watch's messages to its output, until the stream ends: the blocking loop of `orkactl watch`."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time
from typing import Protocol

from orka.client.connection import Connection, not_understood
from orka.client.output import say, say_error, write
from orka.proto.errors import ExitCode, OrkaError, RemoteProtocolError
from orka.proto.messages import End, Error, Note, ServerMessage, Truth, decode_server

__all__ = ["Output", "Writer", "follow"]


@dataclass(frozen=True, slots=True)
class Output:
    """What one message prints."""

    stdout: str = ""
    notes: list[str] = field(default_factory=list)


class Writer(Protocol):
    """Messages to text; pure. One for people, one for programs."""

    def take(self, message: ServerMessage, received: float) -> Output:
        """What to print for a message that came at this time."""


def follow(connection: Connection, writer: Writer, *, patience_seconds: float) -> int:
    """Print until the daemon ends the stream; returns the exit status.

    `patience_seconds` is how long the daemon may be silent before its first truth. A stream
    that breaks off ends as one that the daemon ended with `lost`: exit 8.
    """
    connection.patience(patience_seconds)
    while True:
        message = _next(connection)
        if message is None:
            continue
        if isinstance(message, Truth):
            connection.patience(None)  # from here on silence means that nothing changes
        output = writer.take(message, time())
        if output.stdout:
            write(output.stdout.encode())
        for note in output.notes:
            say(note)
        match message:
            case Note(text=text):
                say(text)
            case Error():
                say_error(message.message, message.hint)
                return message.exit_code
            case End():
                if message.message:
                    say(message.message)
                return message.exit_code
            case _:
                pass


def _next(connection: Connection) -> ServerMessage | None:
    """The next message; None for a type of a newer daemon."""
    try:
        payload = connection.receive()
    except TimeoutError:
        return Error("timeout", "orkad did not begin the stream in time", int(ExitCode.TIMEOUT))
    except OrkaError as error:
        return _error(error)
    try:
        return decode_server(payload)
    except RemoteProtocolError as exc:
        return _error(not_understood(exc))


def _error(error: OrkaError) -> Error:
    return Error(error.code, error.message, int(error.exit_code), error.hint)
