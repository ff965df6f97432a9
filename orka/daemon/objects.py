"""The JSON `metadata` of an object turned into a LiteObj, and a recorded line into a delta.

Live events and recorded files are read by the same few functions, so that a file replayed
shows what the live cluster showed.
"""

from __future__ import annotations

from binascii import unhexlify
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from sys import intern
from typing import Annotated

import msgspec

from orka.daemon.jsonscan import NotBalancedError, members
from orka.daemon.model import (
    UID_BYTES,
    Delta,
    DeltaKind,
    Key,
    ResourceVersion,
    hashed_uid,
)
from orka.proto.messages import LiteObj

# What a decoder raises for bytes it cannot read; RecursionError for nesting past Python's
# stack, UnicodeDecodeError for text that is no UTF-8.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

UUID_TEXT_CHARS = 36
TIME_CACHE_TEXTS = 4096  # objects made together share a second; a text and its int are 100 B

# A time without a zone would be read as local time; the API always sends one.
_Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]


class Meta(msgspec.Struct, frozen=True, gc=False):
    """The part of `metadata` that is read; all else is skipped without being built."""

    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resourceVersion: str | None = None  # noqa: N815 -- the API's name
    creationTimestamp: str | None = None  # noqa: N815
    deletionTimestamp: str | None = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class Malformed:
    """An object that could not be understood, as far as it could be.

    `resource_version` is None where the object had none. `obj` is there when only the body
    was unreadable: the metadata then still says that the object exists, and which it is.
    """

    key: Key | None
    why: str
    resource_version: ResourceVersion | None = None
    obj: LiteObj | None = None


class NamelessError(ValueError):
    """Metadata without a name: there is no key to hold the object under."""


def lite_from_metadata(meta: Meta) -> LiteObj:
    """What orka keeps of an object with this metadata. Raises NamelessError.

    Where the uid is missing it is derived from the key, and a replacement cannot be seen.
    """
    name, namespace, uid = meta.name, meta.namespace, meta.uid
    if not name:
        raise NamelessError("it has no name")
    created, deleted = meta.creationTimestamp, meta.deletionTimestamp
    return LiteObj(
        uid_bytes(uid) if uid else hashed_uid(f"{namespace or ''}/{name}"),
        # Interned: one string for a namespace however many objects it has. CPython frees it
        # with the last of them.
        intern(namespace) if namespace else None,
        name,
        unix_seconds(created) if created else None,
        meta.resourceVersion or "",
        unix_seconds(deleted) if deleted else None,
    )


def uid_bytes(text: str) -> bytes:
    """A UUID in its usual form as its 16 bytes, anything else as a hash of its text."""
    if len(text) == UUID_TEXT_CHARS:
        digits = text.replace("-", "")
        if len(digits) == 2 * UID_BYTES:
            try:
                return unhexlify(digits)
            except ValueError:
                pass  # no UUID after all
    return hashed_uid(text)


@lru_cache(maxsize=TIME_CACHE_TEXTS)
def unix_seconds(text: str) -> int | None:
    """An RFC 3339 time as whole seconds since 1970 UTC; None for a text that is none."""
    try:
        return int(msgspec.convert(text, _Timestamp).timestamp())
    except msgspec.ValidationError:
        return None


def salvage(obj: bytes, why: str) -> Malformed:
    """What can still be said of an object whose JSON was refused for `why`.

    Each field of the metadata is read alone: one of the wrong type counts as missing.
    """
    try:
        fields = members(members(obj)["metadata"])
    except (NotBalancedError, KeyError):
        return Malformed(None, why)
    version = decode_text(fields.get("resourceVersion"))
    meta = Meta(
        name=decode_text(fields.get("name")),
        namespace=decode_text(fields.get("namespace")),
        uid=decode_text(fields.get("uid")),
        resourceVersion=version,
        creationTimestamp=decode_text(fields.get("creationTimestamp")),
        deletionTimestamp=decode_text(fields.get("deletionTimestamp")),
    )
    resource_version = ResourceVersion(version) if version and version != "0" else None
    try:
        lite = lite_from_metadata(meta)
    except NamelessError as nameless:
        return Malformed(None, f"{why}; {nameless}", resource_version)
    if lite.namespace is None and fields.get("namespace") not in (None, b"null", b'""'):
        # Somebody else's key would be worse than none.
        return Malformed(None, f"{why}; its namespace is no text", resource_version)
    return Malformed((lite.namespace, lite.name), why, resource_version, lite)


def decode_text(value: bytes | None) -> str | None:
    """A JSON string as text; None for nothing, for null and for anything else."""
    try:
        return None if value is None else msgspec.json.decode(value, type=str)
    except UNREADABLE:
        return None


# -- recorded lines ------------------------------------------------------------------------


class _RecordedObject(msgspec.Struct, frozen=True, gc=False):
    metadata: Meta


class _Recorded(msgspec.Struct, frozen=True, gc=False):
    kind: DeltaKind
    uid: str | None = None
    raw: _RecordedObject | None = None


_recorded_decoder = msgspec.json.Decoder(_Recorded)


def decode_delta(line: bytes) -> Delta | Malformed:
    """One recorded line, `{"kind": "Applied"|"Deleted", "uid": …, "raw": {…}}`, as a delta.

    The line's own uid wins over the one in the metadata. Nothing is raised, whatever the
    bytes are.
    """
    try:
        recorded = _recorded_decoder.decode(line)
    except UNREADABLE as exc:
        return _salvage_recorded(line, str(exc))
    if recorded.raw is None:
        return Malformed(None, "it has no object, so nobody can tell which one is meant")
    meta = recorded.raw.metadata
    if recorded.uid:
        meta = msgspec.structs.replace(meta, uid=recorded.uid)
    try:
        obj = lite_from_metadata(meta)
    except NamelessError as nameless:
        version = ResourceVersion(meta.resourceVersion) if meta.resourceVersion else None
        return Malformed(None, str(nameless), version)
    return Delta(obj.uid, recorded.kind, (obj.namespace, obj.name), obj)


def _salvage_recorded(line: bytes, why: str) -> Malformed:
    try:
        raw = members(line)["raw"]
    except (NotBalancedError, KeyError):
        return Malformed(None, why)
    return salvage(raw, why)
