"""One kind's objects at one epoch, immutable; deltas and lists turn one snapshot into the next.

Two levels of persistent maps (namespace, then name): a batch shares everything that it does
not touch, so its cost follows the batch and not the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from immutables import Map

from orka.daemon.model import Delta, DeltaKind, Key, ResourceVersion, TruthChange
from orka.daemon.world.diff import Transition, Transitions, record
from orka.proto.messages import LiteObj

Names = Map[str, LiteObj]
Objects = Map[str, Names]  # "" holds the objects of cluster-scoped kinds

EMPTY: Objects = Map()
NO_NAMES: Names = Map()

# A view of a kind: every namespace, or exactly these.
View = frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What readers see. `epoch` grows by one per batch that changed something."""

    lineage: str
    epoch: int
    objects: Objects
    count: int
    resource_version: ResourceVersion  # up to which this kind is applied; "" before the first list
    synced: bool  # a complete list has been applied in this lineage
    truth: TruthChange
    truth_since: float  # wall seconds

    def __repr__(self) -> str:
        return (
            f"<Snapshot {self.lineage}:{self.epoch}@{self.resource_version}"
            f" objects={self.count} {self.truth.state}>"
        )

    def get(self, key: Key) -> LiteObj | None:
        """The object under this key."""
        return self.objects.get(key[0] or "", NO_NAMES).get(key[1])

    def count_in(self, view: View) -> int:
        """How many objects the view shows."""
        if view is None:
            return self.count
        return sum(len(self.objects.get(namespace, NO_NAMES)) for namespace in view)

    def rows(self, view: View) -> Iterator[list[LiteObj]]:
        """The view's objects by namespace, then name: one list per namespace."""
        for namespace in sorted(self.objects if view is None else view):
            names = self.objects.get(namespace, NO_NAMES)
            if names:
                yield [names[name] for name in sorted(names)]

    def pages(self, view: View, page_max_rows: int) -> Iterator[list[LiteObj]]:
        """The same rows in the same order, in pages of at most `page_max_rows`."""
        page: list[LiteObj] = []
        for rows in self.rows(view):
            page += rows
            while len(page) >= page_max_rows:
                yield page[:page_max_rows]
                page = page[page_max_rows:]
        if page:
            yield page


def empty_snapshot(lineage: str, truth: TruthChange, now: float) -> Snapshot:
    """A kind of which nothing is known yet."""
    return Snapshot(lineage, 0, EMPTY, 0, ResourceVersion(""), False, truth, now)


def apply_deltas(snapshot: Snapshot, deltas: Iterable[Delta]) -> tuple[Snapshot, Transitions]:
    """The next snapshot, and what became of each key; the same snapshot if nothing changed.

    An Applied of an unknown key adds it, a Deleted of an unknown key does nothing (the API
    server may repeat events). A delete removes only the uid it names. The same (uid,
    resourceVersion) again is no change.
    """
    editor = _Editor(snapshot)
    for delta in deltas:
        current = editor.get(delta.key)
        if delta.kind is DeltaKind.DELETED:
            if current is not None and (current.uid == delta.uid or delta.clears):
                editor.remove(delta.key, current)
        elif delta.obj is not None and not _same(current, delta.obj):
            editor.put(delta.key, current, delta.obj)
    return editor.finish()


def apply_list(snapshot: Snapshot, objects: Sequence[LiteObj]) -> tuple[Snapshot, Transitions]:
    """The snapshot that shows exactly `objects`, and the difference, marked as inferred.

    Objects that did not change are kept as they are, so that a relist costs the memory of
    what changed and not of the kind.
    """
    editor = _Editor(snapshot, inferred=True)
    listed: set[Key] = set()
    for obj in objects:
        key = (obj.namespace, obj.name)
        listed.add(key)
        current = editor.get(key)
        if not _same(current, obj):
            editor.put(key, current, obj)
    if snapshot.count + editor.grown > len(listed):
        for names in snapshot.objects.values():
            for obj in names.values():
                key = (obj.namespace, obj.name)
                if key not in listed:
                    editor.remove(key, obj)
    return editor.finish()


def _same(current: LiteObj | None, new: LiteObj) -> bool:
    return (
        current is not None
        and current.uid == new.uid
        and current.resource_version == new.resource_version
    )


class _Editor:
    """Collects one batch's edits on mutable copies of the maps that it touches."""

    def __init__(self, base: Snapshot, *, inferred: bool = False) -> None:
        self._base = base
        self._inferred = inferred
        self._touched: dict[str, dict[str, LiteObj | None]] = {}
        self._transitions: Transitions = {}
        self.grown = 0

    def get(self, key: Key) -> LiteObj | None:
        namespace, name = key[0] or "", key[1]
        touched = self._touched.get(namespace)
        if touched is not None and name in touched:
            return touched[name]
        return self._base.objects.get(namespace, NO_NAMES).get(name)

    def put(self, key: Key, before: LiteObj | None, after: LiteObj) -> None:
        self._edit(key, before, after)
        self.grown += before is None

    def remove(self, key: Key, before: LiteObj) -> None:
        self._edit(key, before, None)
        self.grown -= 1

    def _edit(self, key: Key, before: LiteObj | None, after: LiteObj | None) -> None:
        self._touched.setdefault(key[0] or "", {})[key[1]] = after
        record(self._transitions, key, Transition(before, after, self._inferred))

    def finish(self) -> tuple[Snapshot, Transitions]:
        if not self._transitions:
            return self._base, self._transitions
        objects = self._base.objects.mutate()
        for namespace, edits in self._touched.items():
            names = _edited(objects.get(namespace, NO_NAMES), edits)
            if names:
                objects[namespace] = names
            else:
                objects.pop(namespace, None)
        following = replace(
            self._base,
            epoch=self._base.epoch + 1,
            objects=objects.finish(),
            count=self._base.count + self.grown,
        )
        return following, self._transitions


def _edited(names: Names, edits: dict[str, LiteObj | None]) -> Names:
    edited = names.mutate()
    for name, obj in edits.items():
        if obj is None:
            edited.pop(name, None)
        else:
            edited[name] = obj
    return edited.finish()
