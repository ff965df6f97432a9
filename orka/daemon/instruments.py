"""Counts and gauges of the whole daemon, and their Prometheus text."""

from __future__ import annotations

import logging

import trio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# One step of a task that takes longer than this holds up every other task.
SLOW_STEP_SECONDS = 0.020

_KIND = ("context", "kind")
# Upper bounds in seconds: the promise is 50 ms from the first change of a burst.
_LAG_BUCKETS = (0.001, 0.005, 0.010, 0.020, 0.050, 0.100, 0.250, 1.0)

logger = logging.getLogger("orka.instruments")


class Instruments:
    """The metrics of one daemon, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters = {
            name: Counter(name, text, labels, registry=self.registry)
            for name, text, labels in (
                (
                    "coalescer_dropped_total",
                    "Deltas dropped for want of room; each drop is healed by a relist.",
                    _KIND,
                ),
                (
                    "coalescer_folded_total",
                    "Deltas merged into a newer one of the same uid.",
                    _KIND,
                ),
                ("relist_total", "Full lists, by what made them necessary.", (*_KIND, "reason")),
                (
                    "relist_corrections_total",
                    "Changes found by a list that the watch had not brought.",
                    _KIND,
                ),
                ("watch_restarts_total", "Watches that ended, by why.", (*_KIND, "reason")),
                ("events_total", "Watch events, by type.", (*_KIND, "type")),
                ("quarantined_total", "Objects that could not be understood.", _KIND),
                ("upstream_requests_total", "Requests to the API server.", (*_KIND, "verb")),
            )
        }
        self._gauges = {
            name: Gauge(name, text, _KIND, registry=self.registry)
            for name, text in (
                ("coalescer_len", "Deltas waiting to be applied."),
                ("snapshot_objects", "Objects in the newest snapshot."),
            )
        }
        self._histograms = {
            "ingest_lag_seconds": Histogram(
                "ingest_lag_seconds",
                "From the first change of a batch until its snapshot is published.",
                _KIND,
                buckets=_LAG_BUCKETS,
                registry=self.registry,
            )
        }
        self.clients = Gauge("clients", "Connected clients.", registry=self.registry)
        self.watchers = Gauge("watchers", "Watches served.", _KIND, registry=self.registry)
        self.slow_steps = Counter(
            "slow_steps_total",
            "Task steps that held the loop for more than 20 ms.",
            registry=self.registry,
        )

    def kind(self, context: str, kind: str) -> BoundCounters:
        """The share of one kind; its dropped and queued figures are there from the start."""
        bound = BoundCounters(self, context, kind)
        bound.inc("coalescer_dropped_total", 0)
        bound.set("coalescer_len", 0)
        return bound

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)


class BoundCounters:
    """Implements `model.KindCounters` on the registry."""

    def __init__(self, instruments: Instruments, context: str, kind: str) -> None:
        self._counters = instruments._counters  # noqa: SLF001 -- two halves of one module
        self._gauges = instruments._gauges  # noqa: SLF001
        self._histograms = instruments._histograms  # noqa: SLF001
        self._labels = {"context": context, "kind": kind}

    def inc(self, name: str, by: int = 1, **labels: str) -> None:
        """See `model.KindCounters`."""
        self._counters[name].labels(**self._labels, **labels).inc(by)

    def set(self, name: str, value: float) -> None:
        """See `model.KindCounters`."""
        self._gauges[name].labels(**self._labels).set(value)

    def observe(self, name: str, value: float) -> None:
        """See `model.KindCounters`."""
        self._histograms[name].labels(**self._labels).observe(value)


class StepWatch(trio.abc.Instrument):
    """Warns of task steps that hold the loop too long: they delay every socket (promise P5)."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._began = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Note the time."""
        del task
        self._began = trio.current_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Compare."""
        took = trio.current_time() - self._began
        if took > SLOW_STEP_SECONDS:
            self._instruments.slow_steps.inc()
            logger.info("slow step task=%s ms=%.0f", task.name, took * 1000)
