"""Nothing that a cluster calls its objects can move, hide or turn what a terminal shows."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.render.clean import clean, clean_all

DANGEROUS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web-1", "web-1"),
        ("wëb €", "wëb €"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\nb\tc\rd\0", r"a\nb\tc\rd\x00"),
        ("a\x7f", r"a\x7f"),
        ("a\x9b1m", r"a\x9b1m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u2066b\u2069\u200f\u061c", r"a\u2066b\u2069\u200f\u061c"),
        ("a\u200bb\ufeff\u00ad", r"a\u200bb\ufeff\xad"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("a\u00a0b", r"a\xa0b"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_is_not_printable_is_shown_as_an_escape(text: str, shown: str) -> None:
    """Both sets of control characters, bidirectional overrides, invisible and lone ones."""
    assert clean(text) == shown


@given(st.text(st.characters()))
def test_clean_text_has_no_character_of_a_dangerous_category(text: str) -> None:
    """By Unicode's own table, whatever the text was."""
    shown = clean(text)

    assert not any(unicodedata.category(char) in DANGEROUS for char in shown)
    assert clean(shown) == shown


@given(st.lists(st.text(st.characters())))
def test_cleaning_all_is_cleaning_each(texts: list[str]) -> None:
    """The one check over all of them changes no result."""
    assert clean_all(texts) == [clean(text) for text in texts]


def test_clean_lists_are_not_copied() -> None:
    """The usual case costs one check."""
    texts = ["a", "b"]
    assert clean_all(texts) is texts
