"""What one kind's reflector is doing, one type a state, and what it remembers throughout.

A state holds only its own data and the `Memory` that outlives it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from orka.daemon.kube.backoff import Backoff
from orka.daemon.kube.errors import Failure
from orka.daemon.model import Delta, ResourceVersion, TruthChange
from orka.proto.messages import LiteObj

T = TypeVar("T")

# What client-go and kube-rs ask for, then smaller ones for servers that cannot finish a page
# within their 60 seconds.
PAGE_LIMITS = (500, 100, 25)

SyncPath = Literal["streaming", "pages"]

# -- what outlives a state -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusals:
    """403 answers in a row. One or two can come from a control plane that is being upgraded."""

    count: int = 0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one kind from state to state."""

    listed: bool = False  # a complete list was handed over: there is something to show
    truth: TruthChange | None = None  # as last said
    requests: Backoff = field(default_factory=Backoff)
    # Relists back off by themselves: a relist costs a server 10 to 100 times a resume, and the
    # first one after a cut must not wait because of the cut.
    relists: Backoff = field(default_factory=Backoff)
    audit_due_at: float = math.inf
    streaming: bool = True  # False for good once the server showed that it cannot
    streaming_failures: int = 0  # in a row
    sync_path: SyncPath | None = None  # the one that brought the last complete list
    page_limit: int = PAGE_LIMITS[0]
    refusals: Refusals = field(default_factory=Refusals)
    internal_since: float | None = None  # first of the InternalError events in a row
    puzzles: int = 0  # unknown events in a row, without progress between them
    short_watches: int = 0  # in a row
    last_failure: Failure | None = None

    def progressed(self) -> Memory:
        """An event was understood: what was counted in a row is no longer in a row."""
        if self.internal_since is None and not self.puzzles and not self.short_watches:
            return self
        return replace(self, internal_since=None, puzzles=0, short_watches=0)


@dataclass(frozen=True, slots=True)
class First:
    """A list because nothing is known yet."""


@dataclass(frozen=True, slots=True)
class Relist:
    """A list because changes were or may have been missed; `reason` is a metric's label."""

    reason: str


@dataclass(frozen=True, slots=True)
class Audit:
    """A list to check what the watch told; if it fails, the watch goes on from `resume`."""

    resume: ResourceVersion


Purpose = First | Relist | Audit


@dataclass(frozen=True, slots=True)
class Resume:
    """The watch again, from here."""

    resource_version: ResourceVersion


# Runs in order; see `staged`.
Staging = tuple[tuple[T, ...], ...]


def staged(runs: Staging[T], more: tuple[T, ...]) -> Staging[T]:
    """`runs` and then `more`: neighbours of like size are joined, so that n items cost n log n."""
    while runs and len(runs[-1]) <= len(more):
        more = runs[-1] + more
        runs = runs[:-1]
    return (*runs, more) if more else runs


def staged_count(runs: Staging[T]) -> int:
    """How many items the runs hold together."""
    return sum(map(len, runs))


# -- states --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Starting:
    """Nothing was asked of the server yet."""

    memory: Memory


@dataclass(frozen=True, slots=True)
class StreamingInitial:
    """A streaming list is asked for or arriving; its events are staged, nothing is shown."""

    memory: Memory
    purpose: Purpose
    started_at: float
    opened_at: float | None = None  # when the headers came
    staging: Staging[Delta] = ()


@dataclass(frozen=True, slots=True)
class ListingPages:
    """A page is asked for; those before it are staged, nothing is shown."""

    memory: Memory
    purpose: Purpose
    started_at: float
    limit: int | None  # None: the whole list as one page
    continue_token: str = ""
    resource_version: ResourceVersion | None = None  # of the first page; the others must agree
    staging: Staging[LiteObj] = ()
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Opening:
    """A watch from this resourceVersion is asked for; its headers are awaited."""

    memory: Memory
    resource_version: ResourceVersion


@dataclass(frozen=True, slots=True)
class Watching:
    """A watch is open.

    `resource_version` is that of the last event handed over, `previous_version` the last one
    before it that was another. `shared` is True once several events had the last one.
    """

    memory: Memory
    resource_version: ResourceVersion
    previous_version: ResourceVersion
    opened_at: float
    shared: bool = False
    frames: int = 0  # events and bookmarks

    def cut_version(self, *, expires: bool) -> ResourceVersion:
        """Where to resume when the watch is cut.

        Several changes can share one resourceVersion (objects with a common lease end
        together), and a resume from it would lose those that were not sent yet. The ones
        that then come again are no harm. `expires` says that objects of the kind have leases.
        """
        return self.previous_version if self.shared or expires else self.resource_version


@dataclass(frozen=True, slots=True)
class Doubt:
    """The collection answered 404. `resume` is None where only a list can follow."""

    resume: ResourceVersion | None
    absent_at: float | None = None  # when a complete discovery did not have the kind


@dataclass(frozen=True, slots=True)
class CheckingDiscovery:
    """Discovery is asked whether the kind still exists; objects are unknown, not deleted."""

    memory: Memory
    doubt: Doubt


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is asked of the server until the wait is over."""

    memory: Memory
    then: Then


@dataclass(frozen=True, slots=True)
class Gone:
    """The kind is no longer served; its path is left alone."""

    memory: Memory


AnyState = (
    Starting
    | StreamingInitial
    | ListingPages
    | Opening
    | Watching
    | CheckingDiscovery
    | Waiting
    | Gone
)

# What follows a wait: the watch, a list, the same page again, discovery again.
Then = Resume | Purpose | ListingPages | Doubt
