"""The cluster that is served: objects by resource name, and what CRDs do to the catalog."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import trio

from . import crds
from .objects import NotFoundError, Object, Stored
from .resources import CRDS, Catalog, Resource, built_in
from .store import HISTORY_LIMIT_EVENTS, Store

# The wall clock of a server that was given none: 2026-01-01, so that one seed gives one cluster.
FIXED_WALL_CLOCK_SECONDS = 1_767_225_600.0


def fixed_wall_clock() -> float:
    """A wall clock that stands still."""
    return FIXED_WALL_CLOCK_SECONDS


class Model:
    """Every write goes through here, from tests, from churn and from HTTP."""

    def __init__(
        self,
        *,
        random: Random | None = None,
        wall_clock: Callable[[], float] = fixed_wall_clock,
        now: Callable[[], float] = trio.current_time,
        history_limit: int = HISTORY_LIMIT_EVENTS,
        reinitializing_seconds: float = crds.REINITIALIZING_SECONDS,
    ) -> None:
        self.random = random or Random(0)
        self.store = Store(random=self.random, wall_clock=wall_clock, history_limit=history_limit)
        self.catalog = Catalog()
        for resource in built_in():
            self.catalog.put(resource)
        self.now = now
        self.reinitializing_seconds = reinitializing_seconds
        self._initializing_until: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Model {self.store!r} resources={len(self.catalog.resources)}>"

    def resource(self, name: str) -> Resource:
        """By full name or plural; KeyError when not served."""
        return self.catalog.named(name)

    def get(self, resource: str, name: str, namespace: str = "") -> Object | None:
        """The whole object with apiVersion and kind, or None."""
        found = self.catalog.named(resource)
        item = self.store.find(found, namespace, name)
        return None if item is None else self.whole(found, item)

    def whole(self, resource: Resource, item: Stored) -> Object:
        """A stored object with apiVersion and kind of the preferred version."""
        api_version = resource.api_version(resource.versions[0])
        return {"apiVersion": api_version, "kind": resource.kind, **item.to_object()}

    def create(self, resource: str, obj: Object) -> Stored:
        """Add an object; raises AlreadyExistsError. A new CRD is served at once."""
        found = self.catalog.named(resource)
        if found.full_name != CRDS.full_name:
            return self.store.create(found, obj)
        obj = crds.admit(obj, self.store.timestamp())
        item = self.store.create(found, obj)
        self._serve(obj)
        served = self.catalog.resources.get(crds.full_name(obj))
        if served is not None:
            # Its storage begins with its own first list.
            self.store.collection(served).forget(self.store.rv)
        return item

    def update(self, resource: str, obj: Object) -> Stored:
        """Replace an object's content; raises NotFoundError and ConflictError."""
        found = self.catalog.named(resource)
        if obj["metadata"].get("deletionTimestamp") and not obj["metadata"].get("finalizers"):
            return self._remove(found, obj["metadata"])
        if found.full_name != CRDS.full_name:
            return self.store.update(found, obj)
        return self._update_crd(found, obj)

    def patch(self, resource: str, name: str, change: Object, namespace: str = "") -> Stored:
        """Merge a JSON merge patch (RFC 7386) in; raises NotFoundError and ConflictError."""
        found = self.catalog.named(resource)
        item = self.store.find(found, namespace, name)
        if item is None:
            raise NotFoundError(name)
        old = item.to_object()
        # The object's own resourceVersion says nothing about the writer; one in the patch does.
        old["metadata"].pop("resourceVersion")
        return self.update(found.full_name, merge(old, change))

    def delete(self, resource: str, name: str, namespace: str = "") -> Stored:
        """Remove an object, or mark it while it has finalizers; raises NotFoundError.

        A namespace takes its contents along and a CRD its objects, both before they go.
        """
        found = self.catalog.named(resource)
        item = self.store.find(found, namespace, name)
        if item is None:
            raise NotFoundError(name)
        if item.raw is None and (item.to_object()["metadata"].get("finalizers")):
            return self._mark_deleted(found, item)
        return self._remove(found, {"namespace": namespace, "name": name})

    def replace(self, resource: str, obj: Object) -> Stored:
        """Delete the object of that name and create this one, which gets another uid."""
        meta = obj["metadata"]
        self.delete(resource, meta["name"], meta.get("namespace", ""))
        return self.create(resource, {**obj, "metadata": {**meta, "uid": self.store.new_uid()}})

    def names(self, resource: str) -> list[tuple[str, str]]:
        """(namespace, name) of every object, in list order."""
        found = self.catalog.named(resource)
        keys = self.store.collection(found).snapshot().keys
        return [
            (k.partition("/")[0], k.partition("/")[2]) if found.namespaced else ("", k)
            for k in keys
        ]

    def initializing(self, resource: Resource) -> bool:
        """True while a changed CRD's storage is being rebuilt."""
        until = self._initializing_until.get(resource.full_name)
        return until is not None and self.now() < until

    def _serve(self, crd: Object) -> None:
        resource = crds.to_resource(crd)
        if resource is not None:
            self.catalog.put(resource)
        elif crds.full_name(crd) in self.catalog.resources:
            self.catalog.remove(crds.full_name(crd))

    def _update_crd(self, found: Resource, obj: Object) -> Stored:
        name = obj["metadata"]["name"]
        before = self.store.find(found, "", name)
        if before is None:
            raise NotFoundError(name)
        obj = crds.admit(obj, self.store.timestamp())
        item = self.store.update(found, obj)
        if before.to_object()["spec"] != obj["spec"]:
            self._rebuild(obj)
        return item

    def _rebuild(self, crd: Object) -> None:
        """Any change of a CRD's spec tears the storage down and builds it anew."""
        served = self.catalog.resources.get(crds.full_name(crd))
        self._serve(crd)
        if served is None:
            return
        self.store.collection(served).end_watches()
        self.store.forget_history(served)
        self._initializing_until[served.full_name] = self.now() + self.reinitializing_seconds

    def _mark_deleted(self, found: Resource, item: Stored) -> Stored:
        obj = item.to_object()
        if "deletionTimestamp" in obj["metadata"]:
            return item
        marked = {"deletionTimestamp": self.store.timestamp(), "deletionGracePeriodSeconds": 0}
        obj["metadata"] |= marked
        return self.store.update(found, obj)

    def _remove(self, found: Resource, meta: dict[str, Any]) -> Stored:
        namespace, name = meta.get("namespace") or "", meta["name"]
        if found.full_name == "namespaces":
            self._empty_namespace(name)
        if found.full_name == CRDS.full_name:
            self._withdraw(name)
        return self.store.delete(found, namespace, name)

    def _empty_namespace(self, namespace: str) -> None:
        for resource in [r for r in self.catalog if r.namespaced]:
            snapshot = self.store.collection(resource).snapshot()
            start, stop = snapshot.span(namespace)
            for key in snapshot.keys[start:stop]:
                self.store.delete(resource, namespace, key.partition("/")[2])

    def _withdraw(self, full_name: str) -> None:
        """Delete all objects of a CRD's resource, close its watches, serve it no longer."""
        resource = self.catalog.resources.get(full_name)
        if resource is None:
            return
        for namespace, name in self.names(full_name):
            self.store.delete(resource, namespace, name)
        self.store.collection(resource).end_watches()
        self.store.drop(resource)
        self.catalog.remove(full_name)
        self._initializing_until.pop(full_name, None)


def merge(target: Any, change: Any) -> Any:
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if not isinstance(change, dict):
        return change
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged
