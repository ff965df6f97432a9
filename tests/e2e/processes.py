"""Processes of a test: run to their end, or collected line by line while they run."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
Record = dict[str, Any]
Objects = dict[tuple[str | None, str], str]  # namespace and name to uid

POLL_SECONDS = 0.02
COMMAND_SECONDS = 30.0  # a command that takes longer hangs
STOP_SECONDS = 15.0  # orkad gives its clients five


def eventually(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """The first truthy thing that `look` returns; AssertionError with the last one if none does.

    A look may be a process of its own: as long as it took, it is not repeated.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        seen = look()
        if seen:
            return seen
        ended = time.monotonic()
        if ended > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {seen!r}")
        time.sleep(max(POLL_SECONDS, ended - began))


@dataclass(frozen=True)
class Done:
    """A process that has ended."""

    command: str
    returncode: int
    stdout: str
    stderr: str

    def ok(self) -> Self:
        """Itself, if it ended with 0."""
        assert self.returncode == 0, repr(self)
        return self

    def json(self) -> Any:
        """Its stdout as one JSON document."""
        return json.loads(self.ok().stdout)

    def rows(self) -> list[list[str]]:
        """The cells of its table, without the header."""
        return [line.split() for line in self.ok().stdout.splitlines()[1:]]


class Running:
    """A process whose lines are collected while it runs; a context manager that kills it."""

    def __init__(self, argv: list[str], environ: Mapping[str, str]) -> None:
        self.command = " ".join([Path(argv[0]).name, *argv[1:]])
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._changed = threading.Condition(threading.RLock())
        self._open = 2
        self.process = subprocess.Popen(
            argv,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._threads = [
            threading.Thread(target=self._read, args=(pipe, into), daemon=True)
            for pipe, into in (
                (self.process.stdout, self.lines),
                (self.process.stderr, self.errors),
            )
        ]
        for thread in self._threads:
            thread.start()

    def __repr__(self) -> str:
        return (
            f"<{self.command} pid={self.process.pid} returncode={self.process.poll()}\n"
            f"  stdout {self.lines[-20:]}\n  stderr {self.errors[-20:]}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join()

    def _read(self, pipe: Any, into: list[str]) -> None:
        with pipe:
            for line in pipe:
                with self._changed:
                    into.append(line.removesuffix("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def wait_for(self, look: Callable[[], T | None], seconds: float, what: str) -> T:
        """The first truthy thing that `look` finds in the lines; AssertionError if none comes."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                found = look()
                if found:
                    return found
                left = deadline - time.monotonic()
                assert left > 0, f"not within {seconds:g} s: {what} of {self!r}"
                assert self._open, f"ended before {what}: {self!r}"
                self._changed.wait(left)

    def line(self, has: str, seconds: float = COMMAND_SECONDS) -> str:
        """The first line of stdout with this text in it."""
        return self.wait_for(lambda: _first(self.lines, has), seconds, f"a line with {has!r}")

    def error_line(self, has: str, seconds: float = COMMAND_SECONDS) -> str:
        """The first line of stderr with this text in it."""
        return self.wait_for(lambda: _first(self.errors, has), seconds, f"an error with {has!r}")

    def end(self, seconds: float = STOP_SECONDS) -> Done:
        """Wait until it ends by itself."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {seconds:g} s: {self!r}") from None
        for thread in self._threads:
            thread.join()
        return Done(
            self.command,
            self.process.returncode,
            "".join(f"{line}\n" for line in self.lines),
            "".join(f"{line}\n" for line in self.errors),
        )

    def interrupt(self) -> Done:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        return self.end()


class Watch(Running):
    """`orkactl watch -o json`: its lines are records."""

    def __init__(self, argv: list[str], environ: Mapping[str, str]) -> None:
        self._parsed: list[Record] = []
        super().__init__(argv, environ)

    def records(self, *kinds: str, name: str | None = None) -> list[Record]:
        """What has come so far: of these types and this object's name, or all."""
        with self._changed:
            self._parsed += [json.loads(line) for line in self.lines[len(self._parsed) :]]
        return [
            record
            for record in self._parsed
            if (not kinds or record["type"] in kinds) and name in (None, record.get("name"))
        ]

    def record(
        self, *kinds: str, name: str | None = None, seconds: float = COMMAND_SECONDS
    ) -> Record:
        """The first record of one of these types, and of this object, once it has come."""
        what = f"{'|'.join(kinds)} {name or ''}"
        return self.wait_for(lambda: self.records(*kinds, name=name), seconds, what)[0]

    def state(self, state: str, seconds: float = COMMAND_SECONDS, *, after: int = 0) -> Record:
        """The first STATE record with this state among those after the first `after` records."""
        return self.wait_for(
            lambda: next(
                (
                    record
                    for record in self.records()[after:]
                    if record["type"] == "STATE" and record["truth"]["state"] == state
                ),
                None,
            ),
            seconds,
            f"state {state}",
        )

    def until(self, has: Callable[[Self], object], seconds: float, what: str) -> None:
        """Return when this is true of what has come."""
        self.wait_for(lambda: bool(has(self)), seconds, what)

    def shown(self) -> Objects:
        """What a reader of all records knows by now: namespace and name to uid."""
        return replayed(self.records())


def replayed(records: list[Record]) -> Objects:
    """What a reader of these records knows in the end: namespace and name to uid.

    AssertionError where a record does not fit what was there, or where a diff does not begin at
    the epoch that the one before it ended at, unless FRESH or LAGGED says so (promise P3).
    """
    known: Objects = {}
    epoch: int | None = None
    span: tuple[int, int] | None = None
    for record in records:
        match record["type"]:
            case "FRESH" | "LAGGED":
                known, epoch = {}, None
            case "SYNCED":
                assert epoch in (None, record["epoch"]), f"{epoch} was reached: {record}"
                epoch = record["epoch"]
            case "ADD" | "MOD" | "DEL" | "REPL":
                if span != (record["from_epoch"], record["to_epoch"]):
                    assert record["from_epoch"] == epoch, f"{epoch} was reached: {record}"
                    span = (record["from_epoch"], record["to_epoch"])
                    epoch = span[1]
                _apply(known, record)
            case "ITEM":
                _apply(known, record)
            case _:
                pass
    return known


def _apply(known: Objects, record: Record) -> None:
    key, uid = (record["namespace"], record["name"]), record["uid"]
    match record["type"]:
        case "ITEM" | "ADD":
            assert key not in known, f"it was there: {record}"
            known[key] = uid
        case "MOD":
            assert known[key] == uid, f"{known[key]} was there: {record}"
        case "REPL":
            assert known[key] == record["old_uid"] != uid, f"{known[key]} was there: {record}"
            known[key] = uid
        case "DEL":
            assert known.pop(key) == uid, f"another one was there: {record}"


def _first(lines: list[str], has: str) -> str | None:
    return next((line for line in lines if has in line), None)
