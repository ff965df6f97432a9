"""What a cluster serves, against what kubectl says of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.harness import Orka
from tests.e2e.servers import CERTIFICATES, Kind, RealServer, Server

FACTS = ("group", "version", "kind", "name", "singularName", "namespaced")
LISTS = ("shortNames", "verbs", "categories")


def expected(server: Server) -> list[dict[str, Any]]:
    """One entry per resource in its preferred version, by group and name."""
    found = _of_kubectl(server) if isinstance(server, RealServer) else _of_documents(server)
    entries = [
        {fact: entry.get(fact, "") for fact in FACTS}
        | {name: sorted(entry.get(name) or []) for name in LISTS}
        for entry in found
    ]
    return sorted(entries, key=lambda entry: (entry["group"], entry["name"]))


def _of_kubectl(server: RealServer) -> list[dict[str, Any]]:
    resources = json.loads(server.plane.kubectl("api-resources", "--output=json"))["resources"]
    found: list[dict[str, Any]] = resources
    return found


def _of_documents(server: Server) -> list[dict[str, Any]]:
    """From the plain documents; the versions of a group come with the preferred one first."""
    groups = json.loads(server.api.get("/apis"))["groups"]
    paths = [("", "v1", "/api/v1")]
    for group in groups:
        name, first = group["name"], group["preferredVersion"]["version"]
        others = [version["version"] for version in group["versions"]]
        others.remove(first)
        versions = [first, *others]
        paths += [(name, version, f"/apis/{name}/{version}") for version in versions]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for group, version, path in paths:
        for entry in json.loads(server.api.get(path))["resources"]:
            if "/" not in entry["name"]:
                found.setdefault(
                    (group, entry["name"]), {**entry, "group": group, "version": version}
                )
    return list(found.values())


def test_discover_equals_what_kubectl_api_resources_says(orka: Orka, server: Server) -> None:
    """Names, kinds, scope, verbs and preferred versions, of built-ins and of real CRDs."""
    orka.start()

    found = orka.ctl("discover", "-o", "json").json()["resources"]

    wanted = expected(server)
    ours = [
        {"group": kind["group"], "version": kind["version"], "kind": kind["kind"]}
        | {"name": kind["resource"], "singularName": kind["singular"]}
        | {"namespaced": kind["namespaced"]}
        | {name: sorted(kind[name]) for name in LISTS}
        for kind in found
    ]
    assert ours == wanted
    assert "certificates" in {kind["name"] for kind in wanted}
    assert all(kind["preferred"] for kind in found)


def test_discover_prints_one_line_a_kind(orka: Orka, server: Server) -> None:
    """group/version, kind and scope, in the order of `kubectl api-resources`."""
    orka.start()

    lines = orka.ctl("discover").ok().stdout.splitlines()
    names = orka.ctl("discover", "-o", "name").ok().stdout

    wanted = expected(server)
    assert [line.split() for line in lines] == [
        [
            f"{kind['group']}/{kind['version']}" if kind["group"] else kind["version"],
            *("•", kind["kind"], "•"),
            "namespaced" if kind["namespaced"] else "cluster",
        ]
        for kind in wanted
    ]
    if isinstance(server, RealServer):
        assert names == server.plane.kubectl("api-resources", "--output=name")


def test_a_new_crd_is_served_at_once(orka: Orka, server: Server) -> None:
    """A kind that came after orkad looked is found by its name, without a restart."""
    orka.start()
    novelty = Kind("new.example.com", "v1", "Novelty", "novelties")
    assert orka.ctl("ls", "novelty").returncode == 6

    server.api.define(novelty)

    assert novelty.gvk in orka.ctl("discover", "-o", "json").stdout
    orka.ctl("ls", "novelty", "-A").ok()


@pytest.mark.parametrize("command", ["ls", "watch"])
def test_a_kind_that_is_not_served_exits_6_with_near_names(
    orka: Orka, server: Server, command: str
) -> None:
    """The mistyped name is repeated, and so are the names it may have been meant for."""
    orka.start()

    done = orka.ctl(command, "certificat")
    mistyped = orka.ctl(command, "cert-manager.io/v1/Certificates2")

    assert done.returncode == 6
    assert done.stdout == ""
    assert '"certificat"' in done.stderr
    assert CERTIFICATES.plural in done.stderr
    assert mistyped.returncode == 6
    assert "Certificates2" in mistyped.stderr
