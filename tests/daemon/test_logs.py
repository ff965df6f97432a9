"""Log records become one line each, whatever is in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from orka.daemon import logs


@pytest.fixture
def orka_logger() -> Iterator[logging.Logger]:
    """The root of orka's loggers, put back as it was."""
    logger = logging.getLogger("orka")
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = True
    logging.getLogger("orka.kube").setLevel(logging.NOTSET)


def record(message: str, *args: object) -> logging.LogRecord:
    """A record of a fixed time."""
    made = logging.LogRecord("orka.app", logging.INFO, "", 0, message, args, None)
    made.created, made.msecs = 1_763_976_600.25, 250
    return made


def test_text_is_one_line_with_the_time_in_utc() -> None:
    """Time, level, logger, message."""
    line = logs.TextFormatter().format(record("serving socket=%s", "/s"))

    assert line == "2025-11-24T09:30:00.250Z INFO orka.app serving socket=/s"


def test_control_characters_are_escaped() -> None:
    """A server's words cannot forge a line or move the cursor."""
    line = logs.TextFormatter().format(record("said %s", "a\nb\x1b[2J"))

    assert line.endswith(r"said a\nb\x1b[2J")


def test_json_is_one_document_a_line() -> None:
    """With the traceback as a field of its own."""
    made = record("bad")
    boom = ValueError("boom")
    made.exc_info = (ValueError, boom, None)

    document = json.loads(logs.JsonFormatter().format(made))

    assert document["message"] == "bad"
    assert document["level"] == "info"
    assert "boom" in document["error"]
    assert "error" not in json.loads(logs.JsonFormatter().format(record("good")))


@pytest.mark.parametrize("form", ["text", "json"])
def test_levels_follow_the_filter(
    orka_logger: logging.Logger, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """One logger may say more than the rest."""
    logs.configure("warning,orka.kube=debug", form)

    logging.getLogger("orka.app").info("quiet")
    logging.getLogger("orka.kube").debug("loud")

    said = capsys.readouterr().err
    assert "quiet" not in said
    assert "loud" in said
