"""What an open watch brings, turned into pushes, and into what to do when it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from orka.daemon.kube import remedies
from orka.daemon.kube.errors import Failure, FailureKind
from orka.daemon.kube.events import Bookmark, Changes, Event, Puzzle, version_of
from orka.daemon.kube.lines import Oversize
from orka.daemon.kube.machine import Alive, Next, Push, Quarantine, Turn
from orka.daemon.kube.moves import (
    doubt,
    fail,
    open_watch,
    refused,
    relist,
    restarted,
    retry,
    wait_then,
)
from orka.daemon.kube.remedies import UNSUPPORTED_SECONDS, Remedy, failed_phrase
from orka.daemon.kube.states import Memory, Relist, Resume, Watching
from orka.daemon.model import ResourceVersion
from orka.daemon.objects import Malformed

# A watch that ends at once without an event is how some servers hide that a resourceVersion
# has expired (kubernetes/kubernetes#104171).
SHORT_WATCH_SECONDS = 1.0
SHORT_WATCHES_MAX = 2  # in a row: the second is believed
# An InternalError event may pass; the API server's own clients give it this long.
INTERNAL_SECONDS = 30.0
PUZZLES_MAX = 2  # in a row: the second is believed


def take_events(watch: Watching, events: Sequence[Event], turn: Turn) -> Next:
    """Push what changed, move the resourceVersion behind it, and stop at what ends the watch."""
    understood = watch.frames
    for event in events:
        match event:
            case Changes():
                watch = _take_changes(watch, event, turn)
            case Bookmark():
                watch = _take_bookmark(watch, event, turn)
            case Malformed(resource_version=None):
                turn.emit(Quarantine(event.key, event.why))
                return _stop_for_list(watch, "malformed", turn)
            case Malformed():
                watch = _take_malformed(watch, event, turn)
            case Oversize():
                return _stop_for_list(watch, "oversize", turn)
            case Puzzle():
                return _take_puzzle(watch, event, turn)
            case failure:
                return _error_event(watch, failure, turn)
    if watch.frames > understood:
        turn.emit(Alive())
    return watch, None


def ended(watch: Watching, discarded_bytes: int, turn: Turn) -> Next:
    """The body ended properly: the normal end of a watch, if it was one."""
    if discarded_bytes:
        message = f"the body ended inside an event, {discarded_bytes} bytes are dropped"
        return cut(watch, Failure(FailureKind.CUT, message), turn)
    lasted_seconds = turn.now - watch.opened_at
    if lasted_seconds >= SHORT_WATCH_SECONDS:
        restarted("closed", turn)
        memory = replace(watch.memory, short_watches=0)
        return open_watch(memory, watch.resource_version, turn)
    short_watches = 0 if watch.frames else watch.memory.short_watches + 1
    memory = replace(watch.memory, short_watches=short_watches)
    if short_watches >= SHORT_WATCHES_MAX:
        return _stop_for_list(replace(watch, memory=memory), "short-watch", turn)
    restarted("short", turn)
    memory = fail(memory, "the watch ended at once", turn)
    return wait_then(memory, Resume(watch.resource_version), turn)


def cut(watch: Watching, failure: Failure, turn: Turn) -> Next:
    """The watch broke, perhaps among events that belong together."""
    version = watch.cut_version(expires=turn.context.rules.expires)
    return broken(watch.memory, version, failure, turn)


def broken(memory: Memory, version: ResourceVersion, failure: Failure, turn: Turn) -> Next:
    """A watch from `version` could not be opened, or broke; see the table of remedies."""
    restarted(failure.kind.value, turn)
    remedy = remedies.WATCH[failure.kind]
    if remedy is Remedy.AT_ONCE:  # our own doing: nothing failed, and nothing is told
        return open_watch(memory, version, turn)
    memory = replace(memory, last_failure=failure)
    match remedy:
        case Remedy.RELIST:
            return relist(memory, failure.kind.value, turn, failure.retry_after_seconds or 0.0)
        case Remedy.ANEW_SLOWLY:
            memory = fail(memory, failed_phrase("watch", failure), turn)
            return wait_then(memory, Relist("unsupported"), turn, UNSUPPORTED_SECONDS)
        case Remedy.FORBIDDEN:
            return refused(memory, "watch", failure, Resume(version), turn)
        case Remedy.CHECK_DISCOVERY:
            return doubt(memory, version, turn)
        case _:
            return retry(memory, "watch", failure, Resume(version), turn)


def _take_changes(watch: Watching, changes: Changes, turn: Turn) -> Watching:
    turn.emit(Push(changes.deltas, changes.resource_version))
    last = changes.resource_version
    versions = map(version_of, reversed(changes.deltas))
    sharing = sum(1 for _ in takewhile(lambda version: version == last, versions))
    if sharing < len(changes.deltas):
        previous = version_of(changes.deltas[-1 - sharing])
    else:
        previous = watch.resource_version
    watch = replace(watch, memory=watch.memory.progressed())
    return _moved(watch, last, previous, sharing=sharing, frames=len(changes.deltas))


def _moved(
    watch: Watching,
    version: ResourceVersion,
    previous: ResourceVersion,
    *,
    sharing: int,
    frames: int,
) -> Watching:
    """Behind so many more events, the last `sharing` of which had this version."""
    if previous == version:  # they go on with the version that came before them
        previous, sharing = watch.previous_version, sharing + 1
    return replace(
        watch,
        resource_version=version,
        previous_version=previous,
        shared=sharing > 1,
        frames=watch.frames + frames,
    )


def _take_bookmark(watch: Watching, bookmark: Bookmark, turn: Turn) -> Watching:
    """Everything up to a bookmark was sent, so a cut after it loses nothing."""
    version = bookmark.resource_version
    if version is None:
        return watch
    turn.emit(Push((), version))
    return replace(
        watch,
        memory=watch.memory.progressed(),
        resource_version=version,
        previous_version=version,
        shared=False,
        frames=watch.frames + 1,
    )


def _take_malformed(watch: Watching, malformed: Malformed, turn: Turn) -> Watching:
    """One object set aside; the stream goes on behind it."""
    turn.emit(Quarantine(malformed.key, malformed.why))
    version = malformed.resource_version
    assert version is not None
    if malformed.obj is not None:
        return watch  # what could be read of it follows as a change of its own
    turn.emit(Push((), version))
    return _moved(watch, version, watch.resource_version, sharing=1, frames=1)


def _take_puzzle(watch: Watching, puzzle: Puzzle, turn: Turn) -> Next:
    """Not behind it: it may be a change. It comes again, and then a list must tell."""
    memory = replace(watch.memory, puzzles=watch.memory.puzzles + 1)
    if memory.puzzles >= PUZZLES_MAX:
        return _stop_for_list(replace(watch, memory=memory), "unknown-event", turn)
    restarted("unknown-event", turn)
    memory = fail(memory, f"the watch sent {puzzle.why}", turn)
    return wait_then(memory, Resume(watch.resource_version), turn)


def _error_event(watch: Watching, failure: Failure, turn: Turn) -> Next:
    """An ERROR event: the same as the HTTP status, except that 500 is not retried for ever."""
    memory = watch.memory
    if failure.kind is FailureKind.SERVER:
        since = memory.internal_since if memory.internal_since is not None else turn.now
        if turn.now - since > INTERNAL_SECONDS:
            memory = replace(memory, last_failure=failure)
            return _stop_for_list(replace(watch, memory=memory), "internal-error", turn)
        memory = replace(memory, internal_since=since)
    return broken(memory, watch.resource_version, failure, turn)


def _stop_for_list(watch: Watching, reason: str, turn: Turn) -> Next:
    restarted(reason, turn)
    return relist(watch.memory, reason, turn)
