"""Discovery: aggregated and plain, complete, and cheap to poll."""

from __future__ import annotations

from trio.testing import MockClock

from replay.apiserver import ApiServer, definition
from tests.replay.conftest import Dial
from tests.replay.http_client import AGGREGATED

BETA = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


async def test_both_roots_answer_aggregated(autojump_clock: MockClock, dial: Dial) -> None:
    """The core group comes from /api, all others from /apis, each with its resources."""
    client = await dial()

    core = (await client.get("/api", AGGREGATED)).json()
    response = await client.get("/apis", f"{AGGREGATED},application/json")

    kinds = [r["resource"] for r in core["items"][0]["versions"][0]["resources"]]
    assert "pods" in kinds
    assert response.headers["content-type"].startswith(
        "application/json;g=apidiscovery.k8s.io;v=v2"
    )
    groups = {item["metadata"]["name"]: item for item in response.json()["items"]}
    [version, beta] = groups["cert-manager.io"]["versions"]
    assert (version["version"], beta["version"]) == ("v1", "v1beta1")
    [found] = version["resources"]
    assert found["responseKind"] == {
        "group": "cert-manager.io",
        "version": "v1",
        "kind": "Certificate",
    }
    assert found["scope"] == "Namespaced"
    assert set(found["verbs"]) >= {"list", "watch"}
    assert found["shortNames"] == ["cert"]


async def test_the_older_aggregated_version_is_known(autojump_clock: MockClock, dial: Dial) -> None:
    """A client that asks for v2beta1 gets it."""
    client = await dial()

    response = await client.get("/apis", BETA)

    assert response.json()["apiVersion"] == "apidiscovery.k8s.io/v2beta1"


async def test_an_unchanged_document_is_not_sent_again(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """If-None-Match with the ETag gives 304 until the resources change."""
    client = await dial()
    etag = (await client.get("/apis", AGGREGATED)).headers["etag"]

    same = await client.get("/apis", AGGREGATED, **{"If-None-Match": etag})
    server.model.create("customresourcedefinitions", definition("x.io", "Foo", "foos"))
    other = await client.get("/apis", AGGREGATED, **{"If-None-Match": etag})

    assert (same.status, same.body) == (304, b"")
    assert other.status == 200


async def test_plain_documents_say_the_same(autojump_clock: MockClock, dial: Dial) -> None:
    """APIVersions, APIGroupList and an APIResourceList per group-version."""
    client = await dial()

    versions = (await client.get("/api")).json()
    groups = (await client.get("/apis")).json()
    one = (await client.get("/apis/cert-manager.io")).json()
    resources = (await client.get("/apis/cert-manager.io/v1")).json()
    core = (await client.get("/api/v1")).json()

    assert (versions["kind"], versions["versions"]) == ("APIVersions", ["v1"])
    assert groups["kind"] == "APIGroupList"
    assert one["preferredVersion"]["version"] == "v1"
    assert [r["name"] for r in resources["resources"]] == ["certificates", "certificates/status"]
    assert {"pods", "configmaps"} <= {r["name"] for r in core["resources"]}


async def test_a_server_without_aggregation_answers_plain(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Asked for both, an old server gives the plain documents."""
    server.aggregated = False
    client = await dial()

    response = await client.get("/apis", f"{AGGREGATED},application/json")

    assert response.headers["content-type"] == "application/json"
    assert response.json()["kind"] == "APIGroupList"


async def test_only_unknown_media_types_are_refused(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """A client that takes nothing we have gets 406."""
    client = await dial()

    response = await client.get("/apis", "application/yaml")

    assert response.status == 406


async def test_unknown_groups_and_paths_are_text(autojump_clock: MockClock, dial: Dial) -> None:
    """404 on a path that does not exist is text, as on the real server."""
    client = await dial()

    for path in ("/apis/nope.io", "/apis/cert-manager.io/v9", "/nope", "/apis/nope.io/v1/foos"):
        response = await client.get(path)
        assert (response.status, response.body) == (404, b"404 page not found\n")


async def test_an_unknown_resource_of_a_built_in_group_is_a_status(
    autojump_clock: MockClock, dial: Dial
) -> None:
    """Built-in group-versions answer 404 with a Status document."""
    client = await dial()

    response = await client.get("/api/v1/nopes")

    assert (response.status, response.json()["reason"]) == (404, "NotFound")


async def test_a_stale_group_is_marked_and_unreachable(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """A group whose server is down is Stale in discovery and 503 below its path."""
    server.stale_group("cert-manager.io")
    client = await dial()

    items = (await client.get("/apis", AGGREGATED)).json()["items"]
    document = await client.get("/apis/cert-manager.io/v1")
    listed = await client.get("/apis/cert-manager.io/v1/certificates")
    server.stale_group("cert-manager.io", stale=False)
    again = await client.get("/apis/cert-manager.io/v1")

    freshness = {i["metadata"]["name"]: i["versions"][0]["freshness"] for i in items}
    assert freshness["cert-manager.io"] == "Stale"
    assert freshness["apps"] == "Current"
    assert (document.status, listed.status, again.status) == (503, 503, 200)


async def test_health_and_version_answer(autojump_clock: MockClock, dial: Dial) -> None:
    """The paths that tools ask first."""
    client = await dial()

    assert (await client.get("/readyz")).body == b"ok"
    assert (await client.get("/version")).json()["major"] == "1"
