r"""Text from a cluster to text that a terminal may see: nothing in it moves, hides or turns.

What Unicode calls printable passes. Control characters of both sets, bidirectional overrides,
zero-width and other format characters, line separators, spaces that are not a space, lone
surrogates and unassigned code points become visible escapes such as `\x1b` or `\u202e`.
"""

from __future__ import annotations

__all__ = ["clean", "clean_all"]


def clean(text: str) -> str:
    """The text with every character that is not printable escaped, newlines and tabs too."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escaped(char) for char in text])


def clean_all(texts: list[str]) -> list[str]:
    """Every text cleaned; the same list where nothing has to be, which one check finds out."""
    if "".join(texts).isprintable():
        return texts
    return [clean(text) for text in texts]


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
