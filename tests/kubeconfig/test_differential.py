"""Generated setups: orka and client-go agree on all of them, but for differences with a name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.controlplane.fixture import binaries
from tests.kubeconfig.compare import name_of
from tests.kubeconfig.differential import both, smaller
from tests.kubeconfig.known import KNOWN
from tests.kubeconfig.oracle import Oracle
from tests.kubeconfig.setups import Flags, Setup
from tests.kubeconfig.strategies import numbered_setup, setups

COUNT = 1000  # scripts/kubeconfig-differential does any number
HYPOTHESIS_COUNT = 100


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """client-go, or a skip that cannot be missed."""
    built = binaries()
    if built is None:
        pytest.skip("NO GO TOOLCHAIN: generated kubeconfigs are not held against client-go")
    with Oracle(built) as one:
        yield one


def _unnamed(setup: Setup, oracle: Oracle) -> list[str]:
    if setup.pod and not oracle.pods:
        return []
    pair = both(setup, oracle)
    differences = pair.differences()
    return [] if differences and name_of(pair, KNOWN) else differences


@pytest.mark.slow
def test_numbered_setups(oracle: Oracle) -> None:
    """A thousand setups, the same ones each time, have no difference without a name."""
    found = {
        number: differences
        for number in range(COUNT)
        if (differences := _unnamed(numbered_setup(0, number), oracle))
    }

    assert found == {}


@pytest.mark.slow
@settings(
    max_examples=HYPOTHESIS_COUNT,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(setup=setups())
def test_setups_that_shrink(oracle: Oracle, setup: Setup) -> None:
    """Nor have those that hypothesis finds, which it makes small."""
    assert _unnamed(setup, oracle) == []


def test_generated_setups_work_mostly(oracle: Oracle) -> None:
    """A generator of nothing but broken files would prove nothing."""
    answers = [both(numbered_setup(1, number), oracle).oracle for number in range(100)]

    assert sum(answer.config is not None for answer in answers) > 25
    assert len({answer.error.class_ for answer in answers if answer.error}) >= 4


def test_smaller_takes_out_what_does_not_matter() -> None:
    """Files, variables and lines go as long as the difference stays."""
    setup = Setup(
        files={"a": "one\ntwo\nthree\n", "b": "x"},
        env={"HOME": "/", "PATH": "/bin"},
        flags=Flags(context="dev"),
    )

    def differs(candidate: Setup) -> bool:
        return "two" in candidate.files.get("a", "") and "PATH" in candidate.env

    assert smaller(setup, differs) == Setup(files={"a": "two"}, env={"PATH": "/bin"})
