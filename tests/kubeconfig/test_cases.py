"""The hand-written cases: orka held against recorded answers, and those against client-go."""

from __future__ import annotations

import re

import msgspec
import pytest

from tests.controlplane.fixture import binaries
from tests.kubeconfig.compare import Pair, name_of
from tests.kubeconfig.differential import orka_alone
from tests.kubeconfig.known import KNOWN
from tests.kubeconfig.oracle import Oracle
from tests.kubeconfig.recorded import case_names, read_answers, record
from tests.kubeconfig.setups import CASES, read_setup

ANSWERS = read_answers()


@pytest.mark.parametrize("name", case_names())
def test_orka_answers_as_client_go_did(name: str) -> None:
    """What client-go resolves or refuses, orka does too, but for differences that have a name."""
    setup = read_setup(CASES / f"{name}.json")

    pair = Pair(setup, ANSWERS[name], orka_alone(setup))

    differences = pair.differences()
    assert not differences or name_of(pair, KNOWN)


def test_each_known_difference_is_shown_by_a_case() -> None:
    """No name in the table outlives the difference that it stands for."""
    shown = set()
    for name in case_names():
        setup = read_setup(CASES / f"{name}.json")
        pair = Pair(setup, ANSWERS[name], orka_alone(setup))
        if pair.differences():
            shown.add(name_of(pair, KNOWN))

    assert shown == {known.name for known in KNOWN}


def test_every_class_of_problem_is_named() -> None:
    """The oracle knows every error that client-go gave by its class and its field."""
    encoded = msgspec.json.encode(ANSWERS).decode()

    assert not re.search(r'"(?:class|field)":"\?"', encoded)


def test_answers_are_what_client_go_says_today() -> None:
    """Recording them again changes nothing."""
    built = binaries()
    if built is None:
        pytest.skip("NO GO TOOLCHAIN: the recorded answers are not held against client-go")
    with Oracle(built) as oracle:
        again = record(oracle)

    assert again == {name: answer for name, answer in ANSWERS.items() if name in again}
    if not oracle.pods:
        pytest.skip("NO MOUNT NAMESPACES: the answers of pods were not recorded again")
    assert again.keys() == ANSWERS.keys()
