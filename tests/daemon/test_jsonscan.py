"""Parts of JSON documents found by their brackets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.jsonscan import NotBalancedError, elements, members

texts = st.text(max_size=6)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
spaced = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")])


@given(value=st.dictionaries(texts, values), separators=spaced, ascii_only=st.booleans())
def test_members_are_those_of_the_standard_library(
    value: dict[str, object], separators: tuple[str, str], *, ascii_only: bool
) -> None:
    """Each member's bytes decode to what json finds."""
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()

    assert {name: json.loads(part) for name, part in members(b" " + text + b"\n").items()} == value


@given(value=st.lists(values), separators=spaced)
def test_elements_are_those_of_the_standard_library(
    value: list[object], separators: tuple[str, str]
) -> None:
    """Each element's bytes decode to what json finds."""
    text = json.dumps(value, separators=separators).encode()

    assert [json.loads(part) for part in elements(text)] == value


@given(value=st.dictionaries(texts, values, min_size=1), cut=st.integers(min_value=0))
def test_nothing_that_is_cut_is_taken_for_whole(value: dict[str, object], cut: int) -> None:
    """No true beginning of an object is one."""
    text = json.dumps(value).encode()

    with pytest.raises(NotBalancedError):
        members(text[: cut % len(text)])


def test_nesting_has_no_limit() -> None:
    """Depth far beyond Python's stack is found like any other."""
    deep = b"[" * 100_000 + b"]" * 100_000

    assert members(b'{"a":' + deep + b',"b":1}')["b"] == b"1"


def test_the_last_of_equal_names_wins_and_unreadable_names_are_skipped() -> None:
    """As decoders do it; a name that is no text is asked for by nobody."""
    assert members(rb'{"a":1,"a":2,"\ud800":3}') == {"a": b"2"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b'{"a":1}{"kind":"Status"}',
        b'{"a":[1}',
        b'{"a":1,}',
        b"{,}",
        b'{"a"}',
        b'{"a":}',
        b"{1:2}",
        b'{"a":"b}',
        b'{"a" 1}',
    ],
)
def test_what_is_no_object_is_refused(text: bytes) -> None:
    """Brackets, quotes, commas and colons must add up."""
    with pytest.raises(NotBalancedError):
        members(text)


def test_what_is_no_array_is_refused() -> None:
    """A comma with nothing behind it stands for a cut."""
    with pytest.raises(NotBalancedError):
        elements(b"[1,]")
