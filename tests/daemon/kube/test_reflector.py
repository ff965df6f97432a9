"""The reflector as a pure machine: its table of transitions, its tables of remedies, its words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import get_args

import pytest

from orka.daemon.kube import reflector, remedies
from orka.daemon.kube.errors import Failure, FailureKind
from orka.daemon.kube.events import Bookmark, Changes, Puzzle
from orka.daemon.kube.lines import Oversize
from orka.daemon.kube.machine import (
    AuditDue,
    Begin,
    Context,
    Count,
    DiscoverySays,
    EventsArrived,
    Failed,
    GetPage,
    Input,
    OpenInitialStream,
    OpenWatch,
    PageArrived,
    Push,
    RelistRequested,
    Rules,
    StreamEnded,
    StreamOpened,
    Wait,
    WaitOver,
)
from orka.daemon.kube.pages import Page
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
    Relist,
    Resume,
    Starting,
    StreamingInitial,
    Waiting,
    Watching,
    staged,
    staged_count,
)
from orka.daemon.model import ResourceVersion
from orka.daemon.objects import Malformed
from tests.support.builders import applied, deleted, lite

RV = ResourceVersion("7")
NOW = 1000.0
RULES = Rules("kind-dev", "things.example.io", 300.0)
CONTEXT = Context(NOW, Random(0), RULES)
HELD = Memory(listed=True)
MEMORIES = (
    Memory(),
    HELD,
    replace(HELD, streaming=False, short_watches=1),
    replace(HELD, short_watches=1, puzzles=1, internal_since=NOW - 40, streaming_failures=1),
    replace(HELD, relists=HELD.relists.failed(NOW, Random(0))[0]),
)
PURPOSES = (First(), Relist("expired"), Audit(RV))
FAILURES = tuple(Failure(kind, "said", code) for kind in FailureKind for code in (None, 500, 504))
CHANGES = Changes((applied(lite("a", rv="9")),), ResourceVersion("9"), {"ADDED": 1})


def states() -> Iterator[AnyState]:
    """Every state in many shapes."""
    for memory in MEMORIES:
        yield Starting(memory)
        for purpose in PURPOSES:
            yield StreamingInitial(memory, purpose, NOW - 1)
            yield StreamingInitial(memory, purpose, NOW - 50, opened_at=NOW - 45)
            yield ListingPages(memory, purpose, NOW - 50, 500)
            yield ListingPages(memory, purpose, NOW - 1, None, "token", RV)
            yield Waiting(memory, purpose)
        yield Opening(memory, RV)
        yield Watching(memory, RV, RV, NOW)
        yield Watching(memory, RV, RV, NOW - 100, frames=3)
        yield Waiting(memory, Resume(RV))
        yield Waiting(memory, ListingPages(memory, First(), NOW, 500))
        for absent_at in (None, NOW - 1, NOW - 5):
            yield Waiting(memory, Doubt(RV, absent_at))
            yield CheckingDiscovery(memory, Doubt(None, absent_at))
            yield CheckingDiscovery(memory, Doubt(RV, absent_at))
        yield Gone(memory)


def inputs() -> Iterator[Input]:
    """Every input in many shapes."""
    yield from (Begin(), StreamOpened(), WaitOver(), AuditDue(), RelistRequested("user"))
    yield from (DiscoverySays(served) for served in (True, False, None))
    yield from (StreamEnded(discarded) for discarded in (0, 3))
    yield from (Failed(failure) for failure in FAILURES)
    yield EventsArrived(())
    yield EventsArrived((CHANGES, Bookmark(ResourceVersion("10")), Bookmark(None)))
    yield EventsArrived((CHANGES, Bookmark(ResourceVersion("10"), initial_events_end=True)))
    yield EventsArrived((Malformed(None, "why"),))
    yield EventsArrived((Malformed(None, "why", RV), Malformed(None, "why", RV, lite())))
    yield from (EventsArrived((event,)) for event in (Oversize(), Puzzle("a thing")))
    yield from (EventsArrived((failure,)) for failure in FAILURES)
    for version in ("7", "8", ""):
        for token in ("", "more"):
            yield PageArrived(Page(ResourceVersion(version), token, (lite(),)))


def table() -> dict[tuple[str, str], set[str]]:
    """The table in the module's docstring."""
    rows: dict[tuple[str, str], set[str]] = {}
    pair = ("", "")
    assert reflector.__doc__ is not None
    for row in re.findall(
        r"^(\w+|\.\.)  +(?:(\w+)  +)?(\w[\w ]+)$", reflector.__doc__, re.MULTILINE
    ):
        state, given, following = row
        if state != "..":
            pair = (state, given)
        if state != "state":
            rows.setdefault(pair, set()).update(following.split())
    return rows


def test_the_table_of_transitions_is_what_the_code_does() -> None:
    """Each row leads exactly where it says; each pair without a row stays or is refused."""
    found = defaultdict[tuple[str, str], set[str]](set)
    for state in states():
        for given in inputs():
            pair = (type(state).__name__, type(given).__name__)
            try:
                step = reflector.step(state, given, CONTEXT)
            except ValueError:
                assert pair not in table()
                continue
            if pair in table():
                found[pair].add(type(step.state).__name__)
            else:
                assert (step.state, step.outputs, step.command) == (state, (), None)
                assert isinstance(given, AuditDue | RelistRequested)

    assert dict(found) == table()


def test_every_state_and_input_is_tried() -> None:
    """A new one must be added here, and to the table."""
    assert {type(state) for state in states()} == set(get_args(AnyState))
    assert {type(given) for given in inputs()} == set(get_args(Input))


@pytest.mark.parametrize("remedy", [remedies.WATCH, remedies.PAGE, remedies.STREAMING_LIST])
def test_every_failure_has_a_remedy(remedy: dict[FailureKind, remedies.Remedy]) -> None:
    """In each of the three tables."""
    assert set(remedy) == set(FailureKind)


def test_every_relist_has_its_words() -> None:
    """A reason is a label for metrics, and a phrase for people."""
    reasons = {
        output.reason
        for state in states()
        for given in inputs()
        if not isinstance(given, RelistRequested)
        for output in outputs_of(state, given)
        if output.name == "relist_total"
    }

    assert {"expired", "too-large", "storage-read", "audit", "short-watch"} <= reasons
    assert reasons <= set(remedies.RELIST_PHRASES)
    assert remedies.relist_phrase("user") == "relisting: user"


def outputs_of(state: AnyState, given: Input) -> Iterator[Count]:
    """What is counted in this step, if it can come."""
    try:
        step = reflector.step(state, given, CONTEXT)
    except ValueError:
        return
    yield from (output for output in step.outputs if isinstance(output, Count))


def test_no_step_asks_for_a_watch_from_nowhere_or_for_an_endless_wait() -> None:
    """Versions are never empty or "0", waits are positive and at most five minutes plus jitter."""
    for state in states():
        for given in inputs():
            try:
                command = reflector.step(state, given, CONTEXT).command
            except ValueError:
                continue
            match command:
                case OpenWatch(version, seconds):
                    assert version not in ("", "0")
                    assert 300 <= seconds <= 600
                case OpenInitialStream(seconds):
                    assert 300 <= seconds <= 600
                case Wait(seconds):
                    assert 0 < seconds <= 360
                case GetPage(limit, _, seconds):
                    assert limit in (500, 100, 25, None)
                    assert seconds in (75.0, 30.0)


def test_the_version_moves_only_with_what_is_pushed() -> None:
    """The state's resourceVersion is always that of the last push or replace of the step."""
    for state in states():
        for given in inputs():
            if not isinstance(state, Watching) or not isinstance(given, EventsArrived):
                continue
            step = reflector.step(state, given, CONTEXT)
            pushed = [output for output in step.outputs if isinstance(output, Push)]
            if isinstance(step.state, Watching):
                last = pushed[-1].resource_version if pushed else state.resource_version
                assert step.state.resource_version == last


def after(*runs: tuple[str, ...], expires: bool = False) -> str:
    """Where a cut behind these runs of versions resumes, on a watch from version 1."""
    one = ResourceVersion("1")
    rules = replace(RULES, group_resource="events") if expires else RULES
    context = replace(CONTEXT, rules=rules)
    state: AnyState = Watching(HELD, one, one, NOW - 100)
    for run in runs:
        deltas = tuple(deleted(lite(f"n{i}", rv=rv)) for i, rv in enumerate(run))
        changes = Changes(deltas, ResourceVersion(run[-1]), {"DELETED": len(run)})
        state = reflector.step(state, EventsArrived((changes,)), context).state
    cut = Failed(Failure(FailureKind.CUT, "reset"))
    waiting = reflector.step(state, cut, context).state
    assert isinstance(waiting, Waiting)
    assert isinstance(waiting.then, Resume)
    return waiting.then.resource_version


def test_a_cut_resumes_before_a_version_that_several_events_share() -> None:
    """However they were cut into chunks; else behind the last event."""
    assert after() == "1"
    assert after(("2",)) == "2"
    assert after(("2", "3")) == "3"
    assert after(("2", "3", "3")) == "2"
    assert after(("2", "3"), ("3",)) == "2"
    assert after(("2",), ("3", "3", "3")) == "2"
    assert after(("2",), ("3",), ("3",), ("3",)) == "2"
    assert after(("2", "2")) == "1"
    assert after(("3", "3"), ("4",)) == "4"


def test_objects_with_leases_always_resume_one_version_back() -> None:
    """The first of many deletes at one version looks like a single one."""
    assert after(("2",), ("3",), expires=True) == "2"
    assert after(expires=True) == "1"


def test_staging_keeps_order_and_joins_small_runs() -> None:
    """A thousand runs of one are few runs in the end."""
    runs: tuple[tuple[int, ...], ...] = ()
    for number in range(1000):
        runs = staged(runs, (number,))
    runs = staged(runs, ())

    assert [number for run in runs for number in run] == list(range(1000))
    assert (len(runs) <= 10, staged_count(runs)) == (True, 1000)


def test_hints_quote_what_a_shell_would_not_take() -> None:
    """A context name may hold anything."""
    assert remedies.can_i("list", replace(RULES, context="a b")).endswith(" --context 'a b'")
    assert remedies.can_i("list", replace(RULES, context="")) == (
        "kubectl auth can-i list things.example.io"
    )


def test_reasons_are_one_short_line() -> None:
    """Whatever a proxy answered."""
    phrase = remedies.failed_phrase("list", Failure(FailureKind.SERVER, "a\nb" * 5000, 500))

    assert phrase.startswith("list failed: 500: a ba ba b")
    assert (len(phrase) < 250, "\n" in phrase) == (True, False)


def test_an_input_that_cannot_come_is_a_bug() -> None:
    """It is refused loudly, and the state is in the message."""
    with pytest.raises(ValueError, match=r"PageArrived.*cannot come in Starting"):
        reflector.step(reflector.start(), PageArrived(Page(RV, "", ())), CONTEXT)
