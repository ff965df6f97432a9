"""Whatever a client sends, the server has an answer: nothing a request holds is a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.apiserver import ApiServer
from replay.apiserver.faults import Effect
from replay.apiserver.lists import Page
from replay.apiserver.requests import Record, parse
from replay.apiserver.status import Reply
from replay.apiserver.watch import Opening
from tests.replay.conftest import small_model

SEGMENTS = [
    *("api", "apis", "v1", "v1beta1", "cert-manager.io", "apiextensions.k8s.io", "apps"),
    *("namespaces", "shop", "pods", "certificates", "customresourcedefinitions", "web-0", "status"),
    *("version", "metrics", "certificates.cert-manager.io", "", "%2f", "%", ".."),
]
COLLECTIONS = [
    "/apis/cert-manager.io/v1/certificates",
    "/apis/cert-manager.io/v1/namespaces/shop/certificates",
    "/apis/cert-manager.io/v1/namespaces/shop/certificates/web-0",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/certificates.cert-manager.io",
    "/api/v1/namespaces",
    "/api/v1/namespaces/shop",
]
OPTIONS = [
    *("watch", "sendInitialEvents", "allowWatchBookmarks", "limit", "continue", "resourceVersion"),
    *("resourceVersionMatch", "timeoutSeconds", "labelSelector", "fieldSelector"),
]
VALUES = ["", "1", "0", "-1", "true", "abc", "9" * 30, "Exact", "NotOlderThan", "eyJ9", "\u0663"]
ACCEPTS = ["", "*/*", "application/json", ";;=,", "text/html;q=x", "application/json;as=Table"]
paths = st.lists(st.sampled_from(SEGMENTS), max_size=7).map("/".join).map("/{}".format)
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
names = st.sampled_from(
    ["metadata", "name", "namespace", "spec", "names", "kind", "plural", "versions", "group"]
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5)
)
certificates = st.fixed_dictionaries({"kind": st.just("Certificate"), "metadata": documents})


def answer(server: ApiServer, method: str, target: str, accept: str, body: bytes) -> object:
    """The plan for one request, without a connection."""
    headers = [("accept", accept), ("content-type", "application/json")]
    if method == "PATCH":
        headers[1] = ("content-type", "application/merge-patch+json")
    request = parse(server.model.catalog, method=method, target=target, headers=headers, body=body)
    record = Record(0, 1, method, request.verb, request.path, {}, {}, "", "", "", "")
    return server.plan(request, record, Effect())


@pytest.mark.slow
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    path=paths | st.sampled_from(COLLECTIONS),
    query=st.dictionaries(st.sampled_from(OPTIONS), st.sampled_from(VALUES), max_size=4),
    accept=st.sampled_from(ACCEPTS),
    document=documents | certificates,
)
def test_every_request_has_an_answer(
    method: str, path: str, query: dict[str, str], accept: str, document: Any
) -> None:
    """Any path, option and body ends in a reply, a page or a stream."""
    server = ApiServer(small_model(), now=lambda: 0.0)
    target = f"{path}?{'&'.join(f'{name}={value}' for name, value in query.items())}"

    plan = answer(server, method, target, accept, json.dumps(document).encode())

    assert isinstance(plan, (Reply, Page, Opening))
    if isinstance(plan, Page):
        assert json.loads(b"".join(plan.pieces))
    if isinstance(plan, Opening):
        assert all(json.loads(line) for line in plan.backlog())


def test_deep_documents_are_refused() -> None:
    """A body nested beyond reason is 400."""
    server = ApiServer(small_model())
    body = b'{"kind":"Certificate","metadata":{"name":"a"},"spec":' + b"[" * 9999 + b"]" * 9999

    plan = answer(server, "POST", COLLECTIONS[1], "", body + b"}")

    assert isinstance(plan, Reply)
    assert plan.code == 400


def test_crds_that_cannot_be_served_are_refused() -> None:
    """What serving needs must be there, and the name must be the resource's."""
    server = ApiServer(small_model())
    names = {"kind": "Foo", "plural": "foos"}
    whole = {"group": "x.io", "names": names, "scope": "Cluster", "versions": [{"name": "v1"}]}
    bad: list[dict[str, Any]] = [
        {},
        {"names": names},
        {**whole, "scope": "World"},
        {**whole, "versions": []},
        {**whole, "versions": [{}]},
        {**whole, "group": "y.io"},
    ]

    for spec in bad:
        body = json.dumps({"metadata": {"name": "foos.x.io"}, "spec": spec}).encode()
        plan = answer(server, "POST", COLLECTIONS[3], "", body)
        assert isinstance(plan, Reply)
        assert plan.code == 422
