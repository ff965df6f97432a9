"""Stored objects and an Accept header turned into JSON bytes of the form that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .objects import Stored, encode
from .resources import Resource

END_OF_INITIAL_EVENTS = "k8s.io/initial-events-end"
META_GROUP = "meta.k8s.io"
ACCEPTED = "application/json"


class NotAcceptableError(Exception):
    """No clause of the Accept header can be served (406)."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One media type of an Accept header with the transformation that it asks for."""

    media_type: str
    convert: str = ""  # the `as` parameter, e.g. PartialObjectMetadata


def clauses(accept: str) -> Iterator[Clause]:
    """The clauses of an Accept header, best first: by q, then as written."""
    weighted: list[tuple[float, Clause]] = []
    for part in accept.split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        given = dict(p.split("=", 1) for p in parameters if "=" in p)
        known = given.get("g", META_GROUP) == META_GROUP and given.get("v", "v1") == "v1"
        convert = given.get("as", "") if known else "unknown"
        try:
            weight = float(given.get("q", "1"))
        except ValueError:
            weight = 1.0
        weighted.append((weight, Clause(media_type, convert)))
    weighted.sort(key=lambda pair: -pair[0])
    return (clause for _, clause in weighted)


def negotiate(accept: str, *, partial: bool = True) -> str:
    """The transformation to apply: '' or one of the two partial forms. Raises NotAcceptableError.

    Tables are not offered: kubectl then takes the next clause, which is plain JSON.
    """
    offered = ("", "PartialObjectMetadata", "PartialObjectMetadataList") if partial else ("",)
    for clause in clauses(accept or "*/*"):
        if clause.media_type in (ACCEPTED, "application/*", "*/*") and clause.convert in offered:
            return clause.convert
    raise NotAcceptableError(f"only the following media types are accepted: {ACCEPTED}")


@dataclass(frozen=True, slots=True)
class Form:
    """How the objects of one resource look on the wire in one version."""

    resource: Resource
    version: str
    partial: bool

    @property
    def head(self) -> bytes:
        """The beginning of an object, up to where its metadata follows."""
        if self.partial:
            kind, api_version = "PartialObjectMetadata", f"{META_GROUP}/v1"
        else:
            kind, api_version = self.resource.kind, self.resource.api_version(self.version)
        if self.resource.custom and not self.partial:
            # Untyped on the server, so its keys come sorted.
            return b'{"apiVersion":%b,"kind":%b,"metadata":' % (encode(api_version), encode(kind))
        return b'{"kind":%b,"apiVersion":%b,"metadata":' % (encode(kind), encode(api_version))

    def one(self, item: Stored) -> bytes:
        """A whole object, as in a watch event or a GET."""
        if item.raw is not None:
            return item.raw
        return self.head + item.meta + (b"}" if self.partial else item.rest)

    def line(self, event_type: str, item: Stored) -> bytes:
        """A watch event."""
        return event_line(event_type, self.one(item))

    def bookmark(self, rv: int, *, initial_events_end: bool = False) -> bytes:
        """A BOOKMARK event; the one that ends a streaming list carries the annotation."""
        meta: dict[str, object] = {"resourceVersion": str(rv)}
        if initial_events_end:
            meta["annotations"] = {END_OF_INITIAL_EVENTS: "true"}
        return event_line("BOOKMARK", self.head + encode(meta) + b"}")

    def whole_list(
        self, items: Iterable[Stored], *, rv: int, token: str = "", remaining: int = 0
    ) -> Iterator[bytes]:
        """One page of a list, piece by piece, so that a large one is never one bytes object."""
        meta: dict[str, object] = {"resourceVersion": str(rv)}
        if token:
            meta |= {"continue": token, "remainingItemCount": remaining}
        if self.partial:
            kind, api_version = "PartialObjectMetadataList", f"{META_GROUP}/v1"
        else:
            kind, api_version = self.resource.list_kind, self.resource.api_version(self.version)
        if self.resource.custom and not self.partial:
            # Sorted keys again: a reader meets the items before the resourceVersion.
            first: dict[str, object] = {"apiVersion": api_version}
            last: dict[str, object] = {"kind": kind, "metadata": {"continue": "", **meta}}
        else:
            first, last = {"kind": kind, "apiVersion": api_version, "metadata": meta}, {}
        yield encode(first)[:-1] + b',"items":['
        separator = b""
        for piece in self._items(items):
            yield separator + piece
            separator = b","
        yield b"]" + (b"," + encode(last)[1:] if last else b"}") + b"\n"

    def _items(self, items: Iterable[Stored]) -> Iterator[bytes]:
        # Only custom resources and transformed items name their kind inside a list.
        head = self.head if self.partial or self.resource.custom else b'{"metadata":'
        for item in items:
            if item.raw is not None:
                yield item.raw
            else:
                yield head + item.meta + (b"}" if self.partial else item.rest)


def event_line(event_type: str, body: bytes) -> bytes:
    """One line of a watch stream."""
    return b'{"type":"%b","object":%b}\n' % (event_type.encode(), body)
