"""Objects and truth to JSON: one document a list, in chunks; every character outside ASCII escaped.

Keys that Kubernetes has are spelled as Kubernetes spells them (`creationTimestamp`), orka's own
in snake_case (`age_seconds`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from json import JSONEncoder
from typing import TYPE_CHECKING

from orka.render.chunks import in_chunks
from orka.render.stamp import stamp, stamp_of

if TYPE_CHECKING:
    from orka.proto.messages import Kind, LiteObj, Truth

__all__ = [
    "SCHEMA_VERSION",
    "document",
    "dumps",
    "gvk_of",
    "object_document",
    "objects",
    "truth_document",
    "uid_text",
]

# The `v` of every JSON document and record; keys may be added under the same number.
SCHEMA_VERSION = 1

_encode = JSONEncoder(separators=(",", ":")).encode


def dumps(value: object) -> str:
    """JSON on one line; DEL, the one control character that JSON leaves alone, is escaped too."""
    return _encode(value).replace("\x7f", "\\u007f")


def document(value: Mapping[str, object]) -> Iterator[bytes]:
    """A whole document of its own, with its newline."""
    return in_chunks([dumps(value), "\n"])


def gvk_of(kind: Kind) -> str:
    """`cert-manager.io/v1/Certificate`, or `v1/Pod` for the core group."""
    group_version = f"{kind.group}/{kind.version}" if kind.group else kind.version
    return f"{group_version}/{kind.kind}"


def truth_document(truth: Truth) -> dict[str, object]:
    """How far the answer can be believed; in every document and in `status`."""
    return {
        "state": truth.state,
        "reason": truth.reason,
        "since": stamp(truth.since),
        "age_seconds": truth.age_seconds,
        "synced": truth.synced,
        "objects": truth.objects,
        "dropped": truth.dropped,
        "quarantined": truth.quarantined,
        "scope": truth.scope,
        "cursor": truth.cursor,
        "context": truth.context,
        "server": truth.server,
        "default_namespace": truth.default_namespace,
        "hint": truth.hint,
    }


def uid_text(uid: bytes) -> str:
    """16 bytes as Kubernetes writes a uid: `01234567-89ab-cdef-0123-456789abcdef`."""
    digits = uid.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def object_document(obj: LiteObj) -> dict[str, object]:
    """One object; `deletionTimestamp` only while it is being deleted."""
    item: dict[str, object] = {
        "namespace": obj.namespace,
        "name": obj.name,
        "uid": uid_text(obj.uid),
        "creationTimestamp": None if obj.creation_ts is None else stamp_of(obj.creation_ts),
        "resourceVersion": obj.resource_version,
    }
    if obj.deletion_ts is not None:
        item["deletionTimestamp"] = stamp_of(obj.deletion_ts)
    return item


def objects(truth: Truth, rows: Sequence[LiteObj], now: float) -> Iterator[bytes]:
    """`{"v":1,"kind":GVK,"truth":{…},"items":[…]}`, one item a line."""
    del now  # the three formats are called alike, and only the table has an age
    return in_chunks(_document_pieces(truth, rows))


def _document_pieces(truth: Truth, rows: Sequence[LiteObj]) -> Iterator[str]:
    head = {
        "v": SCHEMA_VERSION,
        "kind": gvk_of(truth.kind),
        "truth": truth_document(truth),
        "items": [],
    }
    yield dumps(head)[: -len("]}")]
    times: dict[int | None, str] = {None: "null"}
    separator = "\n"
    for row in rows:
        yield separator + _object_text(row, times)
        separator = ",\n"
    yield "\n]}\n" if rows else "]}\n"


def _object_text(obj: LiteObj, times: dict[int | None, str]) -> str:
    """`dumps(object_document(obj))` at a quarter of its cost; a test holds the two together.

    `times` remembers creation times: the objects of a cluster share few of them.
    """
    created = times.get(obj.creation_ts)
    if created is None and obj.creation_ts is not None:
        created = times[obj.creation_ts] = f'"{stamp_of(obj.creation_ts)}"'
    deleted = (
        "" if obj.deletion_ts is None else f',"deletionTimestamp":"{stamp_of(obj.deletion_ts)}"'
    )
    text = (
        f'{{"namespace":{_encode(obj.namespace)},"name":{_encode(obj.name)}'
        f',"uid":"{uid_text(obj.uid)}","creationTimestamp":{created}'
        f',"resourceVersion":{_encode(obj.resource_version)}{deleted}}}'
    )
    return text.replace("\x7f", "\\u007f") if "\x7f" in text else text
