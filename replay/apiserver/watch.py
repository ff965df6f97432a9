"""Watch requests turned into a stream of lines: what is owed at the start, then each change."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import trio

from . import status
from .forms import Form, event_line, negotiate
from .lists import RefusedError, bad_rv, check_options, is_number
from .objects import Event, ExpiredError, Object, Snapshot, encode, iterate
from .requests import Record, Request
from .resources import Resource
from .store import Collection, Store

BOOKMARK_SECONDS = 60.0  # a real server sends one about every minute
LAST_BOOKMARK_SECONDS = 2.0  # and one this long before the deadline
DEFAULT_TIMEOUT_SECONDS = (1800.0, 3600.0)  # drawn evenly when the client names none
BUFFER_MAX_EVENTS = 1000  # of a watch whose reader is slow; a real server holds 10..1000
SLOW_GRACE_SECONDS = 0.1  # a real server waits about this long for room in that buffer


@dataclass(frozen=True, slots=True)
class Opening:
    """What a watch starts with: `backlog` lines come first, live changes follow."""

    form: Form
    collection: Collection
    namespace: str
    start_rv: int
    snapshot: Snapshot | None  # sent as ADDED
    missed: list[Event]
    mark_end: bool  # a bookmark with the annotation follows the snapshot
    bookmarks: bool
    timeout_seconds: float
    error: Object | None = None  # sent as the only event
    broken: bool = False  # ends before anything is sent

    def backlog(self) -> Iterator[bytes]:
        """The lines owed before anything live."""
        if self.broken:
            return
        if self.error is not None:
            yield event_line("ERROR", encode(self.error))
            return
        if self.snapshot is not None:
            for item in iterate(self.snapshot, self.namespace):
                yield self.form.line("ADDED", item)
        if self.mark_end:
            yield self.form.bookmark(self.start_rv, initial_events_end=True)
        for event in self.missed:
            if self.wants(event):
                yield self.form.line(event.type, event.item)

    def wants(self, event: Event) -> bool:
        """True when the event lies in the namespace and after the starting point."""
        inside = not self.namespace or event.item.key.startswith(f"{self.namespace}/")
        return inside and event.rv > self.start_rv


@dataclass(frozen=True, slots=True)
class WatchRules:
    """The parts of a server's configuration that a watch's start depends on."""

    streaming_list: bool = True
    expired_as_status: bool = False
    bookmarks: bool = True
    end_mark: bool = True


def open_watch(
    store: Store, request: Request, resource: Resource, rules: WatchRules, random: Random
) -> Opening:
    """What this watch starts with. Raises RefusedError and NotAcceptableError."""
    convert = negotiate(request.header("accept"))
    initial = _initial_events(request, rules)
    rv_text = request.query.get("resourceVersion", "")
    if rv_text and not is_number(rv_text):
        # Seen on a real server: it cannot name this error.
        raise RefusedError(status.failure(500, "", bad_rv(rv_text)))
    collection = store.collection(resource)
    from_now = initial or rv_text in ("", "0")
    missed: list[Event] = []
    error: Object | None = None
    if initial and int(rv_text or 0) > store.rv:
        error = status.too_large(int(rv_text), store.rv)
    if not from_now:
        try:
            missed = collection.since(int(rv_text))
        except ExpiredError as exc:
            error = status.expired(str(exc))
            if rules.expired_as_status:
                raise RefusedError(error) from exc
    bookmarks = request.flag("allowWatchBookmarks")
    return Opening(
        form=Form(resource, request.version, partial=bool(convert)),
        collection=collection,
        namespace=request.namespace,
        start_rv=store.rv if from_now else int(rv_text),
        snapshot=collection.snapshot() if from_now else None,
        missed=missed,
        mark_end=initial and bookmarks and rules.end_mark,
        bookmarks=bookmarks and rules.bookmarks,
        timeout_seconds=_timeout(request, random),
        error=error,
        # The form of a list is no form for events: a real server gives up at the first one.
        broken=convert == "PartialObjectMetadataList",
    )


def _initial_events(request: Request, rules: WatchRules) -> bool:
    query, faults = request.query, status.Faults()
    asked, match = "sendInitialEvents" in query, query.get("resourceVersionMatch", "")
    path = "resourceVersionMatch"
    if asked and match != "NotOlderThan":
        faults.forbid(
            path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    if asked and not rules.streaming_list:
        message = "is forbidden for watch unless the WatchList feature gate is enabled"
        faults.forbid("sendInitialEvents", f"sendInitialEvents {message}")
    if match and not asked:
        faults.forbid(path, f"{path} is forbidden for watch unless sendInitialEvents is provided")
    if match and query.get("continue"):
        faults.forbid(path, f"{path} is forbidden when continue is provided")
    if faults.found:
        raise RefusedError(status.invalid("ListOptions", "meta.k8s.io", "", faults.found))
    check_options(request)
    # A server with streaming lists turns a watch from nowhere into one of them.
    legacy = query.get("resourceVersion", "") in ("", "0")
    return request.flag("sendInitialEvents") if asked else legacy and rules.streaming_list


def _timeout(request: Request, random: Random) -> float:
    text = request.query.get("timeoutSeconds", "")
    try:
        wanted = int(text)
    except ValueError:
        wanted = 0
    return float(wanted) if wanted else random.uniform(*DEFAULT_TIMEOUT_SECONDS)


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a stream: `clean` ends the body, else `tail` is sent and the connection closed."""

    clean: bool
    tail: bytes = b""
    reset: bool = True  # close with RST, so that even sent bytes may be lost


class Watch:
    """One open watch: changes and scripted lines go in, batches of bytes come out."""

    def __init__(self, opening: Opening, record: Record, *, deadline: float) -> None:
        self.opening = opening
        self.record = record
        self.deadline = deadline
        self.pending: deque[bytes] = deque()
        self.finish: Finish | None = None
        self.stalled = False  # nothing is sent until the server resumes
        self.sending_since: float | None = None
        self.next_bookmark = deadline
        self._wake = trio.Event()

    def __repr__(self) -> str:
        return (
            f"<Watch {self.record.resource} namespace={self.record.namespace!r} "
            f"pending={len(self.pending)} finish={self.finish} stalled={self.stalled}>"
        )

    def offer(self, event: Event) -> None:
        """Queue one change; a reader that stays too slow loses its watch."""
        if self.finish is not None or not self.opening.wants(event):
            return
        self._push(self.opening.form.line(event.type, event.item))
        if len(self.pending) > BUFFER_MAX_EVENTS and self._blocked_too_long():
            self.pending.clear()
            self.end()

    def inject(self, line: bytes) -> None:
        """Queue any bytes."""
        self._push(line)

    def end(self) -> None:
        """End the stream cleanly after what is queued."""
        self._end(Finish(clean=True))

    def cut(self, tail: bytes = b"", *, reset: bool = True) -> None:
        """Close the connection after what is queued and `tail`, without ending the body."""
        self._end(Finish(clean=False, tail=tail, reset=reset))

    def plan_bookmark(self, now: float) -> None:
        """Set the time of the next bookmark: in a minute, or shortly before the deadline."""
        last = self.deadline - LAST_BOOKMARK_SECONDS
        due = min(now + BOOKMARK_SECONDS, last)
        self.next_bookmark = due if self.opening.bookmarks and due > now else self.deadline

    def push_bookmark(self, rv: int) -> None:
        """Queue a bookmark, unless it would not go beyond where this watch began."""
        if rv > self.opening.start_rv:
            self._push(self.opening.form.bookmark(rv))

    def take(self) -> list[bytes]:
        """Everything queued."""
        lines = list(self.pending)
        self.pending.clear()
        return lines

    async def wait(self, until: float) -> None:
        """Return when something is queued, the stream should end, or at that time."""
        with trio.move_on_at(until):
            if self.pending or self.finish is not None:
                await trio.lowlevel.checkpoint()
                return
            self._wake = trio.Event()
            await self._wake.wait()

    def _push(self, line: bytes) -> None:
        if self.finish is None:
            self.pending.append(line)
            self._wake.set()

    def _end(self, finish: Finish) -> None:
        if self.finish is None:
            self.finish = finish
            self._wake.set()

    def _blocked_too_long(self) -> bool:
        if self.stalled:
            return True
        since = self.sending_since
        return since is not None and trio.current_time() - since > SLOW_GRACE_SECONDS
