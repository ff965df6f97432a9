"""The oracle's answers to the hand-written cases, kept so that machines without Go test too."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import msgspec

from tests.controlplane.fixture import binaries
from tests.kubeconfig.oracle import Answer, Oracle
from tests.kubeconfig.setups import ANSWERS, CASES, laid_out, read_setup

_ADDRESS = re.compile(r"0xc[0-9a-f]{9}")  # of Go's heap, in the text of some errors


def case_names() -> list[str]:
    """Every hand-written case."""
    return sorted(path.stem for path in CASES.glob("*.json"))


def read_answers() -> dict[str, Answer]:
    """As they were recorded, by name."""
    return msgspec.json.decode(ANSWERS.read_bytes(), type=dict[str, Answer])


def write_answers(answers: Mapping[str, Answer]) -> None:
    """One line each, so that a change can be read."""
    lines = [f"{json.dumps(name)}: {_line(answers[name])}" for name in sorted(answers)]
    ANSWERS.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def _line(answer: Answer) -> str:
    return _ADDRESS.sub("0xc…", msgspec.json.encode(answer).decode())


def record(oracle: Oracle) -> dict[str, Answer]:
    """The oracle's answer to every case that it can play here."""
    answers = {}
    for name in case_names():
        setup = read_setup(CASES / f"{name}.json")
        if setup.pod and not oracle.pods:
            continue
        with laid_out(setup) as (here, root):
            answer = oracle.ask(here, root)
        answers[name] = msgspec.json.decode(_line(answer), type=Answer)
    return answers


def main() -> None:
    """Record them all again; AssertionError where that cannot be done."""
    built = binaries()
    assert built is not None, "no Go toolchain"
    with Oracle(built) as oracle:
        assert oracle.pods, "no mount namespaces"
        write_answers(record(oracle))


if __name__ == "__main__":
    main()
