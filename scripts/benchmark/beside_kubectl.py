"""Whole processes on the real control plane: orkactl and orkad beside kubectl and client-go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from scripts.benchmark.commands import BenchError, Timed, settle
from scripts.benchmark.rig import CERTIFICATES, FEW, FEW_NAMESPACE, OBJECTS, Measure, Rig, Sampler
from scripts.benchmark.table import MaxRatio, MaxValue, Row, Sample

ALL = (CERTIFICATES, "-A")
ALL_LINES = OBJECTS + 1  # with the header
SOME = ("configmaps", "-n", FEW_NAMESPACE)


@contextmanager
def ls(rig: Rig) -> Iterator[Sampler]:
    """All objects, of a daemon that has them."""
    orka = rig.orka_on_plane("ls")
    with orka.daemon():
        ours = orka.timed("orkactl", "ls", *ALL, lines=ALL_LINES)
        theirs = rig.kubectl("get", *ALL, lines=ALL_LINES)
        ours.seconds()  # waits for the first sync
        yield lambda: (in_turn(ours, theirs),)


@contextmanager
def small(rig: Rig) -> Iterator[Sampler]:
    """A handful of objects: what starting a process costs."""
    orka = rig.orka_on_plane("small")
    with orka.daemon():
        ours = orka.timed("orkactl", "ls", *SOME, lines=FEW + 1)
        theirs = rig.kubectl("get", *SOME, lines=FEW + 1)
        ours.seconds()
        yield lambda: (in_turn(ours, theirs),)


def in_turn(ours: Timed, theirs: Timed) -> Sample:
    """Both, neither disturbed by the other."""
    settle()
    orka = ours.seconds()
    settle()
    return Sample(orka, theirs.seconds())


@contextmanager
def sync(rig: Rig) -> Iterator[Sampler]:
    """A daemon that knows nothing, from its start to its first answer; each sample is a new one."""
    orka = rig.orka_on_plane("sync")
    logging = ("--log=info,orka.kube=debug", "--log-format=json")
    start = orka.timed("orkad", "--background", *logging, lines=1)
    first = orka.timed("orkactl", "ls", *ALL, lines=ALL_LINES)
    theirs = rig.kubectl("get", *ALL, lines=ALL_LINES)

    def sample() -> tuple[Sample, ...]:
        settle()
        started = start.seconds()
        try:
            answered = started + first.seconds()
            status = json.loads(orka.said("orkactl", "status", "-o", "json"))
        finally:
            orka.said("orkactl", "stop")
        settle()
        informer = rig.plane.informer()
        settle()
        return (
            Sample(sync_seconds(orka.log), informer["synced_seconds"]),
            Sample(status["daemon"]["rss_bytes"], informer["rss_bytes"]),
            Sample(answered, theirs.seconds()),
        )

    yield sample


def sync_seconds(log: Path) -> float:
    """From the reflector's first request to the first live snapshot, as orkad's log has them.

    client-go's informer measures the same span: discovery done, connected to nothing yet.
    """
    kind = f"kind={CERTIFICATES} "
    times: dict[str, datetime] = {}
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        for what in (f"state {kind}", f"truth {kind}state=live "):
            if entry["message"].startswith(what):
                times.setdefault(what, datetime.fromisoformat(entry["time"]))
    if len(times) < 2:
        raise BenchError(f"{log} does not say when the first sync began and ended")
    return (max(times.values()) - min(times.values())).total_seconds()


MEASURES = (
    Measure(
        "ls",
        (Row("ls", f"ls of {OBJECTS}, whole process", "s", "kubectl get -A", MaxRatio(1 / 8)),),
        ls,
        needs_plane=True,
    ),
    Measure(
        "small",
        (Row("small", f"ls of {FEW}, whole process", "s", "kubectl get"),),
        small,
        needs_plane=True,
    ),
    Measure(
        "sync",
        (
            Row("sync", f"cold sync of {OBJECTS}, request to live", "s", "informer", MaxRatio(1.5)),
            Row("rss", f"memory of orkad with {OBJECTS}", "B", "informer", MaxValue(60e6)),
            Row("start", f"orkad start to first ls of {OBJECTS}", "s", "kubectl get -A"),
        ),
        sync,
        needs_plane=True,
    ),
)
