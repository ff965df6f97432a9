"""What became of each key between two epochs: recorded, merged for slow readers, seen by view.

A transition keeps only where a key started and where it ended, so merging is composition and
the usual coalescing table follows from it: ADD+MOD is ADD, ADD+DEL is nothing, MOD+DEL is DEL,
DEL+ADD is MOD for the same uid and REPL for another, REPL+DEL is DEL of the uid that was shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from orka.daemon.model import Key
from orka.proto.messages import Change, LiteObj

Cause = Literal["watch", "resync"]

# A reader that is behind by more than this is handed the whole snapshot instead, which by
# then is the smaller answer; at ~200 bytes a transition the journal holds at most ~20 MB.
JOURNAL_MAX_TRANSITIONS = 100_000
JOURNAL_MAX_EPOCHS = 4096


@dataclass(frozen=True, slots=True)
class Transition:
    """One key from `before` to `after`; None means absent. They are never both None."""

    before: LiteObj | None
    after: LiteObj | None
    inferred: bool  # the last step was found by a list, not seen as an event


Transitions = dict[Key, Transition]


def record(transitions: Transitions, key: Key, step: Transition) -> bool:
    """Compose one more step onto what is known of `key`; True if two steps became one or none."""
    earlier = transitions.get(key)
    if earlier is None:
        transitions[key] = step
        return False
    if earlier.before is None and step.after is None:
        del transitions[key]  # never shown, so its end is nobody's news
    else:
        transitions[key] = Transition(earlier.before, step.after, step.inferred)
    return True


def change_of(transition: Transition) -> Change:
    """The change a reader is told; a new uid under an old name is REPL, never MOD."""
    before, after = transition.before, transition.after
    if after is None:
        assert before is not None, "a transition from nothing to nothing is never recorded"
        return Change("DEL", before, transition.inferred)
    if before is None:
        return Change("ADD", after, transition.inferred)
    if before.uid == after.uid:
        return Change("MOD", after, transition.inferred)
    return Change("REPL", after, transition.inferred, before.uid)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one batch did: the transitions that led to `epoch`."""

    epoch: int
    cause: Cause
    transitions: Transitions


@dataclass(frozen=True, slots=True)
class Merged:
    """The changes of one view between two epochs, deletes first."""

    changes: list[Change]
    folded: int
    cause: Cause
    touched: bool  # something in the view changed, even if it changed back


class Journal:
    """The last batches of one lineage, bounded by epochs and by transitions."""

    def __init__(
        self,
        *,
        max_epochs: int = JOURNAL_MAX_EPOCHS,
        max_transitions: int = JOURNAL_MAX_TRANSITIONS,
    ) -> None:
        self._max_epochs = max_epochs
        self._max_transitions = max_transitions
        self._entries: deque[Entry] = deque()
        self._transitions = 0

    def __repr__(self) -> str:
        return f"<Journal epochs={len(self._entries)} transitions={self._transitions}>"

    def append(self, entry: Entry) -> None:
        """Remember a batch; the oldest are forgotten past the bounds."""
        self._entries.append(entry)
        self._transitions += len(entry.transitions)
        while self._transitions > self._max_transitions or len(self._entries) > self._max_epochs:
            self._transitions -= len(self._entries.popleft().transitions)

    def clear(self) -> None:
        """Forget everything: no earlier epoch can be bridged any more."""
        self._entries.clear()
        self._transitions = 0

    def after(self, epoch: int, now: int) -> list[Entry] | None:
        """The batches that lead from `epoch` to `now`, or None if one of them is forgotten."""
        missing = now - epoch
        if missing < 0 or missing > len(self._entries):
            return None
        return list(islice(self._entries, len(self._entries) - missing, None))


def merge(entries: Iterable[Entry], view: frozenset[str] | None) -> Merged:
    """Compose batches into one diff for a view; an object outside the view is never named."""
    merged: Transitions = {}
    touched = False
    folded = 0
    cause: Cause = "watch"
    for entry in entries:
        if entry.cause == "resync":
            cause = "resync"
        for key, transition in _within(entry.transitions, view):
            touched = True
            folded += record(merged, key, transition)
    changes = [change_of(transition) for transition in merged.values() if _tells(transition)]
    # A reader with little room frees it first; the order between keys carries no meaning.
    changes.sort(key=lambda change: change.op != "DEL")
    return Merged(changes, folded, cause, touched)


def _within(
    transitions: Transitions, view: frozenset[str] | None
) -> Iterator[tuple[Key, Transition]]:
    if view is None:
        yield from transitions.items()
    else:
        yield from ((key, step) for key, step in transitions.items() if (key[0] or "") in view)


def _tells(transition: Transition) -> bool:
    """False where a key came back to exactly what the reader already has."""
    before, after = transition.before, transition.after
    return (
        before is None
        or after is None
        or before.uid != after.uid
        or before.resource_version != after.resource_version
    )
