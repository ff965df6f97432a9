"""Lists: pages, forms, and the rules for resourceVersion and continue."""

from __future__ import annotations

import gzip
import json

import pytest
import trio
from trio.testing import MockClock

from replay.apiserver import ApiServer
from replay.apiserver.clusters import populate
from tests.replay.conftest import CERTIFICATES, IN_SHOP, Dial
from tests.replay.http_client import METADATA, METADATA_LIST


async def test_pages_make_up_the_whole_list_at_one_revision(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Following continue gives every object once, and all pages carry the first one's RV."""
    client = await dial()
    names, versions, path = [], set(), f"{CERTIFICATES}?limit=5"
    token = ""
    while True:
        page = (await client.get(f"{path}&continue={token}" if token else path)).json()
        versions.add(page["metadata"]["resourceVersion"])
        names += [(i["metadata"]["namespace"], i["metadata"]["name"]) for i in page["items"]]
        # Changes between pages must not be seen.
        server.model.create(
            "certificates", {"metadata": {"namespace": "zoo", "name": f"n{len(names)}"}}
        )
        server.model.patch("certificates", "web-5", {"spec": {"index": len(names)}}, "shop")
        token = page["metadata"]["continue"]
        if not token:
            break

    assert names == [(n, f"web-{i}") for n in ("payments", "shop") for i in range(6)]
    assert len(versions) == 1


async def test_pages_say_how_many_items_remain(autojump_clock: MockClock, dial: Dial) -> None:
    """RemainingItemCount counts what follows."""
    client = await dial()

    page = (await client.get(f"{IN_SHOP}?limit=2")).json()

    assert page["metadata"]["remainingItemCount"] == 4


async def test_a_namespace_is_listed_alone(autojump_clock: MockClock, dial: Dial) -> None:
    """A namespaced path lists that namespace, an unknown one is empty and 200."""
    client = await dial()

    shop = (await client.get(IN_SHOP)).json()
    none = await client.get(IN_SHOP.replace("shop", "nowhere"))

    assert {item["metadata"]["namespace"] for item in shop["items"]} == {"shop"}
    assert (none.status, none.json()["items"]) == (200, [])


async def test_metadata_only_lists_carry_no_spec(autojump_clock: MockClock, dial: Dial) -> None:
    """PartialObjectMetadataList holds items of kind PartialObjectMetadata."""
    client = await dial()

    listed = (await client.get(CERTIFICATES, METADATA_LIST)).json()

    assert listed["kind"] == "PartialObjectMetadataList"
    assert {item["kind"] for item in listed["items"]} == {"PartialObjectMetadata"}
    assert all(set(item) == {"kind", "apiVersion", "metadata"} for item in listed["items"])


async def test_the_form_of_a_watch_is_not_acceptable_for_a_list(
    autojump_clock: MockClock, dial: Dial
) -> None:
    """The crossed form is 406, although plain JSON would be allowed too."""
    client = await dial()

    response = await client.get(CERTIFICATES, METADATA)

    assert (response.status, response.json()["reason"]) == (406, "NotAcceptable")


async def test_only_custom_resources_name_their_kind_inside_a_list(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Items of built-in kinds have no apiVersion and kind; their names come from the list."""
    server.model.create("configmaps", {"metadata": {"namespace": "shop", "name": "x"}, "data": {}})
    client = await dial()

    custom = (await client.get(CERTIFICATES)).json()
    built_in = (await client.get("/api/v1/configmaps")).json()

    assert custom["items"][0]["kind"] == "Certificate"
    assert "kind" not in built_in["items"][0]
    assert built_in["kind"] == "ConfigMapList"


async def test_every_served_version_has_the_same_objects(
    autojump_clock: MockClock, dial: Dial
) -> None:
    """Another version is another apiVersion on the same uids."""
    client = await dial()

    one = (await client.get(CERTIFICATES)).json()["items"][0]
    two = (await client.get(CERTIFICATES.replace("/v1/", "/v1beta1/"))).json()["items"][0]

    assert two["apiVersion"] == "cert-manager.io/v1beta1"
    assert two["metadata"] == one["metadata"]


async def test_a_compacted_continue_token_is_expired(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """410 with a token that goes on inconsistently, which then works."""
    client = await dial()
    token = (await client.get(f"{CERTIFICATES}?limit=5")).json()["metadata"]["continue"]
    server.expire_continue()

    expired = await client.get(f"{CERTIFICATES}?limit=5&continue={token}")
    status = expired.json()
    rest = await client.get(f"{CERTIFICATES}?continue={status['metadata']['continue']}")

    assert (expired.status, status["reason"]) == (410, "Expired")
    assert len(rest.json()["items"]) == 7


async def test_a_limit_with_a_bare_revision_means_exactly_that_one(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """The legacy rule: RV and limit without a match list the past, or 410 once it is gone."""
    client = await dial()
    rv = (await client.get(CERTIFICATES)).json()["metadata"]["resourceVersion"]
    server.model.delete("certificates", "web-0", "shop")

    then = (await client.get(f"{CERTIFICATES}?resourceVersion={rv}&limit=100")).json()
    newer = (await client.get(f"{CERTIFICATES}?resourceVersion={rv}")).json()
    server.expire_continue()
    gone = await client.get(f"{CERTIFICATES}?resourceVersion={rv}&resourceVersionMatch=Exact")

    assert (len(then["items"]), then["metadata"]["resourceVersion"]) == (12, rv)
    assert len(newer["items"]) == 11
    assert gone.status == 410


async def test_any_revision_ignores_the_limit(autojump_clock: MockClock, dial: Dial) -> None:
    """With resourceVersion=0 the whole collection comes from the cache in one body."""
    client = await dial()

    listed = (await client.get(f"{CERTIFICATES}?resourceVersion=0&limit=2")).json()

    assert len(listed["items"]) == 12


async def test_a_revision_from_the_future_is_too_large_after_three_seconds(
    autojump_clock: MockClock, dial: Dial
) -> None:
    """504 with the cause ResourceVersionTooLarge and a retry after one second."""
    client = await dial()
    started = trio.current_time()

    path = f"{CERTIFICATES}?resourceVersion=99999&resourceVersionMatch=NotOlderThan"
    response = await client.get(path)

    status = response.json()
    assert response.status == 504
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert response.headers["retry-after"] == "1"
    assert trio.current_time() - started == pytest.approx(3, abs=0.1)


async def test_a_revision_that_comes_in_time_is_waited_for(
    autojump_clock: MockClock, server: ApiServer, dial: Dial, nursery: trio.Nursery
) -> None:
    """A list that is one write ahead is answered when that write has come."""
    client = await dial()
    wanted = server.model.store.rv + 1

    async def write_later() -> None:
        await trio.sleep(1)
        server.model.store.tick()

    nursery.start_soon(write_later)
    path = f"{CERTIFICATES}?resourceVersion={wanted}&resourceVersionMatch=NotOlderThan"
    response = await client.get(path)

    assert response.status == 200


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("resourceVersionMatch=Exact", 422, "forbidden unless resourceVersion is provided"),
        ("resourceVersionMatch=Exact&resourceVersion=0", 422, "is forbidden for resourceVersion"),
        ("resourceVersionMatch=Foo&resourceVersion=1", 422, 'Unsupported value: "Foo"'),
        ("sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list"),
        ("resourceVersionMatch=Exact&continue=x", 422, "is forbidden when continue is provided"),
        ("resourceVersion=abc", 400, 'parsing "abc": invalid syntax'),
        ("resourceVersion=5&continue=eyJ9", 400, "not allowed when using continue"),
        ("continue=abc", 400, "invalid continue token"),
        ("limit=abc", 400, "strconv.ParseInt"),
        ("labelSelector=a=b", 400, "labelSelector is not served"),
    ],
)
async def test_options_that_break_the_rules_are_refused(
    autojump_clock: MockClock, dial: Dial, query: str, status: int, said: str
) -> None:
    """Each bad combination has the status and the message of the real server."""
    client = await dial()

    response = await client.get(f"{CERTIFICATES}?{query}")

    assert response.status == status
    assert said in response.json()["message"]


async def test_large_lists_are_chunked_and_small_ones_have_a_length(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """A body beyond one chunk is streamed; both are one JSON document."""
    populate(server.model, "configmaps", 1000, namespaces=3)
    client = await dial()

    small = await client.get(CERTIFICATES)
    large = await client.get("/api/v1/configmaps")

    assert "content-length" in small.headers
    assert large.headers["transfer-encoding"] == "chunked"
    assert len(large.json()["items"]) == 1000


async def test_only_large_lists_are_compressed(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Gzip is used on request for bodies over 128 KiB."""
    populate(server.model, "configmaps", 1000)
    client = await dial()

    small = await client.get(CERTIFICATES, **{"Accept-Encoding": "gzip"})
    large = await client.get("/api/v1/configmaps", **{"Accept-Encoding": "gzip"})

    assert "content-encoding" not in small.headers
    assert len(json.loads(gzip.decompress(large.body))["items"]) == 1000


async def test_planted_bytes_appear_as_they_are(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """An object that no client could create can be served all the same."""
    resource = server.model.resource("certificates")
    server.model.store.plant(resource, "shop/bad", b'{"metadata":null}')
    client = await dial()

    items = (await client.get(IN_SHOP)).json()["items"]
    server.model.store.delete(resource, "shop", "bad")

    assert items[0] == {"metadata": None}
    assert ("shop", "bad") not in server.model.names("certificates")


async def test_one_object_can_be_read(autojump_clock: MockClock, dial: Dial) -> None:
    """GET gives the object in full or its metadata; an unknown one is 404 with details."""
    client = await dial()

    full = await client.get(f"{IN_SHOP}/web-1")
    partial = await client.get(f"{IN_SHOP}/web-1", METADATA)
    crossed = await client.get(f"{IN_SHOP}/web-1", METADATA_LIST)
    missing = await client.get(f"{IN_SHOP}/nope")

    assert full.json()["spec"] == {"index": 1}
    assert partial.json()["kind"] == "PartialObjectMetadata"
    assert crossed.status == 500
    assert missing.json()["message"] == 'certificates.cert-manager.io "nope" not found'


async def test_a_wrong_scope_is_no_path(autojump_clock: MockClock, dial: Dial) -> None:
    """A cluster kind has no namespaced path, a namespaced object none without its namespace."""
    client = await dial()

    assert (await client.get("/api/v1/namespaces/shop/nodes")).status == 404
    assert (await client.get(f"{CERTIFICATES}/web-1")).status == 404
    assert (await client.get("/api/v1/namespaces/shop")).status == 200


async def test_head_has_the_length_and_no_body(autojump_clock: MockClock, dial: Dial) -> None:
    """HEAD is no verb of the API; its refusal has headers only, and the connection lives on."""
    client = await dial()

    response = await client.request("HEAD", CERTIFICATES, {})

    assert (response.status, response.body) == (405, b"")
    assert (await client.get(CERTIFICATES)).status == 200
