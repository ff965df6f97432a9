"""What the reflector hears and says, as types: inputs, outputs and commands of one step.

A step has at most one command: what the driver does next. It ends whatever the driver was
doing, an open stream too; a step without a command leaves the driver at what it does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from orka.daemon.kube.errors import Failure
from orka.daemon.kube.events import Event
from orka.daemon.kube.pages import Page
from orka.daemon.kube.states import AnyState, Memory
from orka.daemon.model import (
    Delta,
    Key,
    ResourceVersion,
    TruthChange,
)
from orka.daemon.model import State as TruthState
from orka.proto.messages import LiteObj

# -- what a step is given beside the state and the input ------------------------------------


@dataclass(frozen=True, slots=True)
class Rules:
    """What stays the same for one kind as long as it is watched."""

    context: str  # the kubeconfig's, for hints
    group_resource: str
    relist_seconds: float  # between audits; inf: never

    @property
    def expires(self) -> bool:
        """Objects with a lease: up to a thousand are deleted at one resourceVersion."""
        return self.group_resource in ("events", "events.events.k8s.io")


@dataclass(frozen=True, slots=True)
class Context:
    """The outside of one step: the monotonic time, chance, and the rules."""

    now: float
    random: Random
    rules: Rules


# -- inputs --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The driver runs."""


@dataclass(frozen=True, slots=True)
class PageArrived:
    """One whole page of the list that was asked for."""

    page: Page


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """200 and the right content type: a watch or streaming list is open."""


@dataclass(frozen=True, slots=True)
class EventsArrived:
    """Events of the open stream, in order."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The body ended as HTTP says it should, with so many bytes of a begun line."""

    discarded_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """The request under way failed, or its deadline passed."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class WaitOver:
    """The time that was to be waited has passed."""


@dataclass(frozen=True, slots=True)
class AuditDue:
    """It is time to check what the watch told against a list."""


@dataclass(frozen=True, slots=True)
class RelistRequested:
    """Somebody needs a list: the queue dropped a delta, or the user asked."""

    reason: str


@dataclass(frozen=True, slots=True)
class DiscoverySays:
    """Whether discovery lists the kind; None when its part of discovery could not be read."""

    served: bool | None


Input = (
    Begin
    | PageArrived
    | StreamOpened
    | EventsArrived
    | StreamEnded
    | Failed
    | WaitOver
    | AuditDue
    | RelistRequested
    | DiscoverySays
)

# -- outputs: done at once, in order -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Push:
    """`Sink.push`. The step that says this has already moved its resourceVersion behind it."""

    deltas: tuple[Delta, ...]
    resource_version: ResourceVersion


@dataclass(frozen=True, slots=True)
class Replace:
    """`Sink.replace`."""

    objects: tuple[LiteObj, ...]
    resource_version: ResourceVersion


@dataclass(frozen=True, slots=True)
class Truth:
    """`Sink.truth`."""

    change: TruthChange


@dataclass(frozen=True, slots=True)
class Alive:
    """`Sink.alive`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`Sink.progress`."""

    objects: int


@dataclass(frozen=True, slots=True)
class Quarantine:
    """`Sink.quarantined`."""

    key: Key | None
    why: str


@dataclass(frozen=True, slots=True)
class Count:
    """`KindCounters.inc` by one, with this label."""

    name: str
    reason: str


Output = Push | Replace | Truth | Alive | Progress | Quarantine | Count

# -- commands: what the driver does next ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class GetPage:
    """One GET of the collection, resourceVersion unset."""

    limit: int | None
    continue_token: str
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class OpenInitialStream:
    """A streaming list that goes on as a watch."""

    timeout_seconds: int


@dataclass(frozen=True, slots=True)
class OpenWatch:
    """A watch; the resourceVersion is never empty and never "0"."""

    resource_version: ResourceVersion
    timeout_seconds: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask nothing for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AskDiscovery:
    """Ask an uncached discovery whether the kind is served."""


Command = GetPage | OpenInitialStream | OpenWatch | Wait | AskDiscovery


@dataclass(frozen=True, slots=True)
class Step:
    """The state after an input, what to do at once, and what to do next (None: go on)."""

    state: AnyState
    outputs: tuple[Output, ...]
    command: Command | None


@dataclass(slots=True)
class Turn:
    """One step while it is being made: the outside, and what was said so far."""

    context: Context
    outputs: list[Output] = field(default_factory=list)

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self.context.now

    def emit(self, *outputs: Output) -> None:
        """Say these, after what was said before."""
        self.outputs.extend(outputs)

    def say(
        self, memory: Memory, state: TruthState, reason: str, hint: str | None = None
    ) -> Memory:
        """Tell the truth, unless it is what was told last."""
        change = TruthChange(state, reason, hint)
        if change == memory.truth:
            return memory
        self.emit(Truth(change))
        return replace(memory, truth=change)


Next = tuple[AnyState, Command | None]
