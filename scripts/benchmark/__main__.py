"""The command line of `scripts/bench`: which measures, how often, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.benchmark import beside_kubectl, inside
from scripts.benchmark.commands import BenchError
from scripts.benchmark.rig import Measure, Rig, rig, say
from scripts.benchmark.table import Result, Sample, document, table
from tests.controlplane.fixture import NO_GO, ControlPlaneError, binaries

MEASURES = (*beside_kubectl.MEASURES, *inside.MEASURES)
RUNS = 5
INTERRUPTED = 130  # as a shell reports a process that SIGINT ended


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed command line; exits with 2 and a message on a bad one."""
    names = [measure.name for measure in MEASURES]
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure orka beside kubectl and client-go on a real control plane (needs Go).",
    )
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help="of each measure (5)")
    parser.add_argument("--only", metavar="NAME[,NAME]", help=f"some of {', '.join(names)}")
    parser.add_argument("--json", action="store_true", help="every sample, as one document")
    found = parser.parse_args(argv)
    if found.runs < 1:
        parser.error(f"--runs {found.runs}: at least 1")
    found.only = names if found.only is None else found.only.split(",")
    unknown = sorted(set(found.only) - set(names))
    if unknown:
        parser.error(f"--only {unknown[0]}: not one of {', '.join(names)}")
    return found


def measured(measure: Measure, rig: Rig, runs: int) -> list[Result]:
    """A result for each row: so many samples, orka and its peer in turn."""
    samples: list[tuple[Sample, ...]] = []
    with measure.open(rig) as sample:
        for run in range(runs):
            say(f"{measure.name} {run + 1}/{runs}")
            samples.append(sample())
    columns = zip(*samples, strict=True)
    return [Result(row, column) for row, column in zip(measure.rows, columns, strict=True)]


@dataclass(frozen=True)
class Machine:
    """What the figures depend on; the load averages are those of a minute."""

    cores: int | None
    processor: str
    system: str
    python: str
    server: str | None  # None where no measure needed the control plane
    load_before: float
    load_after: float

    def __str__(self) -> str:
        server = f"kube-apiserver {self.server}" if self.server else "no control plane"
        return (
            f"{self.cores} cores ({self.processor}), {self.system}, Python {self.python}, {server},"
            f" load {self.load_before:.1f} before and {self.load_after:.1f} after"
        )


def processor() -> str:
    """Its model, as Linux names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> int:
    """Measure and print; the exit status, which says nothing about goals."""
    options = arguments(sys.argv[1:])
    chosen = [measure for measure in MEASURES if measure.name in options.only]
    load_before = os.getloadavg()[0]
    try:
        if any(measure.needs_plane for measure in chosen) and binaries() is None:
            return NO_GO  # the script that builds it has said why
        with tempfile.TemporaryDirectory(prefix="orka-bench-") as folder, rig(Path(folder)) as bed:
            results = [
                result for measure in chosen for result in measured(measure, bed, options.runs)
            ]
            machine = Machine(
                cores=os.cpu_count(),
                processor=processor(),
                system=f"{platform.system()} {platform.release()}",
                python=platform.python_version(),
                server=bed.server_version,
                load_before=load_before,
                load_after=os.getloadavg()[0],
            )
    except (BenchError, ControlPlaneError, subprocess.TimeoutExpired) as exc:
        say(str(exc))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    if options.json:
        print(json.dumps(document(results, asdict(machine)), indent=2))
    else:
        print(table(results), machine, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
