"""Samples become medians, ratios and verdicts, in a table and in JSON."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path

import pytest

from scripts.benchmark.beside_kubectl import sync_seconds
from scripts.benchmark.commands import BenchError
from scripts.benchmark.inside import slowest
from scripts.benchmark.table import MaxRatio, MaxValue, Result, Row, Sample, document, table

BESIDE = Row("ls", "ls of 5000", "s", "kubectl get", MaxRatio(0.125))
ALONE = Row("rss", "memory", "B", goal=MaxValue(60e6))
ORIENTATION = Row("start", "start", "s", "kubectl get")


def test_a_ratio_is_taken_run_by_run() -> None:
    """A slow moment of the machine, which both sides feel, changes no ratio."""
    result = Result(BESIDE, [Sample(0.1, 1.0), Sample(0.5, 5.0), Sample(0.3, 2.0)])

    assert result.ratio is not None
    assert (result.ratio.median, result.ratio.min, result.ratio.max) == (0.1, 0.1, 0.15)
    assert result.orka.median == 0.3
    assert result.met is True


@pytest.mark.parametrize(
    ("row", "sample", "met"),
    [
        (BESIDE, Sample(0.13, 1.0), False),
        (ALONE, Sample(60e6), True),
        (ALONE, Sample(61e6), False),
        (ORIENTATION, Sample(1.0, 1.0), None),
    ],
)
def test_a_goal_is_of_the_ratio_or_of_the_value(
    row: Row,
    sample: Sample,
    met: bool | None,
) -> None:
    """And a row without one gets no verdict."""
    assert Result(row, [sample]).met is met


def test_the_table_shows_what_was_reached_beside_what_was_wanted() -> None:
    """One aligned line for each row, without blanks at its end."""
    shown = table(
        [
            Result(BESIDE, [Sample(0.1, 1.0)]),
            Result(ALONE, [Sample(61e6)]),
            Result(ORIENTATION, [Sample(1.2345, 0.9)]),
        ]
    )

    assert shown.splitlines() == [
        "WHAT        ORKA     PEER                RATIO  MIN      MAX      GOAL",
        "ls of 5000  100 ms   1.00 s kubectl get  0.1x   0.1x     0.1x     <= 0.125x   met",
        "memory      61.0 MB  -                   -      61.0 MB  61.0 MB  <= 60.0 MB  MISSED",
        "start       1.23 s   900 ms kubectl get  1.37x  1.37x    1.37x    -",
    ]


def test_the_document_has_every_sample() -> None:
    """JSON is for whoever wants to judge for himself."""
    (row,) = json.loads(json.dumps(document([Result(BESIDE, [Sample(0.1, 1.0)])], {})))["rows"]

    assert row["samples"] == [[0.1, 1.0]]
    assert row["ratio"] == {"median": 0.1, "min": 0.1, "max": 0.1}
    assert (row["goal"], row["met"]) == ({"of": "ratio", "max": 0.125}, True)


def test_the_slowest_swap_is_the_bound_of_the_highest_bucket_that_grew() -> None:
    """Batches before the burst do not count."""
    before = {0.01: 3.0, 0.05: 4.0, 0.1: 5.0, inf: 5.0}

    assert slowest(before, {0.01: 9.0, 0.05: 14.0, 0.1: 15.0, inf: 15.0}) == 0.05
    assert slowest(before, {0.01: 9.0, 0.05: 14.0, 0.1: 15.0, inf: 16.0}) == inf
    with pytest.raises(BenchError, match="no batch"):
        slowest(before, before)


def test_a_sync_is_what_the_log_says_of_its_first_request_and_its_first_live_snapshot(
    tmp_path: Path,
) -> None:
    """Later states of the kind, and other kinds, are something else."""
    kind = "certificates.cert-manager.io"
    log = tmp_path / "orkad.log"
    entries = [
        ("2026-11-24T10:00:00.100Z", "serving socket=/s"),
        ("2026-11-24T10:00:01.000Z", f"state kind={kind} now=<StreamingInitial>"),
        ("2026-11-24T10:00:01.001Z", f"truth kind={kind} state=syncing reason=''"),
        ("2026-11-24T10:00:01.200Z", "truth kind=pods state=live reason=''"),
        ("2026-11-24T10:00:01.250Z", f"state kind={kind} now=<Watching>"),
        ("2026-11-24T10:00:01.260Z", f"truth kind={kind} state=live reason=''"),
        ("2026-11-24T10:00:09.000Z", f"truth kind={kind} state=live reason=''"),
    ]
    lines = [json.dumps({"time": at, "message": message}) for at, message in entries]
    log.write_text("\n".join(lines))

    assert sync_seconds(log) == pytest.approx(0.26)
    log.write_text(lines[0])
    with pytest.raises(BenchError, match="does not say"):
        sync_seconds(log)
