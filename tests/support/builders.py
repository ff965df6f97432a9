"""Small makers of objects and deltas, so that a test says only what matters to it."""

from __future__ import annotations

from orka.daemon.model import Delta, DeltaKind, Key, hashed_uid
from orka.proto.messages import LiteObj


def lite(
    name: str = "a",
    *,
    namespace: str | None = "ns",
    uid: str | None = None,
    rv: str = "1",
    creation_ts: int | None = 1_700_000_000,
) -> LiteObj:
    """An object; its uid follows from its key unless one is given."""
    return LiteObj(hashed_uid(uid or f"{namespace}/{name}"), namespace, name, creation_ts, rv)


def applied(obj: LiteObj) -> Delta:
    """ADDED or MODIFIED."""
    return Delta(obj.uid, DeltaKind.APPLIED, key_of(obj), obj)


def deleted(obj: LiteObj) -> Delta:
    """DELETED."""
    return Delta(obj.uid, DeltaKind.DELETED, key_of(obj), obj)


def key_of(obj: LiteObj) -> Key:
    """The object's key."""
    return (obj.namespace, obj.name)
