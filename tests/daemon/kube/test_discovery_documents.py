"""Discovery documents, aggregated and plain, to resources."""

from __future__ import annotations

import json

import pytest

from orka.daemon.kube.discovery_documents import (
    STALE,
    Aggregated,
    GroupVersion,
    Plain,
    parse_endpoint,
    parse_resource_list,
)
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.model import Resource

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
JSON = "application/json"

POD = {
    "resource": "pods",
    "responseKind": {"group": "", "version": "v1", "kind": "Pod"},
    "scope": "Namespaced",
    "singularResource": "pod",
    "verbs": ["get", "list", "watch"],
    "shortNames": ["po"],
    "categories": ["all"],
    "subresources": [{"subresource": "log"}],
}


def aggregated(*groups: tuple[str, list[object]]) -> bytes:
    """A document of groups with their versions."""
    items = [{"metadata": {"name": name}, "versions": versions} for name, versions in groups]
    return json.dumps({"kind": "APIGroupDiscoveryList", "items": items}).encode()


def versions_of(*versions: object, group: str = "") -> tuple[GroupVersion, ...]:
    """What is parsed of one group's versions."""
    parsed = parse_endpoint("/api", V2, aggregated((group, list(versions))))
    assert isinstance(parsed, Aggregated)
    return parsed.versions


@pytest.mark.parametrize(
    "content_type",
    [
        V2,
        "application/json; as=APIGroupDiscoveryList; v=v2beta1; g=apidiscovery.k8s.io",
        "Application/JSON;G=apidiscovery.k8s.io;charset=utf-8",
    ],
)
def test_the_content_type_says_that_a_document_is_aggregated(content_type: str) -> None:
    """In any order of parameters, with others among them."""
    parsed = parse_endpoint("/api", content_type, aggregated(("", [{"version": "v1"}])))

    assert parsed == Aggregated((GroupVersion("", "v1"),))


def test_a_resource_has_all_that_is_said_about_it() -> None:
    """Names, scope, verbs, categories; subresources are not resources."""
    (version,) = versions_of({"version": "v1", "freshness": "Current", "resources": [POD]})

    assert version.failed == ""
    assert version.resources == (
        Resource(
            group="",
            version="v1",
            kind="Pod",
            resource="pods",
            namespaced=True,
            verbs=frozenset({"get", "list", "watch"}),
            singular="pod",
            short_names=("po",),
            categories=("all",),
        ),
    )


@pytest.mark.parametrize(
    "odd",
    [
        {**POD, "resource": "pods/log"},
        {**POD, "resource": None},
        {**POD, "responseKind": None},
        {**POD, "responseKind": {"kind": ""}},
        {**POD, "verbs": None},
        {},
    ],
)
def test_what_is_no_collection_is_skipped(odd: object) -> None:
    """One odd entry is not the end of the others."""
    (version,) = versions_of({"version": "v1", "resources": [odd, POD]})

    assert [resource.resource for resource in version.resources] == ["pods"]


def test_a_missing_singular_is_the_kind_in_lower_case() -> None:
    """As kubectl makes it."""
    (version,) = versions_of(
        {"version": "v1", "resources": [{**POD, "singularResource": None, "scope": "Cluster"}]}
    )

    assert version.resources[0].singular == "pod"
    assert not version.resources[0].namespaced


def test_a_stale_version_is_a_failed_one() -> None:
    """It keeps the resources that the server remembers."""
    stale, nothing = versions_of(
        {"version": "v1", "freshness": "Stale", "resources": [POD]},
        {"version": None},
        {"version": "v2", "resources": None},
        group="metrics.k8s.io",
    )

    assert (stale.failed, len(stale.resources)) == (STALE, 1)
    assert (nothing.name, nothing.resources) == ("metrics.k8s.io/v2", ())


@pytest.mark.parametrize("items", [None, [{}], [{"metadata": None, "versions": None}]])
def test_an_empty_document_has_no_versions(items: object) -> None:
    """Null and absent are the same."""
    body = json.dumps({"items": items}).encode()

    assert parse_endpoint("/apis", V2, body) == Aggregated(())


def test_plain_core_versions() -> None:
    """APIVersions."""
    body = b'{"kind":"APIVersions","versions":["v1"]}'

    assert parse_endpoint("/api", JSON, body) == Plain((GroupVersion("", "v1"),))


def test_plain_groups_have_their_preferred_version_first() -> None:
    """APIGroupList; a preferred version that is not served does not count."""
    groups = [
        {
            "name": "batch",
            "versions": [
                {"groupVersion": "batch/v1beta1", "version": "v1beta1"},
                {"version": "v1"},
            ],
            "preferredVersion": {"version": "v1"},
        },
        {"name": "a.b", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v9"}},
        {"name": "none", "versions": None},
    ]
    body = json.dumps({"kind": "APIGroupList", "groups": groups}).encode()
    parsed = parse_endpoint("/apis", JSON, body)

    assert isinstance(parsed, Plain)
    assert [version.name for version in parsed.versions] == ["batch/v1", "batch/v1beta1", "a.b/v1"]
    assert parsed.versions[0].path == "/apis/batch/v1"


def test_a_plain_resource_list() -> None:
    """APIResourceList: subresources are in it, and left out."""
    resources = [
        {
            "name": "pods",
            "kind": "Pod",
            "namespaced": True,
            "verbs": ["list"],
            "shortNames": ["po"],
        },
        {"name": "pods/log", "kind": "Pod", "namespaced": True, "verbs": ["get"]},
        {"name": "nodes", "kind": "Node", "singularName": "node", "verbs": ["list"]},
    ]
    body = json.dumps({"kind": "APIResourceList", "resources": resources}).encode()
    pods, nodes = parse_resource_list(GroupVersion("", "v1"), JSON, body)

    assert (pods.gvk, pods.singular, pods.namespaced) == ("v1/Pod", "pod", True)
    assert (nodes.path, nodes.namespaced, nodes.watchable) == ("/api/v1/nodes", False, False)


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("text/html", b"<html>", "Content-Type 'text/html' instead of JSON"),
        ("", b"{}", "Content-Type '' instead of JSON"),
        (JSON, b"{", "Input data was truncated"),
        (JSON, b'{"kind":"Status"}', "a document of kind 'Status'"),
        (V2, b'{"items":[{"versions":7}]}', "Expected `array | null`"),
        (V2, b'{"x":' + b"[" * 100_000, "max"),
    ],
)
def test_what_is_no_discovery_document(content_type: str, body: bytes, words: str) -> None:
    """A login page is never an empty cluster."""
    with pytest.raises(KubeError) as caught:
        parse_endpoint("/apis", content_type, body)

    assert caught.value.failure.kind is FailureKind.NOT_KUBERNETES
    assert caught.value.failure.message.startswith("/apis: ")
    assert words in caught.value.failure.message


def test_a_resource_list_must_be_one() -> None:
    """Anything else is named with its path."""
    with pytest.raises(KubeError, match="/apis/apps/v1: a document of kind 'Status'"):
        parse_resource_list(GroupVersion("apps", "v1"), JSON, b'{"kind":"Status"}')
