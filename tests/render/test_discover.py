"""The answer of `discover` in its three forms."""

from __future__ import annotations

import json

from orka.proto.messages import Resources, ServedKind
from orka.render import discover
from tests.support.wire import NODE


def served(
    group: str, version: str, kind: str, resource: str, *, namespaced: bool, preferred: bool = True
) -> ServedKind:
    """A kind with list and watch."""
    return ServedKind(
        group=group,
        version=version,
        kind=kind,
        resource=resource,
        singular=kind.lower(),
        short_names=(kind[:2].lower(),),
        namespaced=namespaced,
        verbs=("list", "watch"),
        categories=("all",),
        preferred=preferred,
        watchable=True,
        crd=bool(group),
    )


FOUND = Resources(
    "kind-dev",
    "https://127.0.0.1:6443",
    [
        served("cert-manager.io", "v1beta1", "Issuer", "issuers", namespaced=True, preferred=False),
        served("cert-manager.io", "v1", "Issuer", "issuers", namespaced=True),
        served("cert-manager.io", "v1", "Certificate", "certificates", namespaced=True),
        served("", "v1", "Pod", "pods", namespaced=True),
        served("", "v1", NODE.kind, NODE.resource, namespaced=NODE.namespaced),
    ],
    {"metrics.k8s.io/v1beta1": "503: not\x1b now", "a.io/v1": "old"},
)


def test_a_table_has_one_aligned_line_a_kind() -> None:
    """By group, then resource, as kubectl lists them; the preferred version of one first."""
    assert b"".join(discover.table(FOUND)).decode() == (
        "v1                      • Node        • cluster\n"
        "v1                      • Pod         • namespaced\n"
        "cert-manager.io/v1      • Certificate • namespaced\n"
        "cert-manager.io/v1      • Issuer      • namespaced\n"
        "cert-manager.io/v1beta1 • Issuer      • namespaced\n"
    )


def test_names_are_those_of_api_resources() -> None:
    """Resource and group, which `orkactl ls` takes."""
    assert b"".join(discover.names(FOUND)).split() == [
        b"nodes",
        b"pods",
        b"certificates.cert-manager.io",
        b"issuers.cert-manager.io",
        b"issuers.cert-manager.io",
    ]


def test_the_document_has_all_that_discovery_knows() -> None:
    """Names, verbs, versions and what can be watched; parts that failed, with their reasons."""
    document = json.loads(b"".join(discover.json_document(FOUND)))

    assert document["resources"][2] == {
        "gvk": "cert-manager.io/v1/Certificate",
        "group": "cert-manager.io",
        "version": "v1",
        "kind": "Certificate",
        "resource": "certificates",
        "singular": "certificate",
        "shortNames": ["ce"],
        "categories": ["all"],
        "namespaced": True,
        "verbs": ["list", "watch"],
        "preferred": True,
        "watchable": True,
        "crd": True,
    }
    assert document["failed"] == FOUND.failed
    assert {name: document[name] for name in ("v", "context", "server")} == {
        "v": 1,
        "context": "kind-dev",
        "server": "https://127.0.0.1:6443",
    }


def test_no_kinds_no_lines() -> None:
    """A cluster that serves nothing is an empty answer, not a failure."""
    nothing = Resources("c", "s", [])

    assert list(discover.table(nothing)) == []
    assert list(discover.names(nothing)) == []
    assert discover.failed_notes(nothing) == []


def test_failed_parts_are_one_clean_line_each() -> None:
    """What is missing from the list is said beside it."""
    assert discover.failed_notes(FOUND) == [
        "a.io/v1: old",
        r"metrics.k8s.io/v1beta1: 503: not\x1b now",
    ]
