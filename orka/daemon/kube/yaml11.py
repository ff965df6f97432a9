"""The bytes of a YAML file to plain values, as Kubernetes reads YAML: goyaml v2, then JSON.

PyYAML's own constructors differ where it matters: they refuse a second document, know base 60
and dates, let the key before a `<<` win, and recurse in C. So the events of its C parser (which
goyaml is a port of) are put together here, in one pass and without recursion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import yaml
from yaml import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from orka.daemon.kube.yaml11_scalars import TAG, YamlError, key_of, resolve, tagged

DEPTH_MAX_COUNT = 10_000  # collections inside collections: Go's JSON decoder takes no more
# How much of a document may come from aliases before it is a bomb; the figures are goyaml's.
ALIASED_FREE_COUNT = 100
DECODED_FREE_COUNT = 1000
ALIASED_SHARE_MAX = 0.99
ALIASED_SHARE_MIN = 0.10
DECODED_SMALL_COUNT = 400_000
DECODED_LARGE_COUNT = 4_000_000
VERSION = (1, 1)

_NO_KEY = object()
_MERGE_KEY = object()


@dataclass(slots=True)
class _Open:
    """A collection that has begun, or the document itself, which holds one value."""

    value: dict[str, object] | list[object]
    anchor: str | None = None
    decoded_before: int = 0
    key: object = _NO_KEY  # of a mapping: the one whose value comes next

    def put(self, value: object) -> None:
        """Take the next value that is whole."""
        inside = self.value
        if isinstance(inside, list):
            inside.append(value)
            return
        key = self.key
        if key is _NO_KEY:
            self.key = value if type(value) is str else key_of(value)
            return
        if isinstance(key, str):
            inside[key] = value
        else:
            _merge(inside, value)
        self.key = _NO_KEY


class _Document:
    """The values of one document while its events come."""

    def __init__(self) -> None:
        self.values: list[object] = []  # one in the end, or none
        self.infinite = False  # a number was read that JSON cannot say
        self._top = _Open(self.values)
        self._outer: list[_Open] = []  # what is open around the top
        self._anchors: dict[str, tuple[object, int] | None] = {}  # None: has not ended
        self._decoded = 0
        self._aliased = 0

    def begin(self, value: dict[str, object] | list[object], anchor: str | None) -> None:
        if len(self._outer) >= DEPTH_MAX_COUNT:
            raise YamlError("nested too deeply")
        if anchor is not None:
            self._anchors[anchor] = None
        self._outer.append(self._top)
        self._top = _Open(value, anchor, self._decoded)
        self._decoded += 1

    def end(self) -> None:
        done = self._top
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.value, self._decoded - done.decoded_before)
        self._top = self._outer.pop()
        self._top.put(done.value)

    def scalar(self, event: ScalarEvent) -> None:
        text, tag = event.value, event.tag
        if text == "<<" and self._merges(event):
            self._top.key = _MERGE_KEY
            return
        self._decoded += 1
        if tag is not None:
            value = tagged(tag, text)
        else:
            value = resolve(text) if event.implicit[0] else text
        if type(value) is float and not math.isfinite(value):
            self.infinite = True
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._top.put(value)

    def _merges(self, event: ScalarEvent) -> bool:
        """Whether a `<<` stands where a key would and means what it means there."""
        here = isinstance(self._top.value, dict) and self._top.key is _NO_KEY
        return here and (event.implicit[0] or event.tag == TAG + "merge")

    def alias(self, name: str) -> None:
        if name not in self._anchors:
            raise YamlError("an alias without its anchor")
        anchored = self._anchors[name]
        if anchored is None:
            raise YamlError("an anchor that contains itself")
        value, count = anchored
        self._decoded += 1 + count
        self._aliased += count
        if (
            self._aliased > ALIASED_FREE_COUNT
            and self._decoded > DECODED_FREE_COUNT
            and self._aliased / self._decoded > _aliased_share_max(self._decoded)
        ):
            raise YamlError("most of it comes from aliases")
        self._top.put(value)


def load(data: bytes) -> object:
    """The first document of `data` as dicts, lists, strings, numbers, booleans and None.

    None if there is none. Raises YamlError with the place, where the parser knows it.
    """
    document = _Document()
    try:
        # Events of what follows the first document are not asked for, as by Kubernetes.
        for event in iter(yaml.CSafeLoader(data).get_event, None):
            # Not a `match`: of ten thousand events that would be a tenth of the time.
            if type(event) is ScalarEvent:
                document.scalar(event)
            elif type(event) is MappingStartEvent:
                document.begin({}, event.anchor)
            elif type(event) is MappingEndEvent or type(event) is SequenceEndEvent:
                document.end()
            elif type(event) is SequenceStartEvent:
                document.begin([], event.anchor)
            elif type(event) is AliasEvent:
                document.alias(event.anchor or "")
            elif type(event) is DocumentStartEvent and event.version not in (None, VERSION):
                raise YamlError("a %YAML directive of another version than 1.1")
            elif type(event) is DocumentEndEvent:
                break
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlError(f"{place}{exc.problem}") from exc
    except (yaml.YAMLError, ValueError) as exc:
        if isinstance(exc, YamlError):
            raise
        raise YamlError("it holds bytes that are not text") from exc
    if document.infinite:
        _check_finite(document.values)
    return document.values[0] if document.values else None


def _check_finite(value: object) -> None:
    """Only now: a later key of the same name may have replaced the number."""
    seen: set[int] = set()
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, float) and not math.isfinite(one):
            raise YamlError("a number that JSON cannot say")
        if isinstance(one, dict | list) and id(one) not in seen:
            seen.add(id(one))
            left.extend(one.values() if isinstance(one, dict) else one)


def _merge(into: dict[str, object], value: object) -> None:
    """`<<`: the keys of other mappings, over those before it, under those behind it."""
    many = value if isinstance(value, list) else [value]
    for one in reversed(many):  # the first of a list wins
        if not isinstance(one, dict):
            raise YamlError("a << that is no mapping")
        into.update(one)


def _aliased_share_max(decoded: int) -> float:
    over = (decoded - DECODED_SMALL_COUNT) / (DECODED_LARGE_COUNT - DECODED_SMALL_COUNT)
    return ALIASED_SHARE_MAX - (ALIASED_SHARE_MAX - ALIASED_SHARE_MIN) * min(max(over, 0.0), 1.0)
