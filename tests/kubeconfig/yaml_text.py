"""Nested values to YAML text in many styles, some of them wrong on purpose."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tests.kubeconfig.pools import NOISE, SCALARS

T = TypeVar("T")


@dataclass(frozen=True)
class Pick:
    """Choices by numbers below a bound; 0 is the plainest, so that hypothesis shrinks to it."""

    below: Callable[[int], int]

    def one(self, options: Sequence[T]) -> T:
        """One of them."""
        return options[self.below(len(options))]

    def chance(self, percent: int) -> bool:
        """Yes, that often."""
        return self.below(100) >= 100 - percent

    def seldom(self, permille: int) -> bool:
        """Yes, that often in a thousand times."""
        return self.below(1000) >= 1000 - permille

    def number(self, most: int) -> int:
        """From 0 to `most`."""
        return self.below(most + 1)


@dataclass(frozen=True)
class Raw:
    """YAML text of a scalar, to be put down as it is."""

    text: str


@dataclass(frozen=True)
class Mapped:
    """A mapping: pairs, so that a key may come twice."""

    pairs: list[tuple[str, object]]


PLAIN = re.compile(r"[a-zA-Z/][a-zA-Z0-9/._+-]*(?::(?=[^ ])[a-zA-Z0-9/._+-]*)*\Z")
MEANS_MORE = frozenset(word.lower() for word in SCALARS)


@dataclass
class Writer:
    """Writes one document; anchors that it has set may be used further down."""

    pick: Pick
    odd: int  # percent of scalars and keys that are written in an unusual way
    anchors: list[str] = field(default_factory=list)

    def document(self, value: Mapped) -> str:
        """The whole text."""
        if self.pick.chance(self.odd):
            return self.flow(value) + "\n"
        return self.block(value, 0)

    def block(self, value: object, indent: int) -> str:
        """A value in lines of their own."""
        pad = " " * indent
        lines: list[str] = []
        match value:
            case Mapped(pairs) if pairs:
                for key, inner in pairs:
                    lines.append(f"{pad}{self.key(key)}:{self._after(inner, indent)}")
            case list() if value:
                lines.extend(f"{pad}-{self._after(inner, indent)}" for inner in value)
            case _:
                return f"{pad}{self.flow(value)}\n"
        return "".join(lines)

    def _after(self, value: object, indent: int) -> str:
        """What stands behind a key or a dash."""
        inner = value.pairs if isinstance(value, Mapped) else value
        if not (isinstance(inner, list) and inner) or (self.odd and self.pick.chance(self.odd)):
            return f" {self.flow(value)}{self._comment()}\n"
        anchor = ""
        if self.odd and self.pick.chance(self.odd):
            name = f"n{len(self.anchors)}"
            anchor = f" &{name}"
            self.anchors.append(name)
        step = self.pick.one((2, 2, 4, 1)) if self.odd else 2
        return f"{anchor}{self._comment()}\n{self.block(value, indent + step)}"

    def _comment(self) -> str:
        return " # y: 1" if self.odd and self.pick.chance(2) else ""

    def flow(self, value: object) -> str:
        """A value within a line."""
        match value:
            case Mapped(pairs):
                inner = [f"{self.key(key)}: {self.flow(each)}" for key, each in pairs]
                return "{" + ", ".join(inner) + "}"
            case list():
                return "[" + ", ".join(self.flow(each) for each in value) + "]"
            case Raw(text):
                return text
            case str():
                return self.scalar(value)
        raise AssertionError(value)

    def key(self, text: str) -> str:
        """A key, plain if it may be."""
        if text == "<<":
            return text
        if not self.odd or not self.pick.seldom(self.odd // 4):
            return text if PLAIN.match(text) else json.dumps(text, ensure_ascii=False)
        return self.pick.one((json.dumps(text), f"? {text}\n", f"!!str {text}", text.upper()))

    def scalar(self, text: str) -> str:
        """A scalar, in one of the ways that mean `text`."""
        plain = bool(PLAIN.match(text)) and text.lower() not in MEANS_MORE
        quoted = json.dumps(text, ensure_ascii=False)
        if not self.odd or not self.pick.chance(self.odd):
            return text if plain else quoted
        name = f"s{len(self.anchors)}"
        ways = [quoted, json.dumps(text), "'" + text.replace("'", "''") + "'", f"!!str {quoted}"]
        ways += [f"&{name} {quoted}", *(f"*{anchor}" for anchor in self.anchors[-2:])]
        way = self.pick.one(ways)
        if way.startswith("&"):
            self.anchors.append(name)
        return way


def with_noise(pick: Pick, text: str) -> str:
    """The text with something put in, cut out or doubled."""
    at = pick.number(len(text))
    match pick.number(4):
        case 0 | 1:
            return text[:at] + pick.one(NOISE) + text[at:]
        case 2:
            return text[:at] + text[at + 1 + pick.number(8) :]
        case 3:
            lines = text.splitlines(keepends=True)
            line = pick.number(max(len(lines) - 1, 0))
            return "".join([*lines[:line], *lines[line : line + 1] * 2, *lines[line + 1 :]])
    return text[:at]
