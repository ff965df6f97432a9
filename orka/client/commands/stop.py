"""`orkactl stop`: a graceful end of orkad."""

# os.path costs nothing at start-up, pathlib some milliseconds.
# ruff: noqa: PTH116

from __future__ import annotations

import os
import time

from orka.client.oneshot import answer
from orka.client.options import DEFAULTS, Common
from orka.proto.errors import OrkaError

STOP_SECONDS = 30.0  # longer than orkad lets its sessions drain
LOOK_SECONDS = 0.02


def stop(*, common: Common = DEFAULTS) -> int:
    """Stop orkad and wait until its socket is gone; exit 124 if it takes too long."""
    path = common.socket_path
    with common.connect() as connection:
        before = inode(path)
        connection.greet({"type": "stop"})
        status = answer(connection)
    if status == 0:
        wait_gone(path, before, STOP_SECONDS)
    return status


def wait_gone(path: str, before: int | None, limit_seconds: float) -> None:
    """Return when the socket is no longer the one that was asked to stop; OrkaError `timeout`."""
    deadline = time.monotonic() + limit_seconds
    while before is not None and inode(path) == before:
        if time.monotonic() > deadline:
            raise OrkaError(
                f"orkad still has its socket {limit_seconds:g} s after it was asked to stop",
                hint="orkactl status says what it waits for",
                code="timeout",
            )
        time.sleep(LOOK_SECONDS)


def inode(path: str) -> int | None:
    """What tells this socket from a later one under the same path; None if there is none."""
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None
