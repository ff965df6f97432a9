"""Discovery answers, aggregated or plain, to group-versions and their resources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.model import Resource

T = TypeVar("T")

STALE = "stale: the API server could not refresh it"


@dataclass(frozen=True, slots=True)
class GroupVersion:
    """One group in one version. A failed one keeps what was last known of it."""

    group: str  # "" is the core group
    version: str
    resources: tuple[Resource, ...] = ()
    failed: str = ""  # why its part is missing or old

    @property
    def name(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """Where its plain document is."""
        return f"/apis/{self.name}" if self.group else f"/api/{self.name}"


@dataclass(frozen=True, slots=True)
class Aggregated:
    """An endpoint's whole content."""

    versions: tuple[GroupVersion, ...]


@dataclass(frozen=True, slots=True)
class Plain:
    """An endpoint's group-versions without their resources: one document each is to be read."""

    versions: tuple[GroupVersion, ...]


class _Kind(msgspec.Struct):
    kind: str | None = None


class _AggregatedResource(msgspec.Struct, rename="camel"):
    resource: str | None = None
    response_kind: _Kind | None = None
    scope: str | None = None
    singular_resource: str | None = None
    verbs: list[str] | None = None
    short_names: list[str] | None = None
    categories: list[str] | None = None


class _AggregatedVersion(msgspec.Struct):
    version: str | None = None
    freshness: str | None = None
    resources: list[_AggregatedResource] | None = None


class _Metadata(msgspec.Struct):
    name: str | None = None


class _AggregatedGroup(msgspec.Struct):
    metadata: _Metadata | None = None
    versions: list[_AggregatedVersion] | None = None


class _AggregatedDocument(msgspec.Struct):
    items: list[_AggregatedGroup] | None = None


class _PlainVersion(msgspec.Struct):
    version: str | None = None


class _PlainGroup(msgspec.Struct, rename="camel"):
    name: str | None = None
    versions: list[_PlainVersion] | None = None
    preferred_version: _PlainVersion | None = None


class _PlainDocument(msgspec.Struct):
    """APIVersions and APIGroupList in one: each has its own field."""

    kind: str | None = None
    versions: list[str] | None = None
    groups: list[_PlainGroup] | None = None


class _PlainResource(msgspec.Struct, rename="camel"):
    name: str | None = None
    kind: str | None = None
    namespaced: bool | None = None
    singular_name: str | None = None
    verbs: list[str] | None = None
    short_names: list[str] | None = None
    categories: list[str] | None = None


class _PlainResourceList(msgspec.Struct):
    kind: str | None = None
    resources: list[_PlainResource] | None = None


_aggregated_decoder = msgspec.json.Decoder(_AggregatedDocument)
_plain_decoder = msgspec.json.Decoder(_PlainDocument)
_resource_list_decoder = msgspec.json.Decoder(_PlainResourceList)


def parse_endpoint(path: str, content_type: str, body: bytes) -> Aggregated | Plain:
    """What `/api` or `/apis` answered; the Content-Type says in which form.

    Raises KubeError (NOT_KUBERNETES) for anything else.
    """
    parameters = _json_parameters(path, content_type)
    if parameters.get("g") == "apidiscovery.k8s.io":
        # v2beta1 differs from v2 in nothing that is read here.
        document = _decode(_aggregated_decoder, path, body)
        return Aggregated(tuple(_aggregated_versions(document.items or ())))
    plain = _decode(_plain_decoder, path, body)
    if plain.kind not in ("APIVersions", "APIGroupList"):
        raise _not_kubernetes(path, f"a document of kind {plain.kind!r}")
    versions = [GroupVersion("", version) for version in plain.versions or ()]
    for group in plain.groups or ():
        versions += _plain_versions(group)
    return Plain(tuple(versions))


def parse_resource_list(
    version: GroupVersion, content_type: str, body: bytes
) -> tuple[Resource, ...]:
    """The APIResourceList of one group-version; raises KubeError (NOT_KUBERNETES)."""
    _json_parameters(version.path, content_type)
    document = _decode(_resource_list_decoder, version.path, body)
    if document.kind != "APIResourceList":
        raise _not_kubernetes(version.path, f"a document of kind {document.kind!r}")
    return _resources(version.group, version.version, document.resources or ())


def _aggregated_versions(groups: Iterable[_AggregatedGroup]) -> Iterable[GroupVersion]:
    for group in groups:
        name = (group.metadata.name if group.metadata else None) or ""
        for item in group.versions or ():
            if item.version:
                resources = _resources(name, item.version, map(_as_plain, item.resources or ()))
                failed = STALE if item.freshness == "Stale" else ""
                yield GroupVersion(name, item.version, resources, failed)


def _as_plain(item: _AggregatedResource) -> _PlainResource:
    return _PlainResource(
        name=item.resource,
        kind=item.response_kind.kind if item.response_kind else None,
        namespaced=item.scope == "Namespaced",
        singular_name=item.singular_resource,
        verbs=item.verbs,
        short_names=item.short_names,
        categories=item.categories,
    )


def _plain_versions(group: _PlainGroup) -> list[GroupVersion]:
    """The preferred version first, as aggregated documents list them."""
    names = [item.version for item in group.versions or () if item.version]
    preferred = group.preferred_version.version if group.preferred_version else None
    if preferred in names:
        names = [preferred, *(name for name in names if name != preferred)]
    return [GroupVersion(group.name or "", name) for name in names]


def _resources(group: str, version: str, items: Iterable[_PlainResource]) -> tuple[Resource, ...]:
    """Those that are collections: no subresources, and nothing without a kind or a verb."""
    return tuple(
        Resource(
            group=group,
            version=version,
            kind=item.kind,
            resource=item.name,
            namespaced=bool(item.namespaced),
            verbs=frozenset(item.verbs),
            # Servers before 1.27 leave it out for built-in kinds.
            singular=item.singular_name or item.kind.lower(),
            short_names=tuple(item.short_names or ()),
            categories=tuple(item.categories or ()),
        )
        for item in items
        if item.name and "/" not in item.name and item.kind and item.verbs
    )


def _json_parameters(path: str, content_type: str) -> dict[str, str]:
    """The media type's parameters, in any order; it must be JSON."""
    media_type, *parameters = content_type.lower().split(";")
    if media_type.strip() != "application/json":
        raise _not_kubernetes(path, f"Content-Type {content_type!r} instead of JSON")
    pairs = (parameter.partition("=") for parameter in parameters)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _decode(decoder: msgspec.json.Decoder[T], path: str, body: bytes) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise _not_kubernetes(path, str(exc)) from exc


def _not_kubernetes(path: str, why: str) -> KubeError:
    return KubeError(Failure(FailureKind.NOT_KUBERNETES, f"{path}: {why}"))
