"""What a list under way brings, as pages or as a stream, turned into one swap or none at all.

Everything is staged aside; any failure drops the staging, and what is shown stays.
"""

from __future__ import annotations

from dataclasses import replace

from orka.daemon.kube import remedies
from orka.daemon.kube.errors import Failure, FailureKind
from orka.daemon.kube.events import NO_VERSIONS, Bookmark, Changes, Event, Puzzle
from orka.daemon.kube.lines import Oversize
from orka.daemon.kube.machine import Next, Progress, Quarantine, Turn
from orka.daemon.kube.moves import (
    audit_overtime,
    doubt,
    fail,
    get_page,
    give_up_audit,
    hand_over,
    list_now,
    list_pages,
    open_watch,
    opened,
    refused,
    retry,
    unwatchable,
    wait_then,
)
from orka.daemon.kube.pages import Page
from orka.daemon.kube.remedies import (
    UNSUPPORTED_SECONDS,
    Remedy,
    failed_phrase,
)
from orka.daemon.kube.states import (
    PAGE_LIMITS,
    Audit,
    ListingPages,
    Refusals,
    StreamingInitial,
    Watching,
    staged,
    staged_count,
)
from orka.daemon.kube.watching import take_events
from orka.daemon.model import Delta, DeltaKind, Key, ResourceVersion
from orka.daemon.objects import Malformed
from orka.proto.messages import LiteObj

RESTARTS_MAX = 2  # of a paged list; after them the whole list is asked for as one page
STREAMING_FAILURES_MAX = 2  # in a row, of a streaming list; then pages, for good

# -- pages ---------------------------------------------------------------------------------


def take_page(listing: ListingPages, page: Page, turn: Turn) -> Next:
    """Stage a page; ask for the next, or swap the whole list in."""
    for malformed in page.malformed:
        turn.emit(Quarantine(malformed.key, malformed.why))
    if listing.resource_version not in (None, page.resource_version):
        return _restart(listing, turn)
    memory = replace(listing.memory, refusals=Refusals())
    memory = audit_overtime(memory, listing.purpose, listing.started_at, turn)
    staging = staged(listing.staging, page.objects)
    if page.continue_token:
        turn.emit(Progress(staged_count(staging)))
        following = replace(
            listing,
            memory=memory,
            continue_token=page.continue_token,
            resource_version=page.resource_version,
            staging=staging,
        )
        return get_page(following)
    if page.resource_version in NO_VERSIONS:
        return unwatchable(memory, turn)
    objects = tuple(obj for run in staging for obj in run)
    memory = hand_over(memory, objects, page.resource_version, "pages", turn)
    return open_watch(memory, page.resource_version, turn)


def page_failed(listing: ListingPages, failure: Failure, turn: Turn) -> Next:
    """See the table of remedies."""
    listing = replace(listing, memory=replace(listing.memory, last_failure=failure))
    remedy = remedies.of_page(failure)
    if remedy is Remedy.SMALLER_PAGES:
        listing = _with_smaller_pages(listing)
    if isinstance(listing.purpose, Audit) and remedy is not Remedy.RESTART:
        return give_up_audit(listing.memory, listing.purpose, turn)
    memory = listing.memory
    match remedy:
        case Remedy.RESTART if listing.continue_token:
            return _restart(listing, turn)
        case Remedy.ANEW_SLOWLY:
            memory = fail(memory, failed_phrase("list", failure), turn)
            return wait_then(memory, listing.purpose, turn, UNSUPPORTED_SECONDS)
        case Remedy.FORBIDDEN:
            return refused(memory, "list", failure, listing.purpose, turn)
        case Remedy.CHECK_DISCOVERY:
            return doubt(memory, None, turn)
        case _:
            return retry(memory, "list", failure, listing, turn)


def _restart(listing: ListingPages, turn: Turn) -> Next:
    """From page 1: pages of different moments make no list."""
    restarts = listing.restarts + 1
    limit = listing.limit if restarts <= RESTARTS_MAX else None
    fresh = ListingPages(listing.memory, listing.purpose, turn.now, limit, restarts=restarts)
    return get_page(fresh)


def _with_smaller_pages(listing: ListingPages) -> ListingPages:
    """From page 1 again: a continue token is good only for the limit it was made with."""
    limit = listing.limit
    if limit is not None:
        limit = PAGE_LIMITS[min(PAGE_LIMITS.index(limit) + 1, len(PAGE_LIMITS) - 1)]
    memory = replace(listing.memory, page_limit=limit or listing.memory.page_limit)
    return ListingPages(
        memory, listing.purpose, listing.started_at, limit, restarts=listing.restarts
    )


# -- the streaming list --------------------------------------------------------------------


def take_initial(stream: StreamingInitial, events: tuple[Event, ...], turn: Turn) -> Next:
    """Stage events; at the mark swap the list in and go on watching the same stream."""
    for position, event in enumerate(events):
        match event:
            case Changes():
                staging = staged(stream.staging, event.deltas)
                stream = replace(stream, staging=staging)
            case Bookmark(initial_events_end=True, resource_version=version) if version:
                watch = _at_the_mark(stream, version, turn)
                return take_events(watch, events[position + 1 :], turn)
            case Bookmark():
                pass  # before the mark no resourceVersion is one to resume from
            case Malformed():
                # Only the mark's resourceVersion counts, so one without is no harm here,
                # but nothing after it was decoded.
                turn.emit(Quarantine(event.key, event.why))
                if event.resource_version is None:
                    return _pages_instead(stream, turn, failed="an object that is unreadable")
            case Oversize():
                return _pages_instead(stream, turn, failed="an object over the size limit")
            case Puzzle():
                return _pages_instead(stream, turn, failed=event.why)
            case failure:
                return stream_failed(stream, failure, turn)
    memory = audit_overtime(stream.memory, stream.purpose, stream.started_at, turn)
    turn.emit(Progress(staged_count(stream.staging)))
    return replace(stream, memory=memory), None


def initial_ended(stream: StreamingInitial, turn: Turn) -> Next:
    """The stream ended before its mark: the server, or a proxy, does not send one."""
    return _pages_instead(stream, turn, failed="an end without the mark")


def stream_failed(stream: StreamingInitial, failure: Failure, turn: Turn) -> Next:
    """See the table of remedies."""
    opened_before = stream.opened_at is not None
    remedy = remedies.of_streaming_list(failure, opened=opened_before)
    memory, purpose = stream.memory, stream.purpose
    if remedy is Remedy.AT_ONCE:  # our own doing: nothing failed
        if isinstance(purpose, Audit):
            return give_up_audit(memory, purpose, turn)
        return list_now(memory, purpose, turn)
    memory = replace(memory, last_failure=failure)
    if failure.kind in (FailureKind.TIMEOUT, FailureKind.CUT, FailureKind.NOT_KUBERNETES):
        memory = replace(memory, streaming_failures=memory.streaming_failures + 1)
    if remedy is Remedy.PAGES_FOR_GOOD or memory.streaming_failures >= STREAMING_FAILURES_MAX:
        memory = replace(memory, streaming=False)
        remedy = Remedy.PAGES
    if isinstance(purpose, Audit):
        return give_up_audit(memory, purpose, turn)
    match remedy:
        case Remedy.PAGES:
            return list_pages(memory, purpose, turn)
        case Remedy.CHECK_DISCOVERY:
            return doubt(memory, None, turn)
        case _:
            return retry(memory, "list", failure, purpose, turn)


def _at_the_mark(stream: StreamingInitial, version: ResourceVersion, turn: Turn) -> Watching:
    held: dict[Key, LiteObj] = {}
    for run in stream.staging:
        for delta in run:
            _apply(held, delta)
    memory = hand_over(stream.memory, tuple(held.values()), version, "streaming", turn)
    memory = opened(memory, turn)
    opened_at = turn.now if stream.opened_at is None else stream.opened_at
    return Watching(memory, version, version, opened_at, frames=1)


def _apply(held: dict[Key, LiteObj], delta: Delta) -> None:
    """Changes may come before the mark too; a delete removes only the uid it names."""
    if delta.kind is DeltaKind.APPLIED:
        assert delta.obj is not None
        held[delta.key] = delta.obj
    elif delta.key in held and held[delta.key].uid == delta.uid:
        del held[delta.key]


def _pages_instead(stream: StreamingInitial, turn: Turn, *, failed: str) -> Next:
    """This server's streaming lists cannot be used; its pages can."""
    message = f"the streaming list brought {failed}"
    failure = Failure(FailureKind.NOT_KUBERNETES, message)
    memory = replace(stream.memory, streaming=False, last_failure=failure)
    if isinstance(stream.purpose, Audit):
        return give_up_audit(memory, stream.purpose, turn)
    return list_pages(memory, stream.purpose, turn)
