"""The one line on stderr that says why an answer may not be the whole of it."""

from __future__ import annotations

import pytest

from orka.proto.names import STATES
from orka.render.notes import can_i_hint, empty_note, stale_note
from tests.support.wire import CERTIFICATE, NODE, NOW, truth


def test_a_live_and_whole_answer_needs_no_note() -> None:
    """Silence means live."""
    assert stale_note(truth(), NOW) is None


@pytest.mark.parametrize("state", [state for state in STATES if state != "live"])
def test_every_other_state_is_said(state: str) -> None:
    """P1: no lie by silence; state, since when, why, and how old the data is."""
    note = stale_note(truth(state, reason="because", age_seconds=200, since=NOW - 190), NOW)

    assert note is not None
    assert note.startswith(f"cert-manager.io/v1/Certificate is {state} for 3m10s: because; ")
    assert "last proof of life 3m20s ago" in note


def test_before_the_first_proof_of_life_there_is_no_age() -> None:
    """A first sync that has not begun has nothing to be old."""
    assert stale_note(truth("syncing", age_seconds=None, since=NOW), NOW) == (
        "cert-manager.io/v1/Certificate is syncing for 0s; nothing heard of it yet"
    )


@pytest.mark.parametrize(("hint", "shown"), [(None, "kubectl auth can-i list"), ("ask", "; ask")])
def test_forbidden_names_the_command_that_checks(hint: str | None, shown: str) -> None:
    """The daemon's own hint where it has one, else the general one."""
    note = stale_note(truth("forbidden", hint=hint), NOW)

    assert note is not None
    assert shown in note


def test_a_hint_is_part_of_the_line() -> None:
    """What to do about it."""
    note = stale_note(truth("stale", hint="wait"), NOW)

    assert note is not None
    assert note.endswith("; wait")


def test_a_live_answer_that_lacks_something_says_so() -> None:
    """Namespaces that may not be read and objects that were not understood."""
    assert stale_note(truth(scope="2 of 5 namespaces", quarantined=3), NOW) == (
        "shows 2 of 5 namespaces; 3 objects not understood and left out"
    )


def test_a_note_is_one_clean_line() -> None:
    """Reasons come from servers and may hold anything."""
    note = stale_note(truth("stale", reason="a\nb\x1b"), NOW)

    assert note is not None
    assert note.isprintable()


def test_no_rows_are_said_in_kubectls_words() -> None:
    """Which namespaces were looked into, where that matters."""
    assert empty_note(truth(), None) == "No resources found"
    assert empty_note(truth(), frozenset({"b", "a"})) == "No resources found in a, b namespace."
    assert empty_note(truth(kind=NODE), frozenset({"a"})) == "No resources found"


def test_can_i_names_resource_and_group() -> None:
    """A line to copy."""
    assert can_i_hint(CERTIFICATE) == (
        "kubectl auth can-i list certificates.cert-manager.io --all-namespaces"
    )
    assert can_i_hint(NODE) == "kubectl auth can-i list nodes"
