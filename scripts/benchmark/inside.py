"""What the daemon does with a change and with rows: latency, swap and render."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from random import Random
from statistics import quantiles

from prometheus_client.parser import text_string_to_metric_families

from orka.proto.messages import Kind, LiteObj, Truth
from orka.render import table as render_table
from scripts.benchmark.commands import BenchError
from scripts.benchmark.orka import Orka
from scripts.benchmark.rig import CERTIFICATES, NAMESPACES, OBJECTS, Measure, Rig, Sampler
from scripts.benchmark.table import MaxValue, Row, Sample

LINES, LINES_PER_SECOND = 300, 50.0  # apart enough that each is a batch of its own
BURST, BURST_PER_SECOND = 2000, 2000.0
ARRIVAL_SECONDS = 60.0  # a line that takes longer is lost
READ_BYTES = 1 << 16
DAY_SECONDS = 24 * 3600


class Lines:
    """The records of an `orkactl watch -o json`, each with the time at which it was read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def read(self) -> list[tuple[dict[str, object], int]]:
        """What has come; BenchError if nothing comes."""
        if not select.select([self._descriptor], [], [], ARRIVAL_SECONDS)[0]:
            raise BenchError(f"no line of orkactl watch for {ARRIVAL_SECONDS:g} s")
        chunk = os.read(self._descriptor, READ_BYTES)
        now = time.monotonic_ns()
        if not chunk:
            raise BenchError("orkactl watch has ended")
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [(json.loads(line), now) for line in lines]

    def until_synced(self) -> None:
        """Read up to where changes begin."""
        while not any(record["type"] == "SYNCED" for record, _ in self.read()):
            pass

    def added(self, count: int) -> dict[str, int]:
        """When each of the next so many objects came, by name."""
        came: dict[str, int] = {}
        while len(came) < count:
            came |= {str(record["name"]): now for record, now in self.read() if "name" in record}
        return came


class Fed:
    """A feeder, an orkad that watches it, and a client that watches orkad."""

    def __init__(self, orka: Orka, feeder: subprocess.Popen[str], lines: Lines) -> None:
        self._orka = orka
        self._feeder = feeder
        self._lines = lines

    def feed(self, count: int, per_second: float) -> list[float]:
        """Seconds from the API server's socket to the client's line, for so many new objects."""
        assert self._feeder.stdin is not None
        assert self._feeder.stdout is not None
        order = {"count": count, "per_second": per_second}
        self._feeder.stdin.write(json.dumps(order) + "\n")
        self._feeder.stdin.flush()
        came = self._lines.added(count)
        sent: dict[str, int] = json.loads(self._feeder.stdout.readline())
        return [(came[name] - at) / 1e9 for name, at in sent.items()]

    def lag_counts(self) -> dict[float, float]:
        """`ingest_lag_seconds`: how many batches took at most so many seconds, by upper bound."""
        text = self._orka.said("orkactl", "metrics")
        return {
            float(sample.labels["le"]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "ingest_lag_seconds_bucket"
        }


@contextmanager
def fed(rig: Rig, name: str) -> Iterator[Fed]:
    """All three processes, for the block."""
    orka = rig.orka(name)
    with _process(
        [sys.executable, "-m", "scripts.benchmark.feeder", str(orka.kubeconfig)]
    ) as feeder:
        assert feeder.stdout is not None
        if not feeder.stdout.readline():
            raise BenchError("the feeder did not start")
        watching = orka.argv("orkactl", "watch", CERTIFICATES, "-A", "-o", "json")
        with orka.daemon(), _process(watching, orka.environ) as watch:
            assert watch.stdout is not None
            lines = Lines(watch.stdout.fileno())
            lines.until_synced()
            yield Fed(orka, feeder, lines)


@contextmanager
def _process(
    argv: Sequence[str], environ: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        argv,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # Ctrl-C is for the bench, which then ends this one
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def latency(rig: Rig) -> Iterator[Sampler]:
    """One change at a time."""
    with fed(rig, "latency") as stream:

        def sample() -> tuple[Sample, ...]:
            percentiles = quantiles(stream.feed(LINES, LINES_PER_SECOND), n=100)
            return Sample(percentiles[49]), Sample(percentiles[98])

        yield sample


@contextmanager
def swap(rig: Rig) -> Iterator[Sampler]:
    """Many changes at once: how long the first of a batch waits for its snapshot."""
    with fed(rig, "swap") as stream:

        def sample() -> tuple[Sample, ...]:
            before = stream.lag_counts()
            stream.feed(BURST, BURST_PER_SECOND)
            return (Sample(slowest(before, stream.lag_counts())),)

        yield sample


def slowest(before: dict[float, float], after: dict[float, float]) -> float:
    """The upper bound of the highest bucket that grew, in seconds."""
    grown = {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
    total = grown.get(inf, 0.0)
    if not total:
        raise BenchError("orkad counted no batch during the burst")
    return min(bound for bound, count in grown.items() if count == total)


@contextmanager
def render(_rig: Rig) -> Iterator[Sampler]:
    """The daemon's own function, on rows as a cluster has them."""
    random, now = Random(7), time.time()  # noqa: S311 -- the same rows in every run
    rows = [
        LiteObj(
            random.randbytes(16),
            f"ns-{index * NAMESPACES // OBJECTS:02d}",
            f"load-{index:05d}",
            int(now) - random.randrange(60 * DAY_SECONDS),
            str(index),
        )
        for index in range(OBJECTS)
    ]
    kind = Kind("cert-manager.io", "v1", "Certificate", "certificates", namespaced=True)
    truth = Truth(kind, "bench", "", "default", "live", "", now, 0.0, True, OBJECTS, 0, "")

    def sample() -> tuple[Sample, ...]:
        began = time.perf_counter()
        size = sum(map(len, render_table.objects(truth, rows, now)))
        took = time.perf_counter() - began
        assert size > OBJECTS
        return (Sample(took),)

    yield sample


MEASURES = (
    Measure(
        "render",
        (Row("render", f"render of {OBJECTS} rows", "s", goal=MaxValue(0.030)),),
        render,
        needs_plane=False,
    ),
    Measure(
        "latency",
        (
            Row("latency-p50", "API socket to client's line, p50", "s"),
            Row("latency-p99", "API socket to client's line, p99", "s", goal=MaxValue(0.010)),
        ),
        latency,
        needs_plane=False,
    ),
    Measure(
        "swap",
        (
            Row(
                "swap",
                f"swap in a burst of {BURST_PER_SECOND:g}/s, at most",
                "s",
                goal=MaxValue(0.050),
            ),
        ),
        swap,
        needs_plane=False,
    ),
)
