"""Writes turned into revisions: objects, one store-wide resourceVersion, bounded history."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from .objects import (
    AlreadyExistsError,
    ConflictError,
    Event,
    ExpiredError,
    NotFoundError,
    Object,
    Snapshot,
    Stored,
    Subscriber,
    decode,
    encode,
)
from .resources import Resource

HISTORY_LIMIT_EVENTS = 1000  # a real watch cache keeps 100..102400 events of a kind
SNAPSHOTS_MAX = 32  # lists being paged at once; an older one expires as after a compaction


@dataclass(slots=True)
class Collection:
    """The objects of one resource, their recent history, and who watches them."""

    history: deque[Event]
    items: dict[str, Stored] = field(default_factory=dict)
    # A watch may resume from here or later; anything older is Expired.
    horizon: int = 0
    changed_rv: int = 0  # of the last event
    # A dict, because a set would make the order of delivery differ from run to run.
    subscribers: dict[Subscriber, None] = field(default_factory=dict)
    pinned: dict[int, Snapshot] = field(default_factory=dict)
    _snapshot: Snapshot | None = None

    def record(self, event: Event) -> None:
        """Apply one event, remember it, tell the watches."""
        if event.type == "DELETED":
            del self.items[event.item.key]
        else:
            self.items[event.item.key] = event.item
        self._snapshot = None
        self.changed_rv = event.rv
        if len(self.history) == self.history.maxlen:
            self.horizon = max(self.horizon, self.history[0].rv if self.history else event.rv)
        self.history.append(event)
        for subscriber in list(self.subscribers):
            subscriber.offer(event)

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        if self._snapshot is None:
            keys = sorted(self.items)
            self._snapshot = Snapshot(self.changed_rv, keys, [self.items[key] for key in keys])
        return self._snapshot

    def since(self, rv: int) -> list[Event]:
        """The events after `rv`, oldest first; ExpiredError when some are no longer kept."""
        if rv < self.horizon:
            raise ExpiredError(f"too old resource version: {rv} ({self.horizon})")
        found: list[Event] = []
        for event in reversed(self.history):
            if event.rv <= rv:
                break
            found.append(event)
        found.reverse()
        return found

    def rewound(self, rv: int) -> Snapshot:
        """The objects as they were at `rv`: a pinned snapshot, else history played backwards."""
        if rv >= self.changed_rv:
            return self.snapshot()
        if rv in self.pinned:
            return self.pinned[rv]
        items = dict(self.items)
        for event in reversed(self.since(rv)):
            if event.before is None:
                del items[event.item.key]
            else:
                items[event.item.key] = event.before
        keys = sorted(items)
        return Snapshot(rv, keys, [items[key] for key in keys])

    def pin(self, rv: int, snapshot: Snapshot) -> None:
        """Keep this snapshot for continue tokens that carry `rv`."""
        self.pinned[rv] = snapshot
        while len(self.pinned) > SNAPSHOTS_MAX:
            del self.pinned[next(iter(self.pinned))]

    def forget(self, rv: int) -> None:
        """History now begins after `rv`."""
        self.history.clear()
        self.horizon = rv

    def end_watches(self) -> None:
        """Close every open watch cleanly."""
        for subscriber in list(self.subscribers):
            subscriber.end()


class Store:
    """All collections and the counter that they share, as in etcd."""

    def __init__(
        self,
        *,
        random: Random,
        wall_clock: Callable[[], float],
        history_limit: int = HISTORY_LIMIT_EVENTS,
    ) -> None:
        self.random = random
        self.wall_clock = wall_clock
        self.history_limit = history_limit
        self.rv = 1
        self.compacted = 0  # lists at older revisions are ExpiredError
        self.collections: dict[str, Collection] = {}

    def __repr__(self) -> str:
        counts = {name: len(found.items) for name, found in self.collections.items()}
        return f"<Store rv={self.rv} compacted={self.compacted} objects={counts}>"

    def tick(self) -> int:
        """Take the next resourceVersion; also stands for a write somewhere else."""
        self.rv += 1
        return self.rv

    def collection(self, resource: Resource) -> Collection:
        """The collection of a resource, made at first use."""
        found = self.collections.get(resource.full_name)
        if found is None:
            found = Collection(deque(maxlen=self.history_limit))
            self.collections[resource.full_name] = found
        return found

    def find(self, resource: Resource, namespace: str, name: str) -> Stored | None:
        """The object of that name, or None."""
        return self.collection(resource).items.get(resource.key(namespace, name))

    def create(self, resource: Resource, obj: Object) -> Stored:
        """Store a new object; fills uid, creationTimestamp, generation and resourceVersion."""
        collection = self.collection(resource)
        key = key_of(resource, obj)
        if key in collection.items:
            raise AlreadyExistsError(key)
        meta = dict(obj["metadata"])
        meta.setdefault("uid", self.new_uid())
        meta.setdefault("creationTimestamp", self.timestamp())
        if resource.custom or "spec" in obj:
            meta.setdefault("generation", 1)
        return self._write(collection, "ADDED", key, meta, obj)

    def update(self, resource: Resource, obj: Object) -> Stored:
        """Store new content under an existing name; an equal object costs no revision."""
        collection = self.collection(resource)
        key = key_of(resource, obj)
        before = collection.items.get(key)
        if before is None:
            raise NotFoundError(key)
        old = before.to_object()
        meta = _merged_meta(old, obj)
        claimed = obj["metadata"].get("resourceVersion")
        if claimed not in (None, str(before.rv)) or meta["uid"] != before.uid:
            raise ConflictError(key)
        if meta == old["metadata"] and _rest(obj) == before.rest:
            return before
        return self._write(collection, "MODIFIED", key, meta, obj)

    def delete(self, resource: Resource, namespace: str, name: str) -> Stored:
        """Remove an object; returns its last content with the resourceVersion of the delete."""
        collection = self.collection(resource)
        key = resource.key(namespace, name)
        before = collection.items.get(key)
        if before is None:
            raise NotFoundError(key)
        rv, meta = self.tick(), before.meta
        if before.raw is None:
            meta = encode(decode(meta) | {"resourceVersion": str(rv)})
        gone = Stored(key, before.uid, rv, meta, before.rest, raw=before.raw)
        collection.record(Event(rv, "DELETED", gone, before))
        return gone

    def plant(self, resource: Resource, key: str, raw: bytes) -> Stored:
        """Store bytes that need not be a valid object; lists and events carry them as they are."""
        collection = self.collection(resource)
        before = collection.items.get(key)
        item = Stored(key, f"planted-{key}", self.tick(), b"{}", b"}", raw=raw)
        collection.record(Event(item.rv, "MODIFIED" if before else "ADDED", item, before))
        return item

    def forget_history(self, resource: Resource) -> None:
        """Every resourceVersion handed out so far is too old for a watch of this resource."""
        self.collection(resource).forget(self.tick())

    def compact(self) -> None:
        """Forget old revisions, as etcd does every five minutes: old continue tokens expire."""
        self.compacted = self.rv
        for collection in self.collections.values():
            for rv in [rv for rv in collection.pinned if rv < self.compacted]:
                del collection.pinned[rv]

    def drop(self, resource: Resource) -> None:
        """Forget a collection whose objects are gone already."""
        self.collections.pop(resource.full_name, None)

    def new_uid(self) -> str:
        """A random (version 4) UUID out of the store's own Random."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def timestamp(self) -> str:
        """The wall clock as Kubernetes writes it, to the second."""
        now = dt.datetime.fromtimestamp(self.wall_clock(), tz=dt.UTC)
        return now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _write(
        self, collection: Collection, event_type: str, key: str, meta: Object, obj: Object
    ) -> Stored:
        rest = _rest(obj)
        rv = self.tick()
        meta["resourceVersion"] = str(rv)
        item = Stored(key, meta["uid"], rv, encode(meta), rest)
        collection.record(Event(rv, event_type, item, collection.items.get(key)))
        return item


def key_of(resource: Resource, obj: Object) -> str:
    """The storage key of an object."""
    meta = obj["metadata"]
    return resource.key(meta.get("namespace") or "", meta["name"])


def _rest(obj: Object) -> bytes:
    rest = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind", "metadata")}
    return b"," + encode(rest)[1:] if rest else b"}"


def _merged_meta(old: Object, new: Object) -> Object:
    """The new metadata with what a writer cannot change; a new spec is a new generation."""
    kept: Object = old["metadata"]
    meta = dict(new["metadata"])
    meta.setdefault("uid", kept["uid"])
    for name in ("creationTimestamp", "generation", "resourceVersion", "deletionTimestamp"):
        if name in kept:
            meta[name] = kept[name]
    if "generation" in kept and old.get("spec") != new.get("spec"):
        meta["generation"] = kept["generation"] + 1
    return meta
