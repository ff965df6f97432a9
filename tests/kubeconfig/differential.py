"""Many setups through orka and client-go to one summary line and a case file per new difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from tests.kubeconfig.answers import orka_answer
from tests.kubeconfig.compare import Pair, name_of
from tests.kubeconfig.known import KNOWN
from tests.kubeconfig.oracle import Answer, Oracle
from tests.kubeconfig.setups import Flags, Setup, laid_out

UNNAMED = "UNNAMED"


def both(setup: Setup, oracle: Oracle) -> Pair:
    """Lay a setup out, once, and ask both."""
    with laid_out(setup) as (here, root):
        # orka first: client-go copies an old ~/.kube/.kubeconfig to a new place.
        orka = orka_answer(here, root)
        return Pair(setup, oracle.ask(here, root), orka)


def orka_alone(setup: Setup) -> Answer:
    """Lay a setup out and ask orka."""
    with laid_out(setup) as (here, root):
        return orka_answer(here, root)


@dataclass(frozen=True)
class Unnamed:
    """A difference that nobody has chosen."""

    name: str  # of the setup
    setup: Setup
    differences: list[str]


@dataclass
class Tally:
    """How many setups were compared, and what differed."""

    setups: int = 0
    named: Counter[str] = field(default_factory=Counter)
    unnamed: list[Unnamed] = field(default_factory=list)
    skipped: int = 0  # pods, where the oracle cannot be one

    def add(self, setup_name: str, pair: Pair) -> str | None:
        """Count one; the name of its difference, UNNAMED, or None if there is none."""
        self.setups += 1
        differences = pair.differences()
        if not differences:
            return None
        name = name_of(pair, KNOWN)
        if name is None:
            self.unnamed.append(Unnamed(setup_name, pair.setup, differences))
            return UNNAMED
        self.named[name] += 1
        return name

    def summary(self) -> str:
        """The names with their counts, and the line that counts."""
        lines = [f"{count:6} {name}" for name, count in self.named.most_common()]
        total = self.named.total() + len(self.unnamed)
        which = f"{len(self.unnamed)} of them unnamed" if self.unnamed else "all named"
        skipped = f", {self.skipped} pods SKIPPED" if self.skipped else ""
        last = f"{self.setups} setups, {total} differences ({which}){skipped}"
        return "\n".join([*lines, last])


def smaller(setup: Setup, differs: Callable[[Setup], bool]) -> Setup:
    """The setup with everything taken out that the difference does not need."""
    while True:
        candidates = (one for one in _parts_taken_out(setup) if differs(one))
        found = next(candidates, None)
        if found is None:
            return setup
        setup = found


def _parts_taken_out(setup: Setup) -> Iterator[Setup]:
    """Large parts first: files, variables, flags, then lines and the ends of lines."""
    for name in setup.files:
        yield replace(setup, files={k: v for k, v in setup.files.items() if k != name})
    for name in setup.env:
        yield replace(setup, env={k: v for k, v in setup.env.items() if k != name})
    if setup.flags != Flags():
        yield replace(setup, flags=Flags())
    for name, text in setup.files.items():
        lines = text.split("\n")
        span = len(lines) // 2
        while span:
            for at in range(0, len(lines), span):
                shorter = "\n".join(lines[:at] + lines[at + span :])
                if shorter != text:
                    yield replace(setup, files={**setup.files, name: shorter})
            span //= 2
