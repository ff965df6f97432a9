"""One kind's list and watch as a machine: (state, input) to the next state, outputs and a command.

Pure: no I/O, clock or chance of its own. `step` is the whole machine; listing.py and watching.py
say what lists and watches bring, remedies.py what each failure is answered with, moves.py what
several states do alike. A row with several states to the right says what may follow, by what the
input holds. A pair that has no row leaves the state as it is, or is a bug (see `step`).

=================  ===============  ==========================================================
state              input            next
=================  ===============  ==========================================================
Starting           Begin            StreamingInitial ListingPages
StreamingInitial   StreamOpened     StreamingInitial
StreamingInitial   EventsArrived    StreamingInitial Watching ListingPages Opening Waiting
..                                  CheckingDiscovery
StreamingInitial   StreamEnded      ListingPages Opening
StreamingInitial   Failed           StreamingInitial ListingPages Opening Waiting
..                                  CheckingDiscovery
ListingPages       PageArrived      ListingPages Opening Waiting
ListingPages       Failed           ListingPages Opening Waiting CheckingDiscovery
Opening            StreamOpened     Watching
Opening            Failed           Opening Waiting StreamingInitial ListingPages
..                                  CheckingDiscovery
Opening            RelistRequested  StreamingInitial ListingPages Waiting
Watching           EventsArrived    Watching Opening Waiting StreamingInitial ListingPages
..                                  CheckingDiscovery
Watching           StreamEnded      Opening Waiting StreamingInitial ListingPages
Watching           Failed           Opening Waiting StreamingInitial ListingPages
..                                  CheckingDiscovery
Watching           AuditDue         StreamingInitial ListingPages
Watching           RelistRequested  StreamingInitial ListingPages Waiting
Waiting            WaitOver         Opening StreamingInitial ListingPages CheckingDiscovery
Waiting            RelistRequested  StreamingInitial ListingPages Waiting
CheckingDiscovery  DiscoverySays    Waiting Gone
CheckingDiscovery  RelistRequested  CheckingDiscovery
Gone               WaitOver         Gone
Gone               DiscoverySays    Gone StreamingInitial ListingPages
Gone               RelistRequested  Gone
=================  ===============  ==========================================================
"""

from __future__ import annotations

from dataclasses import replace

from orka.daemon.kube import listing, watching
from orka.daemon.kube.machine import (
    AskDiscovery,
    AuditDue,
    Begin,
    Context,
    DiscoverySays,
    EventsArrived,
    Failed,
    Input,
    Next,
    PageArrived,
    RelistRequested,
    Replace,
    Step,
    StreamEnded,
    StreamOpened,
    Turn,
    Wait,
    WaitOver,
)
from orka.daemon.kube.moves import (
    DISCOVERY_APART_SECONDS,
    LAGGING_REPLICA_SECONDS,
    after_doubt,
    get_page,
    list_now,
    open_watch,
    opened,
    relist,
    wait_then,
)
from orka.daemon.kube.states import (
    AnyState,
    Audit,
    CheckingDiscovery,
    Doubt,
    First,
    Gone,
    ListingPages,
    Memory,
    Opening,
    Resume,
    Starting,
    StreamingInitial,
    Waiting,
    Watching,
)
from orka.daemon.model import ResourceVersion

# How often a kind that is gone is looked for in discovery; its own path is left alone.
GONE_CHECK_SECONDS = 60.0


def start() -> Starting:
    """The state before anything was asked."""
    return Starting(Memory())


def step(state: AnyState, given: Input, context: Context) -> Step:
    """What follows from one input. Raises ValueError for an input that cannot come here."""
    turn = Turn(context)
    following, command = _next(state, given, turn)
    return Step(following, tuple(turn.outputs), command)


def _next(state: AnyState, given: Input, turn: Turn) -> Next:
    match state, given:
        case Starting(), Begin():
            memory = turn.say(state.memory, "syncing", "the first list is under way")
            return list_now(memory, First(), turn)

        case StreamingInitial(), StreamOpened():
            return replace(state, opened_at=turn.now), None
        case StreamingInitial(), EventsArrived(events):
            return listing.take_initial(state, events, turn)
        case StreamingInitial(), StreamEnded():
            return listing.initial_ended(state, turn)
        case StreamingInitial(), Failed(failure):
            return listing.stream_failed(state, failure, turn)

        case ListingPages(), PageArrived(page):
            return listing.take_page(state, page, turn)
        case ListingPages(), Failed(failure):
            return listing.page_failed(state, failure, turn)

        case Opening(), StreamOpened():
            version = state.resource_version
            return Watching(opened(state.memory, turn), version, version, turn.now), None
        case Opening(), Failed(failure):
            return watching.broken(state.memory, state.resource_version, failure, turn)

        case Watching(), EventsArrived(events):
            return watching.take_events(state, events, turn)
        case Watching(), StreamEnded(discarded_bytes):
            return watching.ended(state, discarded_bytes, turn)
        case Watching(), Failed(failure):
            return watching.cut(state, failure, turn)
        case Watching(), AuditDue():
            return list_now(state.memory, Audit(state.resource_version), turn)

        case ((Opening() | Watching()), RelistRequested(reason)):
            return relist(state.memory, reason, turn)
        case Waiting(then=Resume()), RelistRequested(reason):
            return relist(state.memory, reason, turn)
        case Waiting(), WaitOver():
            return _after_wait(state, turn)

        case CheckingDiscovery(), DiscoverySays(served):
            return _discovered(state, turn, served=served)
        case CheckingDiscovery(), RelistRequested():
            return replace(state, doubt=replace(state.doubt, resume=None)), None
        case Waiting(then=Doubt() as found), RelistRequested():
            return replace(state, then=replace(found, resume=None)), None

        case Gone(), WaitOver():
            return state, AskDiscovery()
        case Gone(), RelistRequested():
            return state, AskDiscovery()
        case Gone(), DiscoverySays(served=True):
            memory = turn.say(state.memory, "syncing", "the kind is served again")
            return list_now(memory, First(), turn)
        case Gone(), DiscoverySays():
            return state, Wait(GONE_CHECK_SECONDS)

        case _, RelistRequested() | AuditDue():
            return state, None  # a list is under way or will be, and serves as well
    raise ValueError(f"{given!r} cannot come in {state!r}")


def _after_wait(waiting: Waiting, turn: Turn) -> Next:
    match waiting.then:
        case Resume(version):
            return open_watch(waiting.memory, version, turn)
        case ListingPages() as pages:
            return get_page(replace(pages, memory=waiting.memory))
        case Doubt() as found:
            return CheckingDiscovery(waiting.memory, found), AskDiscovery()
        case purpose:
            return list_now(waiting.memory, purpose, turn)


def _discovered(checking: CheckingDiscovery, turn: Turn, *, served: bool | None) -> Next:
    """Only two complete answers without the kind, some seconds apart, mean that it is gone."""
    memory, found = checking.memory, checking.doubt
    if served is None or served:
        then = after_doubt(memory, found)
        return wait_then(memory, then, turn, LAGGING_REPLICA_SECONDS)
    if found.absent_at is None:
        again = replace(found, absent_at=turn.now)
        return Waiting(memory, again), Wait(DISCOVERY_APART_SECONDS)
    if turn.now - found.absent_at < DISCOVERY_APART_SECONDS:
        return Waiting(memory, found), Wait(found.absent_at + DISCOVERY_APART_SECONDS - turn.now)
    return _gone(memory, turn)


def _gone(memory: Memory, turn: Turn) -> Next:
    """Every object that is shown ends now, as the kind did."""
    if memory.listed:
        turn.emit(Replace((), ResourceVersion("")))
    memory = turn.say(memory, "gone", "kind-removed: the server no longer serves this kind")
    gone = Memory(truth=memory.truth, streaming=memory.streaming, sync_path=memory.sync_path)
    return Gone(gone), Wait(GONE_CHECK_SECONDS)
