"""`scripts/kubeconfig-differential`: flags to setups, and what differs to lines and case files."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.controlplane.fixture import NO_GO, binaries
from tests.kubeconfig.differential import UNNAMED, Tally, both, smaller
from tests.kubeconfig.oracle import Oracle
from tests.kubeconfig.setups import Setup, read_setup, write_setup
from tests.kubeconfig.strategies import numbered_setup

PROGRESS_EVERY_COUNT = 1000
SHRUNK_MAX_COUNT = 20  # more differences than that have one cause mostly


def main() -> int:
    """Run; the exit code."""
    parser = argparse.ArgumentParser(prog="kubeconfig-differential")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=Path)
    parser.add_argument("--triage", type=Path)
    flags = parser.parse_args()
    built = binaries()
    if built is None:
        return NO_GO
    logging.disable(logging.WARNING)  # the product warns of setups that are wrong on purpose
    setups = _of_folder(flags.cases) if flags.cases else _generated(flags.count, flags.seed)
    with Oracle(built) as oracle:
        tally = _compare(setups, oracle)
        print(tally.summary())
        if not tally.unnamed:
            return 0
        _triage(tally, oracle, flags.triage or Path(tempfile.mkdtemp(prefix="orka-differences-")))
    return 1


def _of_folder(folder: Path) -> Iterator[tuple[str, Setup]]:
    for path in sorted(folder.glob("*.json")):
        yield path.stem, read_setup(path)


def _generated(count: int, seed: int) -> Iterator[tuple[str, Setup]]:
    for number in range(count):
        yield f"{seed}-{number}", numbered_setup(seed, number)


def _compare(setups: Iterable[tuple[str, Setup]], oracle: Oracle) -> Tally:
    tally = Tally()
    for name, setup in setups:
        if setup.pod and not oracle.pods:
            tally.skipped += 1
            continue
        if tally.add(name, both(setup, oracle)) == UNNAMED:
            print(f"{name}: {tally.unnamed[-1].differences[0]}", file=sys.stderr)
        if tally.setups % PROGRESS_EVERY_COUNT == 0:
            print(f"{tally.setups} setups", file=sys.stderr)
    return tally


def _triage(tally: Tally, oracle: Oracle, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for found in tally.unnamed[:SHRUNK_MAX_COUNT]:

        def differs(setup: Setup) -> bool:
            return Tally().add("", both(setup, oracle)) == UNNAMED

        setup = smaller(found.setup, differs)
        path = folder / f"{found.name}.json"
        write_setup(path, setup)
        print(f"\n{path}\n  " + "\n  ".join(both(setup, oracle).differences()))


if __name__ == "__main__":
    sys.exit(main())
