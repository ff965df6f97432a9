"""The model store: revisions, history, snapshots and what CRDs and namespaces take along."""

from __future__ import annotations

from random import Random

import pytest

from replay.apiserver import AlreadyExistsError, ConflictError, NotFoundError
from replay.apiserver.model import Model, merge
from replay.apiserver.objects import ExpiredError
from replay.apiserver.resources import CRDS
from replay.apiserver.store import SNAPSHOTS_MAX
from tests.replay.conftest import small_model


def test_one_counter_numbers_the_writes_of_all_resources() -> None:
    """Writes of different resources take numbers from one counter, as in etcd."""
    model = Model()
    first = model.create("configmaps", {"metadata": {"namespace": "a", "name": "x"}})
    second = model.create("secrets", {"metadata": {"namespace": "a", "name": "x"}})

    assert second.rv == first.rv + 1


def test_a_create_fills_what_the_server_owns() -> None:
    """Uid, creationTimestamp and resourceVersion come from the store; a spec has a generation."""
    model = small_model()

    meta = (model.get("certificates", "web-0", "shop") or {})["metadata"]

    assert meta["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert len(meta["uid"]) == 36
    assert meta["generation"] == 1


def test_the_same_seed_gives_the_same_objects() -> None:
    """Two models of one seed are equal to the byte."""
    one, two = small_model(), small_model()

    assert one.get("certificates", "web-3", "shop") == two.get("certificates", "web-3", "shop")


def test_a_name_can_be_taken_only_once() -> None:
    """Creating an existing object is refused."""
    model = small_model()

    with pytest.raises(AlreadyExistsError):
        model.create("certificates", {"metadata": {"namespace": "shop", "name": "web-0"}})


def test_a_write_from_an_older_object_conflicts() -> None:
    """An update must come from the stored resourceVersion, if it names one."""
    model = small_model()
    stale = model.get("certificates", "web-0", "shop") or {}
    model.patch("certificates", "web-0", {"spec": {"index": 9}}, "shop")

    with pytest.raises(ConflictError):
        model.update("certificates", {**stale, "spec": {}})


def test_an_update_keeps_the_uid_and_counts_spec_changes() -> None:
    """Identity stays with an update; only another spec makes another generation."""
    model = small_model()
    before = (model.get("certificates", "web-0", "shop") or {})["metadata"]
    model.patch("certificates", "web-0", {"metadata": {"labels": {"a": "b"}}}, "shop")
    model.patch("certificates", "web-0", {"spec": {"index": 9}}, "shop")

    after = (model.get("certificates", "web-0", "shop") or {})["metadata"]

    assert after["uid"] == before["uid"]
    assert after["generation"] == 2


def test_an_update_that_changes_nothing_costs_no_revision() -> None:
    """A patch without effect is no event."""
    model = small_model()
    rv = model.store.rv

    model.patch("certificates", "web-0", {"spec": {"index": 0}}, "shop")

    assert model.store.rv == rv


def test_replace_gives_the_name_to_another_object() -> None:
    """After replace the same name has another uid, with a delete in between."""
    model = small_model()
    old = model.get("certificates", "web-0", "shop") or {}
    rv = model.store.rv

    item = model.replace("certificates", {"metadata": {"namespace": "shop", "name": "web-0"}})

    assert item.uid != old["metadata"]["uid"]
    assert item.rv == rv + 2


def test_what_is_not_there_cannot_be_deleted_or_patched() -> None:
    """Both raise NotFoundError."""
    model = small_model()

    with pytest.raises(NotFoundError):
        model.delete("certificates", "nope", "shop")
    with pytest.raises(NotFoundError):
        model.patch("certificates", "nope", {}, "shop")
    with pytest.raises(NotFoundError):
        model.update("certificates", {"metadata": {"namespace": "shop", "name": "nope"}})


def test_finalizers_hold_an_object_until_they_are_gone() -> None:
    """A delete only marks an object with finalizers; without the last one it goes."""
    model = small_model()
    model.patch("certificates", "web-0", {"metadata": {"finalizers": ["x/y"]}}, "shop")
    model.delete("certificates", "web-0", "shop")
    marked = (model.get("certificates", "web-0", "shop") or {})["metadata"]
    model.delete("certificates", "web-0", "shop")

    model.patch("certificates", "web-0", {"metadata": {"finalizers": None}}, "shop")

    assert marked["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    assert model.get("certificates", "web-0", "shop") is None


def test_history_is_bounded_and_says_from_where_it_reaches() -> None:
    """A revision that fell out of the history is Expired, the oldest kept one is not."""
    model = small_model(history_limit=3)
    collection = model.store.collection(model.resource("certificates"))
    for index in range(5):
        model.patch("certificates", "web-0", {"spec": {"index": 100 + index}}, "shop")
    rv = model.store.rv

    assert [event.rv for event in collection.since(rv - 3)] == [rv - 2, rv - 1, rv]
    with pytest.raises(ExpiredError, match=rf"too old resource version: {rv - 4} \({rv - 3}\)"):
        collection.since(rv - 4)


def test_an_old_revision_can_be_seen_again() -> None:
    """History played backwards gives the objects as they were."""
    model = small_model()
    collection = model.store.collection(model.resource("certificates"))
    then = collection.snapshot()
    model.delete("certificates", "web-0", "shop")
    model.patch("certificates", "web-1", {"spec": {"index": 9}}, "shop")
    model.create("certificates", {"metadata": {"namespace": "shop", "name": "new"}})

    again = collection.rewound(then.rv)

    assert again.keys == then.keys
    assert [item.rv for item in again.items] == [item.rv for item in then.items]


def test_only_so_many_lists_can_be_paged_at_once() -> None:
    """The oldest pinned snapshot goes first, so that clients who never finish cost nothing."""
    collection = Model().store.collection(CRDS)

    for rv in range(SNAPSHOTS_MAX + 1):
        collection.pin(rv, collection.snapshot())

    assert min(collection.pinned) == 1
    assert len(collection.pinned) == SNAPSHOTS_MAX


def test_lists_are_ordered_by_the_bytes_of_the_path() -> None:
    """As in etcd, `a-b/x` comes before `a/x`, because "-" comes before "/"."""
    model = Model()
    for namespace in ("a", "a-b"):
        model.create("configmaps", {"metadata": {"namespace": namespace, "name": "x"}})

    assert model.names("configmaps") == [("a-b", "x"), ("a", "x")]


def test_a_namespace_takes_its_contents_along() -> None:
    """Deleting a namespace deletes what is in it, and nothing else."""
    model = small_model()

    model.delete("namespaces", "shop")

    assert {namespace for namespace, _ in model.names("certificates")} == {"payments"}


def test_the_delete_of_an_object_carries_its_own_revision() -> None:
    """The last content comes with the resourceVersion of the delete."""
    model = small_model()

    gone = model.delete("certificates", "web-0", "shop")

    meta = gone.to_object()["metadata"]
    assert meta["resourceVersion"] == str(model.store.rv)


def test_merge_patches_follow_the_rfc() -> None:
    """Null removes, objects merge, lists and scalars replace, also over another type."""
    target = {"a": 1, "b": {"c": 2, "d": 3}, "e": [1, 2], "f": "text"}

    merged = merge(target, {"a": None, "b": {"c": 4}, "e": [3], "f": {"g": 1}})

    assert merged == {"b": {"c": 4, "d": 3}, "e": [3], "f": {"g": 1}}


def test_states_print_in_one_line() -> None:
    """What a failing test prints says where the model stands."""
    model = Model(random=Random(1))

    assert repr(model).startswith("<Model <Store rv=1 compacted=0 objects={}> resources=")


def test_an_unknown_resource_is_named_with_its_neighbours() -> None:
    """A typo in a test says what there is."""
    with pytest.raises(KeyError, match="no resource 'podz' among"):
        Model().resource("podz")
