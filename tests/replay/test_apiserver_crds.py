"""CustomResourceDefinitions: resources that come, are rebuilt, lose a version and go."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from replay.apiserver import ApiServer, Model, definition
from replay.apiserver.crds import priority
from replay.apiserver.objects import Object
from tests.replay.conftest import CERTIFICATES, Dial
from tests.replay.http_client import AGGREGATED, Lines

CRD = "certificates.cert-manager.io"


async def open_watch(dial: Dial, rv: int, path: str = CERTIFICATES) -> Lines:
    """A watch on a connection of its own."""
    return await (await dial()).watch(f"{path}?watch=1&resourceVersion={rv}&timeoutSeconds=300")


def crd(model: Model) -> Object:
    """The stored definition of certificates."""
    found = model.get("customresourcedefinitions", CRD)
    assert found is not None
    return found


async def test_a_new_crd_is_served_at_once(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Created over HTTP it is established, discovered, listed and can be written to."""
    client = await dial()
    foos = definition("x.io", "Foo", "foos", namespaced=False, categories=("all",))

    made = await client.send(
        "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", foos
    )
    foo = {"apiVersion": "x.io/v1", "kind": "Foo", "metadata": {"name": "a"}}
    written = await client.send("POST", "/apis/x.io/v1/foos", foo)
    groups = (await client.get("/apis", AGGREGATED)).json()["items"]
    listed = (await client.get("/apis/x.io/v1/foos")).json()

    conditions = {c["type"]: c["status"] for c in made.json()["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert written.status == 201
    assert "x.io" in {group["metadata"]["name"] for group in groups}
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]


async def test_a_spec_change_rebuilds_the_storage(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Watches end cleanly, then 429 for a while, then old revisions are expired; objects stay."""
    rv = server.model.store.rv
    lines = await open_watch(dial, rv)
    client = await dial()

    change = {"spec": {"versions": [*crd(server.model)["spec"]["versions"], {"name": "v2"}]}}
    server.model.patch("customresourcedefinitions", CRD, change)
    ended = await lines.event()
    busy = await client.get(CERTIFICATES)
    await trio.sleep(2)
    event = await (await open_watch(dial, rv)).event()
    listed = (await client.get(CERTIFICATES)).json()

    assert ended is None
    assert (busy.status, busy.headers["retry-after"]) == (429, "1")
    assert busy.json()["message"] == "storage is (re)initializing"
    assert busy.json()["details"]["retryAfterSeconds"] == 1
    assert event["object"]["code"] == 410
    assert len(listed["items"]) == 12


async def test_a_change_beside_the_spec_rebuilds_nothing(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """A label on the CRD does not disturb its watches."""
    lines = await open_watch(dial, server.model.store.rv)

    change = {"metadata": {"labels": {"a": "b"}}}
    server.model.patch("customresourcedefinitions", CRD, change)
    server.model.delete("certificates", "web-0", "shop")

    assert await lines.names(1) == [("DELETED", "web-0")]


async def test_a_deleted_crd_takes_its_objects_along(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """A flood of DELETED, a clean end, then 404 and no trace in discovery."""
    lines = await open_watch(dial, server.model.store.rv)
    client = await dial()

    server.model.delete("customresourcedefinitions", CRD)
    flood = await lines.names(12)
    ended = await lines.event()
    gone = await client.get(CERTIFICATES)
    groups = (await client.get("/apis", AGGREGATED)).json()["items"]

    assert {kind for kind, _ in flood} == {"DELETED"}
    assert ended is None
    assert (gone.status, gone.body) == (404, b"404 page not found\n")
    assert "cert-manager.io" not in {group["metadata"]["name"] for group in groups}
    assert server.seen("list", CRD)[-1].status == 404


async def test_a_crd_can_come_back_with_another_scope(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Recreated, it has another uid, no objects, and the paths of its new scope."""
    uid = crd(server.model)["metadata"]["uid"]
    client = await dial()
    server.model.delete("customresourcedefinitions", CRD)

    again = definition("cert-manager.io", "Certificate", "certificates", namespaced=False)
    server.model.create("customresourcedefinitions", again)
    listed = await client.get(CERTIFICATES)
    namespaced = await client.get("/apis/cert-manager.io/v1/namespaces/shop/certificates")

    assert crd(server.model)["metadata"]["uid"] != uid
    assert listed.json()["items"] == []
    assert namespaced.status == 404


async def test_a_version_can_be_dropped(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """What is no longer served is 404, the other version keeps all objects."""
    versions = crd(server.model)["spec"]["versions"]
    client = await dial()

    change = {"spec": {"versions": [versions[0], {**versions[1], "served": False}]}}
    server.model.patch("customresourcedefinitions", CRD, change)
    await trio.sleep(2)

    assert (await client.get(CERTIFICATES.replace("/v1/", "/v1beta1/"))).status == 404
    assert len((await client.get(CERTIFICATES)).json()["items"]) == 12


async def test_a_crd_without_served_versions_is_not_discovered(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Its path is gone while its objects stay in the store."""
    versions = [{**v, "served": False} for v in crd(server.model)["spec"]["versions"]]
    client = await dial()

    server.model.patch("customresourcedefinitions", CRD, {"spec": {"versions": versions}})
    during = await client.get(CERTIFICATES)
    served = [{**v, "served": True} for v in versions]
    server.model.patch("customresourcedefinitions", CRD, {"spec": {"versions": served}})
    await trio.sleep(2)

    assert during.status == 404
    assert len((await client.get(CERTIFICATES)).json()["items"]) == 12


def test_versions_are_sorted_as_kubernetes_does() -> None:
    """Stable before beta before alpha, higher numbers first, everything else last."""
    names = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "foo1"]

    assert sorted(sorted(names), key=priority) == names
