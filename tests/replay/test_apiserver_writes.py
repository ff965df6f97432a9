"""Writes over HTTP: what tests and kubectl need, with the real server's refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from trio.testing import MockClock

from replay.apiserver import ApiServer
from tests.replay.conftest import CERTIFICATES, IN_SHOP, Dial

HEAD: dict[str, Any] = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate"}


async def test_objects_are_created_changed_and_deleted(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """POST, PATCH, PUT and DELETE do what they say and answer with the object."""
    client = await dial()

    made = await client.send(
        "POST", IN_SHOP, {**HEAD, "metadata": {"name": "new"}, "spec": {"a": 1}}
    )
    patched = await client.send("PATCH", f"{IN_SHOP}/new", {"spec": {"a": None, "b": 2}})
    put = await client.send("PUT", f"{IN_SHOP}/new", {**patched.json(), "spec": {"c": 3}})
    deleted = await client.request("DELETE", f"{IN_SHOP}/new", {})

    assert (made.status, made.json()["metadata"]["namespace"]) == (201, "shop")
    assert patched.json()["spec"] == {"b": 2}
    assert put.json()["spec"] == {"c": 3}
    assert put.json()["metadata"]["uid"] == made.json()["metadata"]["uid"]
    assert (deleted.status, deleted.json()["status"]) == (200, "Success")
    assert server.model.get("certificates", "new", "shop") is None


async def test_names_can_be_generated(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """A generateName gets five more characters."""
    client = await dial()

    made = await client.send("POST", IN_SHOP, {**HEAD, "metadata": {"generateName": "job-"}})

    name = made.json()["metadata"]["name"]
    assert name.startswith("job-")
    assert len(name) == 9


async def test_a_whole_namespace_can_be_emptied(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """DELETE on a collection deletes what a list would show."""
    client = await dial()

    response = await client.request("DELETE", IN_SHOP, {})

    assert len(response.json()["items"]) == 6
    assert {namespace for namespace, _ in server.model.names("certificates")} == {"payments"}


async def test_built_in_kinds_need_no_kind_in_the_body(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """As on the real server, only custom resources must name theirs."""
    client = await dial()

    response = await client.send("POST", "/api/v1/namespaces", {"metadata": {"name": "more"}})

    assert (response.status, response.json()["kind"]) == (201, "Namespace")


def body(**meta: str) -> bytes:
    """A certificate with this metadata."""
    return json.dumps({**HEAD, "metadata": meta}).encode()


NONE = IN_SHOP.replace("shop", "none")
REFUSALS: list[tuple[str, str, bytes, int, str]] = [
    ("POST", IN_SHOP, body(name="web-0"), 409, '"web-0" already exists'),
    ("POST", IN_SHOP, body(), 422, "name or generateName is required"),
    ("POST", IN_SHOP, body(name="a", namespace="other"), 400, "does not match"),
    ("POST", NONE, body(name="a"), 404, 'namespaces "none" not found'),
    ("POST", IN_SHOP, b'{"metadata":{"name":"a"}}', 400, "Object 'Kind' is missing"),
    ("POST", IN_SHOP, b'{"kind":"Pod","metadata":{"name":"a"}}', 400, "no kind is served here"),
    ("POST", IN_SHOP, b"{", 400, "json parse error"),
    ("POST", IN_SHOP, b"[]", 400, "no JSON object"),
    ("POST", f"{IN_SHOP}/web-0", body(name="a"), 405, "does not allow this method"),
    ("PUT", f"{IN_SHOP}/nope", body(name="nope"), 404, "not found"),
    ("PUT", f"{IN_SHOP}/web-0", body(name="web-0", resourceVersion="1"), 409, "been modified"),
    ("PUT", "/api/v1/namespaces/shop/configmaps", b"{}", 405, "does not allow this method"),
    ("PATCH", f"{IN_SHOP}/nope", b"{}", 404, "not found"),
    ("PATCH", f"{IN_SHOP}/web-0", b'{"metadata":{"resourceVersion":"1"}}', 409, "modified"),
    ("DELETE", f"{IN_SHOP}/nope", b"", 404, "not found"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case[0]}-{case[3]}")
async def test_bad_writes_are_refused(
    autojump_clock: MockClock, dial: Dial, case: tuple[str, str, bytes, int, str]
) -> None:
    """Each refusal has the status and the words of the real server."""
    method, path, content, status, said = case
    client = await dial()
    merge = "application/merge-patch+json" if method == "PATCH" else "application/json"

    response = await client.request(method, path, {"Content-Type": merge}, content)

    assert response.status == status
    assert said in response.json()["message"]


async def test_unknown_bodies_are_not_guessed_at(autojump_clock: MockClock, dial: Dial) -> None:
    """YAML and JSON patches are 415."""
    client = await dial()

    yaml = await client.send("POST", IN_SHOP, {}, "application/yaml")
    patch = await client.send("PATCH", f"{IN_SHOP}/web-0", [], "application/json-patch+json")

    assert (yaml.status, patch.status) == (415, 415)


async def test_other_paths_and_methods(autojump_clock: MockClock, dial: Dial) -> None:
    """A collection cannot be PUT, an unknown subresource is 404, OPTIONS is no verb."""
    client = await dial()

    put = await client.send("PUT", CERTIFICATES, {})
    scale = await client.get(f"{IN_SHOP}/web-0/scale")
    options = await client.request("OPTIONS", IN_SHOP, {})

    assert (put.status, scale.status, options.status) == (404, 404, 405)


async def test_a_huge_body_is_refused(autojump_clock: MockClock, dial: Dial) -> None:
    """Over 3 MiB the answer is 413 and the connection closes."""
    client = await dial()

    response = await client.request("POST", IN_SHOP, {}, b" " * (3 * 1024 * 1024 + 1))

    assert response.status == 413


async def test_what_is_no_http_is_400(autojump_clock: MockClock, dial: Dial) -> None:
    """A client that speaks something else is told so and closed."""
    client = await dial()

    await client.stream.send_all(b"\x16\x03\x01 hello\r\n\r\n")
    answer = await client.stream.receive_some()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert await client.stream.receive_some() == b""
