"""JSON objects turned into what the store keeps of them: stored parts, events, snapshots."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

Object = dict[str, Any]

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode


class ExpiredError(Exception):
    """The wanted revision is older than what is kept (410)."""


class AlreadyExistsError(Exception):
    """A create under a name that is taken (409)."""


class NotFoundError(Exception):
    """No object of that name (404)."""


class ConflictError(Exception):
    """The writer's resourceVersion or uid is not the stored one (409)."""


class Stored:
    """One object, kept as JSON in two parts, so that each form is a join and no dict stays."""

    __slots__ = ("key", "meta", "raw", "rest", "rv", "uid")

    def __init__(
        self, key: str, uid: str, rv: int, meta: bytes, rest: bytes, *, raw: bytes | None = None
    ) -> None:
        self.key = key
        self.uid = uid
        self.rv = rv
        self.meta = meta  # the metadata object
        self.rest = rest  # `,"spec":{…}}`: what follows the metadata, with the closing brace
        self.raw = raw  # set for a planted object: sent exactly so in every form

    def to_object(self) -> Object:
        """The object without apiVersion and kind, which depend on the version asked for."""
        return decode(b'{"metadata":' + self.meta + self.rest)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Event:
    """One change. A DELETED one carries the last content with the resourceVersion of the delete."""

    rv: int
    type: str
    item: Stored
    before: Stored | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All objects of one resource at one revision, in key order."""

    rv: int
    keys: list[str]
    items: list[Stored]

    def span(self, namespace: str) -> tuple[int, int]:
        """The index range of one namespace; all for ''."""
        if not namespace:
            return 0, len(self.keys)
        # "0" follows "/" in ASCII, so this brackets exactly the keys that begin with "namespace/".
        return bisect_left(self.keys, f"{namespace}/"), bisect_left(self.keys, f"{namespace}0")


class Subscriber(Protocol):
    """An open watch, as the store sees it. Neither method may block."""

    def offer(self, event: Event) -> None:
        """Take one change."""

    def end(self) -> None:
        """No more changes will come: the storage of this resource was taken down."""


def iterate(snapshot: Snapshot, namespace: str) -> Iterator[Stored]:
    """The objects of a namespace ('' for all), in key order."""
    start, stop = snapshot.span(namespace)
    for index in range(start, stop):
        yield snapshot.items[index]
