"""A request for a text answer to bytes on stdout and an exit status; no message is decoded twice.

orkad renders the answer, so this needs neither msgspec nor a table.
"""

from __future__ import annotations

from orka.client.connection import Connection, Message
from orka.client.output import say, say_error, say_raw, watched, write
from orka.proto.errors import OrkaError, exit_code_of

__all__ = ["GRACE_SECONDS", "answer"]

# Beyond the request's own timeout, and over the 32 s in which orkad gives discovery up itself:
# only an orkad that hangs is later.
GRACE_SECONDS = 40.0


def answer(connection: Connection, *, patience_seconds: float = GRACE_SECONDS) -> int:
    """Print the answer to the request that went with the greeting; returns its exit status.

    Raises OrkaError `lost` if the daemon goes away, `timeout` if it falls silent.
    """
    connection.patience(patience_seconds)
    progress = _Progress()
    while True:
        try:
            message = connection.receive_message()
        except TimeoutError as exc:
            raise OrkaError(
                f"orkad did not answer within {patience_seconds:g} s", code="timeout"
            ) from exc
        if message.get("type") == "progress":
            progress.show(message)
            continue
        progress.erase()
        status = _take(message)
        if status is not None:
            return status


def _take(message: Message) -> int | None:
    """Print one message; the exit status if it was the last one. Unknown types are ignored."""
    match message:
        case {"type": "text", "data": bytes(data)}:
            write(data)
        case {"type": "note", "text": str(text)}:
            say(text)
        case {"type": "error"}:
            hint = message.get("hint")
            say_error(str(message.get("message")), hint if isinstance(hint, str) else None)
            return _exit_status(message)
        case {"type": "end"}:
            if message.get("message") and message.get("exit_code"):
                say(str(message["message"]))
            return _exit_status(message)
        case _:
            pass
    return None


def _exit_status(message: Message) -> int:
    """The status that travels beside the code, so that codes of a newer daemon have one too."""
    status = message.get("exit_code")
    return status if isinstance(status, int) else int(exit_code_of(str(message.get("code"))))


class _Progress:
    """One line on stderr that is written over, and gone before anything else is written."""

    def __init__(self) -> None:
        self._shown = False

    def show(self, message: Message) -> None:
        if not watched():
            return
        self._shown = True
        objects = message.get("objects")
        line = f"\rsyncing: {objects if isinstance(objects, int) else 0} objects so far"
        say_raw(line)

    def erase(self) -> None:
        if self._shown:
            say_raw("\r\x1b[K")
            self._shown = False
