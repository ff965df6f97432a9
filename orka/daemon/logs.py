"""Log records of orka to lines on stderr: one event, one line, as text or as JSON."""

from __future__ import annotations

import logging
import sys
import time

import msgspec

from orka.daemon.config import parse_log_filter


def configure(log_filter: str, log_format: str) -> None:
    """Send the `orka` loggers to stderr at the levels that the filter names."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger("orka")
    root.addHandler(handler)
    root.propagate = False
    for name, level in parse_log_filter("--log", log_filter).items():
        logging.getLogger(name or "orka").setLevel(level)


class TextFormatter(logging.Formatter):
    """`2026-11-24T09:30:00.250Z INFO orka.app serving socket=…`, control characters escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """UTC with milliseconds."""
        del datefmt
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{stamp}.{record.msecs:03.0f}Z"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """One line, whatever a server or a client put into it."""
        line = super().formatMessage(record)
        if line.isprintable():
            return line
        return "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
        )


class JsonFormatter(TextFormatter):
    """The same as one JSON object a line: time, level, logger, message, error."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON document without line breaks."""
        document = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(document).decode()
