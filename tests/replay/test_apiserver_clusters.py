"""The made-up cluster, its churn, and the builders of many objects."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import trio
from trio.testing import MockClock

from replay.apiserver import ApiServer, Model
from replay.apiserver.churn import EXTRA_CERTIFICATES_MAX, EXTRA_PODS_MAX, Churn
from replay.apiserver.clusters import counts, demo, populate
from tests.replay.http_client import METADATA_LIST, Client


def made(seed: int) -> Model:
    """The demo cluster of a seed."""
    model = Model(random=Random(seed))
    demo(model)
    return model


def test_the_demo_cluster_is_small_and_varied() -> None:
    """Some 150 objects of a dozen kinds, among them custom ones."""
    found = dict(counts(made(1)))

    assert 120 <= sum(found.values()) <= 180
    assert len(found) >= 12
    assert found["certificates.cert-manager.io"] == 10


def test_a_seed_is_a_cluster() -> None:
    """The same seed gives the same cluster, another seed another one."""
    one, two, three = made(1), made(1), made(2)

    assert one.names("pods") == two.names("pods")
    assert one.names("pods") != three.names("pods")


def test_churn_creates_changes_and_deletes_within_bounds() -> None:
    """All three kinds of change happen, and the cluster does not grow without end."""
    model = made(1)
    before = dict(counts(model))
    churn = Churn(model)
    for _ in range(2000):
        churn.step()
    after = dict(counts(model))

    events: Counter[str] = Counter()
    for name in ("pods", "certificates.cert-manager.io"):
        events.update(event.type for event in model.store.collections[name].history)
    assert min(events["ADDED"], events["MODIFIED"], events["DELETED"]) > 50
    assert after["pods"] <= before["pods"] + EXTRA_PODS_MAX
    name = "certificates.cert-manager.io"
    assert after[name] <= before[name] + EXTRA_CERTIFICATES_MAX


def test_churn_does_not_mind_what_others_delete() -> None:
    """Objects that vanish under it are left alone."""
    model = made(1)
    churn = Churn(model)
    for _ in range(50):
        churn.step()
    for resource in ("pods", "certificates"):
        for namespace, name in model.names(resource):
            model.delete(resource, name, namespace)

    for _ in range(50):
        churn.step()

    assert "pods=" in repr(churn)


async def test_churn_runs_at_its_rate(autojump_clock: MockClock) -> None:
    """About four changes a second."""
    model = made(1)
    started = model.store.rv

    with trio.move_on_after(100):
        await Churn(model).run()

    assert 300 <= model.store.rv - started <= 500


def test_objects_are_dealt_over_namespaces() -> None:
    """Names are numbered, namespaces take turns, managers add their fields."""
    model = made(1)

    populate(model, "configmaps", 60, namespaces=20, prefix="cm", managers=2)
    populate(model, "nodes", 3, prefix="n")

    names = [key for key in model.names("configmaps") if key[0].startswith("ns-")]
    assert len(names) == 60
    assert names[0] == ("ns-00", "cm-00")
    assert len({namespace for namespace, _ in names}) == 20
    meta = (model.get("configmaps", "cm-00", "ns-00") or {})["metadata"]
    assert len(meta["managedFields"]) == 2
    assert model.get("nodes", "n-2") is not None


@pytest.mark.slow
async def test_five_thousand_objects_are_listed_in_pages(autojump_clock: MockClock) -> None:
    """A larger kind comes whole, page by page."""
    model = Model()
    populate(model, "configmaps", 5000, namespaces=20)
    server = ApiServer(model)
    async with server.memory() as connect:
        client = Client(await connect())
        seen, token = 0, ""
        while True:
            path = f"/api/v1/configmaps?limit=500&continue={token}"
            page = (await client.get(path, METADATA_LIST)).json()
            seen += len(page["items"])
            token = page["metadata"].get("continue", "")
            if not token:
                break

    assert seen == 5000
    assert len(server.requests) == 10
