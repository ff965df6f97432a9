"""Watch lines turned into runs of deltas, and into what interrupts them.

A line that says what nearly every line says is read by one decoder that names only the fields
kept. Whatever that decoder refuses is looked at again, slowly, part by part: nothing raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from orka.daemon.jsonscan import NotBalancedError, members
from orka.daemon.kube.errors import Failure, classify, decode_status
from orka.daemon.kube.lines import Oversize
from orka.daemon.model import Delta, DeltaKind, ResourceVersion
from orka.daemon.objects import (
    UNREADABLE,
    Malformed,
    Meta,
    NamelessError,
    decode_text,
    lite_from_metadata,
    salvage,
)

PARTIAL_OBJECT = "PartialObjectMetadata"
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
NO_VERSIONS = ("", "0")  # "0" means "anything, however old": nothing may be resumed from it
SHOWN_CHARS = 40  # of a type or kind that nobody knows

KIND_OF_TYPE = {
    "ADDED": DeltaKind.APPLIED,
    "MODIFIED": DeltaKind.APPLIED,
    "DELETED": DeltaKind.DELETED,
}


@dataclass(frozen=True, slots=True)
class Changes:
    """Consecutive changes as the server ordered them; `resource_version` is the last one's."""

    deltas: tuple[Delta, ...]
    resource_version: ResourceVersion
    counts: Mapping[str, int]  # by event type
    without_uid: int = 0  # their replacement cannot be seen


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A mark of progress without an object; None where its resourceVersion was unusable."""

    resource_version: ResourceVersion | None
    initial_events_end: bool = False


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A line that is no event this client knows; what follows it cannot be trusted."""

    why: str


# A Failure is an ERROR event. See `ends_stream` for those that are always the last of a chunk.
Event = Changes | Bookmark | Malformed | Puzzle | Oversize | Failure


class _BookmarkMeta(msgspec.Struct):
    resourceVersion: str | None = None  # noqa: N815 -- the API's name
    annotations: dict[str, str] | None = None


class _BookmarkObject(msgspec.Struct):
    metadata: _BookmarkMeta | None = None


_bookmark_decoder = msgspec.json.Decoder(_BookmarkObject)


class _Object(msgspec.Struct, frozen=True, gc=False):
    metadata: Meta


class _Change(msgspec.Struct, frozen=True, gc=False):
    """Stands for the types made at run time, one for each kind."""

    type: str
    object: _Object


@dataclass(frozen=True, slots=True)
class _Odd:
    """A line that is not plainly a change, and what the decoder said of it."""

    line: bytes | Oversize
    why: str


def _change_decoder(kind: str) -> msgspec.json.Decoder[_Change]:
    """Takes only changes of this kind: the decoder compares type and kind in C, on the way."""
    kinds = Literal.__getitem__((PARTIAL_OBJECT, kind))
    types = Literal.__getitem__(tuple(KIND_OF_TYPE))
    obj = msgspec.defstruct("Object", [("kind", kinds), ("metadata", Meta)], gc=False)
    change = msgspec.defstruct("Change", [("type", types), ("object", obj)], gc=False)
    return msgspec.json.Decoder(change)


class EventDecoder:
    """Reads the watch lines of one kind, of whole objects or of their metadata alone."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._decode = _change_decoder(kind).decode

    def decode(self, lines: Iterable[bytes | Oversize]) -> list[Event]:
        """The events of these lines in order, up to and with the first that ends the stream."""
        events: list[Event] = []
        left = iter(lines)
        while True:
            changes, odd = self._run(left)
            if changes is not None:
                events.append(changes)
            if odd is None:
                return events
            events += self._slowly(odd.line, odd.why)
            if ends_stream(events[-1]):
                return events

    def _run(self, lines: Iterator[bytes | Oversize]) -> tuple[Changes | None, _Odd | None]:
        """The changes up to the first line that is anything else, and that line."""
        # Some 300 000 lines a second pass here, so what can be looked up once is.
        deltas: list[Delta] = []
        types: list[str] = []
        without_uid = 0
        odd = None
        decode, add, add_type = self._decode, deltas.append, types.append
        for line in lines:
            if isinstance(line, Oversize):
                odd = _Odd(line, "")
                break
            try:
                change = decode(line)
                meta = change.object.metadata
                version = meta.resourceVersion
                if not version or version == "0":
                    odd = _Odd(line, "it has no resourceVersion")
                    break
                obj = lite_from_metadata(meta)
            except (*UNREADABLE, NamelessError) as exc:
                odd = _Odd(line, str(exc))
                break
            event_type = change.type
            add(Delta(obj.uid, KIND_OF_TYPE[event_type], (obj.namespace, obj.name), obj))
            add_type(event_type)
            if not meta.uid:
                without_uid += 1
        if not deltas:
            return None, odd
        return Changes(tuple(deltas), version_of(deltas[-1]), Counter(types), without_uid), odd

    def _slowly(self, line: bytes | Oversize, why: str) -> list[Event]:
        """Whatever the fast decoder refused: marks, errors, hostile or broken lines."""
        if isinstance(line, Oversize):
            return [line]
        try:
            fields = members(line)
        except NotBalancedError:
            return [Malformed(None, why)]
        event_type = decode_text(fields.get("type"))
        body = fields.get("object", b"")
        if event_type == "BOOKMARK":
            return [_bookmark(body)]
        if event_type == "ERROR":
            status = decode_status(body)
            puzzle = Puzzle("an ERROR event without a Status")
            return [puzzle if status is None else classify(None, status)]
        if event_type not in KIND_OF_TYPE:
            return [Puzzle(f"an event of unknown type {(event_type or '')[:SHOWN_CHARS]!r}")]
        if body in (b"", b"null", b"{}"):
            return [Puzzle(f"an {event_type} event without an object")]
        return self._salvaged(event_type, body, why)

    def _salvaged(self, event_type: str, body: bytes, why: str) -> list[Event]:
        """A change whose object was refused: set aside, but applied as far as it is known."""
        malformed = refuse_other_kinds(body, salvage(body, why), self._kind)
        obj, version = malformed.obj, malformed.resource_version
        if obj is None or version is None:
            return [malformed]
        delta = Delta(obj.uid, KIND_OF_TYPE[event_type], (obj.namespace, obj.name), obj)
        return [malformed, Changes((delta,), version, {event_type: 1})]


def ends_stream(event: Event) -> bool:
    """True when nothing that came after this event may be believed."""
    if isinstance(event, Malformed):
        return event.resource_version is None
    return isinstance(event, Puzzle | Oversize | Failure)


def tally(event: Event) -> Iterable[tuple[str, int]]:
    """The types that a line, or a run of lines, counts as."""
    if isinstance(event, Changes):
        return event.counts.items()
    if isinstance(event, Bookmark):
        return (("BOOKMARK" if event.resource_version else "BOOKMARK-UNUSABLE", 1),)
    return (("ERROR" if isinstance(event, Failure) else "UNREADABLE", 1),)


def version_of(delta: Delta) -> ResourceVersion:
    """The resourceVersion of a delta from a watch; such a delta always has its object."""
    assert delta.obj is not None
    return ResourceVersion(delta.obj.resource_version)


def refuse_other_kinds(
    body: bytes, malformed: Malformed, kind: str, *, required: bool = True
) -> Malformed:
    """An object of another kind is not ours to show, however readable it is.

    `required` is False for the items of a list, where built-in kinds have none.
    """
    try:
        field = members(body).get("kind")
    except NotBalancedError:
        return malformed
    found = decode_text(field)
    if found in (PARTIAL_OBJECT, kind) or (field is None and not required):
        return malformed
    said = "no kind" if found is None else f"kind {found[:SHOWN_CHARS]!r}"
    return replace(malformed, why=f"it has {said}, not {kind}", obj=None)


def _bookmark(body: bytes) -> Bookmark:
    try:
        metadata = _bookmark_decoder.decode(body).metadata or _BookmarkMeta()
    except UNREADABLE:
        return Bookmark(None)
    version = metadata.resourceVersion or ""
    ends = (metadata.annotations or {}).get(INITIAL_EVENTS_END) == "true"
    return Bookmark(None if version in NO_VERSIONS else ResourceVersion(version), ends)
