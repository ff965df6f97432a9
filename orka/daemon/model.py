"""What passes between the rooms of the daemon: resources, deltas, truth, and their sink.

`kube` produces these, `world` consumes them, and neither knows the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import Literal, NewType, Protocol

import msgspec
import trio

from orka.proto.messages import LiteObj

# Opaque token of the API server: equality only, never ordered or parsed.
ResourceVersion = NewType("ResourceVersion", str)

# (namespace, name) within one resource; the namespace is None for cluster-scoped kinds.
Key = tuple[str | None, str]

State = Literal[
    "syncing", "live", "stale", "resyncing", "flapping", "forbidden", "unavailable", "gone"
]

UID_BYTES = 16


def hashed_uid(text: str) -> bytes:
    """16 bytes for a uid that is no UUID, or for the key of an object that has none."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=UID_BYTES).digest()


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as one cluster serves it in one version; identity is (group, resource)."""

    group: str
    version: str
    kind: str
    resource: str  # plural, as in URLs
    namespaced: bool
    verbs: frozenset[str] = frozenset({"list", "watch"})
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    preferred: bool = True  # the version that `kubectl api-resources` would show
    crd: bool = False

    @property
    def group_resource(self) -> str:
        """`certificates.cert-manager.io`, or `pods` for the core group."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def group_version(self) -> str:
        """`cert-manager.io/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def gvk(self) -> str:
        """`cert-manager.io/v1/Certificate`, or `v1/Pod` for the core group."""
        return f"{self.group_version}/{self.kind}"

    @property
    def path(self) -> str:
        """The collection's URL path over all namespaces; never guessed from the kind."""
        root = "/apis" if self.group else "/api"
        return f"{root}/{self.group_version}/{self.resource}"

    @property
    def watchable(self) -> bool:
        """Both verbs that a reflector needs."""
        return {"list", "watch"} <= self.verbs


class DeltaKind(Enum):
    """The two things that can happen to an object."""

    APPLIED = "Applied"
    DELETED = "Deleted"


class Delta(msgspec.Struct, frozen=True, gc=False):
    """One object's change, as a watch event or a recorded line tells it."""

    uid: bytes
    kind: DeltaKind
    key: Key
    obj: LiteObj | None  # None only for a recorded deletion without a body
    clears: bool = False  # a deletion that leaves its key empty, whichever uid was there


@dataclass(frozen=True, slots=True)
class TruthChange:
    """A kind's new state, why, and what the user can do about it."""

    state: State
    reason: str
    hint: str | None = None


class Sink(Protocol):
    """Where a DeltaSource puts what it learns: sync, bounded, never blocks (promise P5)."""

    def push(self, deltas: Sequence[Delta], resource_version: ResourceVersion | None) -> int:
        """Queue a watch chunk's changes; returns how many queued ones were dropped for them.

        `resource_version` is that of the chunk's last event or bookmark (no deltas: a
        bookmark alone). A caller that is told of a drop must relist: the kind is dirty
        until the next `replace`.
        """

    def replace(self, objects: Sequence[LiteObj], resource_version: ResourceVersion) -> None:
        """A complete list: a barrier. What was queued before it is older and is dropped."""

    def truth(self, change: TruthChange) -> None:
        """The kind's state changed; readers are told in order with the data."""

    def alive(self) -> None:
        """The stream proved that it is alive just now."""

    def progress(self, objects: int) -> None:
        """So many objects of the list under way have arrived."""

    def quarantined(self, key: Key | None, why: str) -> None:
        """One object could not be understood: counted and logged; the kind lives on."""


class KindCounters(Protocol):
    """One kind's share of the metrics; `instruments.py` has the real ones and their names."""

    def inc(self, name: str, by: int = 1, **labels: str) -> None:
        """Add to a counter; `labels` beyond the kind's own, e.g. reason="expired"."""

    def set(self, name: str, value: float) -> None:
        """Set a gauge."""

    def observe(self, name: str, value: float) -> None:
        """Add one observation, in the unit that the name ends with."""


class DeltaSource(Protocol):
    """Feeds a sink until cancelled: a live reflector, or a recorded file."""

    async def run(self, sink: Sink) -> None:
        """Only cancellation ends a live source; a recorded one returns at its end."""

    def describe(self) -> dict[str, object]:
        """What `status` shows of it: `sync_path`, `form`, `last_failure`."""


@dataclass(slots=True)
class UpstreamLedger:
    """Requests made upstream, by verb and group-resource: what P6 is shown with."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def count(self, verb: str, group_resource: str) -> None:
        """One more request was sent."""
        self.counts[verb, group_resource] = self.counts.get((verb, group_resource), 0) + 1


class Clock(Protocol):
    """Wall and monotonic time, passed in; tests pass their own."""

    def wall(self) -> float:
        """Seconds since 1970 UTC."""

    def monotonic(self) -> float:
        """Seconds on trio's clock, so that virtual time reaches every age and deadline."""


class SystemClock:
    """The clock of a running daemon."""

    def wall(self) -> float:
        """Seconds since 1970 UTC."""
        import time  # noqa: PLC0415 -- the one place that reads it

        return time.time()

    def monotonic(self) -> float:
        """Trio's clock."""
        return trio.current_time()
