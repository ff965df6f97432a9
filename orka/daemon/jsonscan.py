"""JSON bytes that a decoder refused cut into their members or elements, without recursion.

The decoder that reads everything refuses a whole document for one part of it: nesting deeper
than Python's stack, half a surrogate pair, an unknown escape. These functions find the parts by
their brackets alone, so that the one bad part can be set aside and the others be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

_BLANK = b" \t\r\n"
# Everything that has a meaning for structure; a string is one token, whatever is inside it.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:"]', re.DOTALL)
_CLOSES = {b"{": b"}", b"[": b"]"}


class NotBalancedError(ValueError):
    """Brackets, quotes or separators do not add up to one JSON object or array."""


def members(text: bytes) -> dict[str, bytes]:
    """Each member of the object in `text` as its undecoded value; the last of equal names wins.

    Raises NotBalancedError when `text` is not one object from its first byte to its last.
    """
    found: dict[str, bytes] = {}
    for part in _parts(text, b"{"):
        name, colon, value = _split_member(part)
        if not colon or not value:
            raise NotBalancedError("a member without a value")
        try:
            found[msgspec.json.decode(name, type=str)] = value
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # a name that is no text is none that anybody asks for
    return found


def elements(text: bytes) -> list[bytes]:
    """The undecoded elements of the array in `text`. Raises NotBalancedError as `members`."""
    return list(_parts(text, b"["))


def _split_member(part: bytes) -> tuple[bytes, bytes, bytes]:
    match = _TOKEN.match(part)
    if match is None or not match[0].startswith(b'"') or len(match[0]) < 2:
        raise NotBalancedError("a member without a name")
    colon, value = part[match.end() :].strip(_BLANK)[:1], part[match.end() :].strip(_BLANK)[1:]
    return match[0], colon if colon == b":" else b"", value.strip(_BLANK)


def _parts(text: bytes, opens: bytes) -> Iterator[bytes]:
    """What stands between the commas of the outermost brackets."""
    text = text.strip(_BLANK)
    if not text.startswith(opens):
        raise NotBalancedError(f"does not begin with {opens.decode()}")
    awaited = bytearray(_CLOSES[opens])  # closing brackets, innermost last
    start = 1
    several = False
    for match in _TOKEN.finditer(text, 1):
        token = match[0]
        if token in _CLOSES:
            awaited += _CLOSES[token]
        elif token in (b"}", b"]"):
            if awaited[-1:] != token:
                raise NotBalancedError(f"{token.decode()} closes nothing")
            awaited.pop()
            if not awaited:
                yield from _last_part(text, start, match.start(), several=several)
                return
        elif token == b'"':
            raise NotBalancedError("a string without an end")
        elif token == b"," and len(awaited) == 1:
            yield _checked(text[start : match.start()])
            start = match.end()
            several = True
    raise NotBalancedError("ends before its brackets do")


def _last_part(text: bytes, start: int, end: int, *, several: bool) -> Iterator[bytes]:
    if end != len(text) - 1:
        raise NotBalancedError("bytes after the end")
    part = text[start:end].strip(_BLANK)
    if part or several:
        yield _checked(part)


def _checked(part: bytes) -> bytes:
    part = part.strip(_BLANK)
    if not part:
        raise NotBalancedError("nothing between two commas")
    return part
