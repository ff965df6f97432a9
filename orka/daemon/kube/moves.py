"""Moves that several states make: begin a list, open a watch, wait, doubt that the kind exists.

Each takes the memory and the turn, and gives the next state and the driver's next command.
"""

from __future__ import annotations

from dataclasses import replace

from orka.daemon.kube.errors import Failure
from orka.daemon.kube.events import NO_VERSIONS
from orka.daemon.kube.machine import (
    Alive,
    AskDiscovery,
    Count,
    GetPage,
    Next,
    OpenInitialStream,
    OpenWatch,
    Replace,
    Turn,
    Wait,
)
from orka.daemon.kube.remedies import (
    UNSUPPORTED_SECONDS,
    can_i,
    failed_phrase,
    forbidden_wait_seconds,
    least_wait_seconds,
    relist_phrase,
)
from orka.daemon.kube.states import (
    PAGE_LIMITS,
    Audit,
    CheckingDiscovery,
    Doubt,
    First,
    ListingPages,
    Memory,
    Opening,
    Purpose,
    Refusals,
    Relist,
    Resume,
    StreamingInitial,
    SyncPath,
    Then,
    Waiting,
)
from orka.daemon.model import ResourceVersion
from orka.proto.messages import LiteObj

# Spread, so that the watches of many kinds do not end together.
WATCH_TIMEOUT_SECONDS = (300, 600)
# Above the server's own 60 s, so that its answer is heard.
PAGE_DEADLINE_SECONDS = 75.0
# An audit closes the watch, so for as long as it lasts nothing new is seen. This much is part of
# a live watch's life, as a reopening is; beyond it the truth is told.
AUDIT_SILENT_SECONDS = 30.0
AUDIT_SPREAD = 0.1  # of the time between audits, so that kinds do not keep step

FORBIDDEN_MIN_COUNT = 3
FORBIDDEN_MIN_SECONDS = 30.0
DISCOVERY_APART_SECONDS = 5.0  # two complete answers so far apart are believed
LAGGING_REPLICA_SECONDS = 10.0  # 404 by one of several servers for a kind that exists


# -- lists ---------------------------------------------------------------------------------


def list_now(memory: Memory, purpose: Purpose, turn: Turn) -> Next:
    """Ask for a whole list, by the way that this server is known to have."""
    if not isinstance(purpose, First):
        reason = purpose.reason if isinstance(purpose, Relist) else "audit"
        turn.emit(Count("relist_total", reason))
    memory = replace(memory, audit_due_at=_next_audit(turn))
    if memory.streaming:
        state = StreamingInitial(memory, purpose, turn.now)
        return state, OpenInitialStream(_watch_timeout(turn))
    return list_pages(memory, purpose, turn)


def list_pages(memory: Memory, purpose: Purpose, turn: Turn) -> Next:
    """Ask for the first page of a list."""
    return get_page(ListingPages(memory, purpose, turn.now, memory.page_limit))


def get_page(listing: ListingPages) -> Next:
    """Ask for the page that this listing needs next."""
    deadline = PAGE_DEADLINE_SECONDS
    if isinstance(listing.purpose, Audit):
        deadline = AUDIT_SILENT_SECONDS
    return listing, GetPage(listing.limit, listing.continue_token, deadline)


def relist(memory: Memory, reason: str, turn: Turn, least_seconds: float = 0.0) -> Next:
    """Changes were missed: list at once, but back off when it happens again and again.

    What is shown stays until the list replaces it as a whole.
    """
    memory = turn.say(memory, "resyncing" if memory.listed else "syncing", relist_phrase(reason))
    first = memory.relists.settled(turn.now).failures == 0
    relists, seconds = memory.relists.failed(turn.now, turn.context.random, least_seconds)
    memory = replace(memory.progressed(), relists=relists)
    if first and not least_seconds:
        return list_now(memory, Relist(reason), turn)
    return Waiting(memory, Relist(reason)), Wait(seconds)


def hand_over(
    memory: Memory,
    objects: tuple[LiteObj, ...],
    version: ResourceVersion,
    path: SyncPath,
    turn: Turn,
) -> Memory:
    """Swap a complete list in."""
    turn.emit(Replace(objects, version), Alive())
    limit = memory.page_limit
    return replace(
        memory.progressed(),
        listed=True,
        sync_path=path,
        refusals=Refusals(),
        streaming_failures=0 if path == "streaming" else memory.streaming_failures,
        # A size that worked is left by one step at a time, upwards.
        page_limit=PAGE_LIMITS[max(0, PAGE_LIMITS.index(limit) - 1)],
    )


def unwatchable(memory: Memory, turn: Turn) -> Next:
    """A list without a usable resourceVersion: nothing can be watched from it."""
    reason = "cannot be watched: its lists carry no resourceVersion"
    memory = turn.say(memory, "unavailable", reason)
    relists, seconds = memory.relists.failed(turn.now, turn.context.random, UNSUPPORTED_SECONDS)
    memory = replace(memory, relists=relists)
    return Waiting(memory, Relist("no-resource-version")), Wait(seconds)


def audit_overtime(memory: Memory, purpose: Purpose, started_at: float, turn: Turn) -> Memory:
    """An audit that lasts longer than a live watch may be away for is told."""
    if isinstance(purpose, Audit) and turn.now - started_at > AUDIT_SILENT_SECONDS:
        return turn.say(memory, "resyncing", relist_phrase("audit"))
    return memory


def give_up_audit(memory: Memory, audit: Audit, turn: Turn) -> Next:
    """An audit that fails proves nothing: the watch goes on where it was, the next will tell."""
    return open_watch(memory, audit.resume, turn)


# -- watches -------------------------------------------------------------------------------


def open_watch(memory: Memory, version: ResourceVersion, turn: Turn) -> Next:
    """Ask for a watch from here."""
    assert version not in NO_VERSIONS
    return Opening(memory, version), OpenWatch(version, _watch_timeout(turn))


def opened(memory: Memory, turn: Turn) -> Memory:
    """A watch is open at a resourceVersion of ours: what happened since will come."""
    memory = replace(
        memory,
        requests=memory.requests.healthy(turn.now),
        relists=memory.relists.healthy(turn.now),
        refusals=Refusals(),
    )
    memory = turn.say(memory, "live", "")
    turn.emit(Alive())
    return memory


def restarted(reason: str, turn: Turn) -> None:
    """Count a watch that ended."""
    turn.emit(Count("watch_restarts_total", reason))


# -- failures ------------------------------------------------------------------------------


def fail(memory: Memory, reason: str, turn: Turn, hint: str | None = None) -> Memory:
    """Say that what is shown, if anything, is no longer kept up to date."""
    return turn.say(memory, "stale" if memory.listed else "syncing", reason, hint)


def wait_then(memory: Memory, then: Then, turn: Turn, least_seconds: float = 0.0) -> Next:
    """Back off, then do that."""
    requests, seconds = memory.requests.failed(turn.now, turn.context.random, least_seconds)
    return Waiting(replace(memory, requests=requests), then), Wait(seconds)


def retry(memory: Memory, what: str, failure: Failure, then: Then, turn: Turn) -> Next:
    """Say that a `list` or a `watch` failed, back off as the server asks, then do that."""
    memory = fail(memory, failed_phrase(what, failure), turn)
    return wait_then(memory, then, turn, least_wait_seconds(failure))


def refused(memory: Memory, verb: str, failure: Failure, then: Then, turn: Turn) -> Next:
    """403: told at once while there is nothing to show, else only when it stays."""
    before = memory.refusals
    since = before.since if before.count else turn.now
    refusals = Refusals(before.count + 1, since)
    memory = replace(memory, refusals=refusals)
    lasting = refusals.count >= FORBIDDEN_MIN_COUNT and turn.now - since >= FORBIDDEN_MIN_SECONDS
    hint = can_i(verb, turn.context.rules)
    phrase = failed_phrase(verb, failure)
    if lasting or not memory.listed:
        memory = turn.say(memory, "forbidden", phrase, hint)
    else:
        memory = fail(memory, phrase, turn, hint)
    return wait_then(memory, then, turn, forbidden_wait_seconds(refusals.count))


def doubt(memory: Memory, resume: ResourceVersion | None, turn: Turn) -> Next:
    """404: not served here and now. What is shown is unknown, not deleted."""
    memory = turn.say(memory, "unavailable", "the server does not serve this kind (404)")
    return CheckingDiscovery(memory, Doubt(resume)), AskDiscovery()


def after_doubt(memory: Memory, found: Doubt) -> Then:
    """What to try again once the kind is said to be served after all."""
    if found.resume is not None:
        return Resume(found.resume)
    return Relist("not-found") if memory.listed else First()


# -- private -------------------------------------------------------------------------------


def _watch_timeout(turn: Turn) -> int:
    return turn.context.random.randint(*WATCH_TIMEOUT_SECONDS)


def _next_audit(turn: Turn) -> float:
    between = turn.context.rules.relist_seconds
    return turn.now + between * (1 + AUDIT_SPREAD * turn.context.random.random())
