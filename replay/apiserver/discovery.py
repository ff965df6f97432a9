"""The catalog turned into discovery documents: aggregated v2, and the plain ones of old servers."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from . import status
from .forms import NotAcceptableError
from .objects import Object, encode
from .requests import Request
from .resources import Catalog, Resource
from .status import Reply

DISCOVERY_GROUP = "apidiscovery.k8s.io"
STATUS_VERBS = ["get", "patch", "update"]
AGGREGATED_VERSIONS = ("v2", "v2beta1")


def document(
    catalog: Catalog, request: Request, *, aggregated: bool = True, stale: Collection[str] = ()
) -> Reply:
    """The answer to a GET on /api, /apis, /api/V, /apis/G or /apis/G/V.

    Groups in `stale` are those of an aggregated API server that cannot be reached.
    """
    parts = request.path.strip("/").split("/")
    if len(parts) == 1:
        version = _aggregated_version(request.header("accept")) if aggregated else ""
        if version:
            return _aggregated(catalog, request, version, core=parts == ["api"], stale=stale)
        return _plain(_versions(request) if parts == ["api"] else _groups(catalog))
    group = parts[1] if parts[0] == "apis" else ""
    versions = catalog.groups().get(group, [])
    if group in stale:
        return status.UNREACHABLE
    if parts[0] == "apis" and len(parts) == 2:
        return _plain(_group(group, versions, top=True)) if versions else status.NOT_FOUND
    if parts[-1] not in versions:
        return status.NOT_FOUND
    return _plain(_resources(catalog, group, parts[-1]))


def _aggregated_version(accept: str) -> str:
    for clause in _discovery_clauses(accept):
        if clause == "" or clause in AGGREGATED_VERSIONS:
            return clause
    raise NotAcceptableError("only the following media types are accepted: application/json")


def _discovery_clauses(accept: str) -> list[str]:
    """Per acceptable clause, the version of aggregated discovery that it asks for, '' for none."""
    wanted: list[str] = []
    for part in (accept or "*/*").split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        given = dict(p.split("=", 1) for p in parameters if "=" in p)
        if media_type not in ("application/json", "application/*", "*/*"):
            continue
        if "as" not in given:
            wanted.append("")
        elif (given["as"], given.get("g")) == ("APIGroupDiscoveryList", DISCOVERY_GROUP):
            wanted.append(given.get("v", ""))
    return wanted


def _aggregated(
    catalog: Catalog, request: Request, version: str, *, core: bool, stale: Collection[str]
) -> Reply:
    groups = {g: v for g, v in catalog.groups().items() if (g == "") == core}
    items = [
        _group_discovery(catalog, g, versions, stale=g in stale) for g, versions in groups.items()
    ]
    body = encode(
        {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"{DISCOVERY_GROUP}/{version}",
            "metadata": {},
            "items": items,
        }
    )
    etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
    media_type = f"application/json;g={DISCOVERY_GROUP};v={version};as=APIGroupDiscoveryList"
    common = (("ETag", etag), ("Vary", "Accept"), ("Cache-Control", "public"))
    if request.header("if-none-match") == etag:
        return Reply(304, b"", common)
    return Reply(200, body + b"\n", (("Content-Type", media_type), *common))


def _group_discovery(catalog: Catalog, group: str, versions: list[str], *, stale: bool) -> Object:
    return {
        "metadata": {"name": group} if group else {},
        "versions": [
            {
                "version": version,
                "resources": [
                    _resource_discovery(resource, version)
                    for resource in catalog.in_version(group, version)
                ],
                "freshness": "Stale" if stale else "Current",
            }
            for version in versions
        ],
    }


def _resource_discovery(resource: Resource, version: str) -> Object:
    # Built-in groups leave these two empty, which means "as above".
    group, own_version = (resource.group, version) if resource.custom else ("", "")
    response_kind = {"group": group, "version": own_version, "kind": resource.kind}
    found: Object = {
        "resource": resource.plural,
        "responseKind": response_kind,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        found["shortNames"] = list(resource.short_names)
    if resource.categories:
        found["categories"] = list(resource.categories)
    if resource.subresources:
        found["subresources"] = [
            {"subresource": name, "responseKind": response_kind, "verbs": STATUS_VERBS}
            for name in resource.subresources
        ]
    return found


def _plain(body: Object) -> Reply:
    return Reply(200, encode(body) + b"\n")


def _versions(request: Request) -> Object:
    address = {"clientCIDR": "0.0.0.0/0", "serverAddress": request.header("host")}
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address]}


def _groups(catalog: Catalog) -> Object:
    groups = [_group(group, versions) for group, versions in catalog.groups().items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _group(group: str, versions: list[str], *, top: bool = False) -> Object:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    head = {"kind": "APIGroup", "apiVersion": "v1"} if top else {}
    return {**head, "name": group, "versions": listed, "preferredVersion": listed[0]}


def _resources(catalog: Catalog, group: str, version: str) -> Object:
    found: list[Object] = []
    for resource in catalog.in_version(group, version):
        one: Object = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(resource.verbs),
        }
        if resource.short_names:
            one["shortNames"] = list(resource.short_names)
        if resource.categories:
            one["categories"] = list(resource.categories)
        found.append(one)
        found.extend(
            {
                "name": f"{resource.plural}/{name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": STATUS_VERBS,
            }
            for name in resource.subresources
        )
    head = {"kind": "APIResourceList"} | ({"apiVersion": "v1"} if group else {})
    return {
        **head,
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": found,
    }
