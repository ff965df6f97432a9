"""What a cluster serves, and a name as the user wrote it to one resource, as kubectl means it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from orka.daemon.kube.discovery_documents import GroupVersion
from orka.daemon.model import Resource
from orka.proto.errors import Refused

NEAR_NAMES_MAX_COUNT = 3  # more would be a list to read, not a hint
NEAR_LENGTH_MAX_CHARS = 4  # a typing error or a forgotten plural changes no more


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`/api` or `/apis` as it was last answered."""

    versions: tuple[GroupVersion, ...] = ()
    etag: str | None = None  # of its aggregated document


@dataclass(frozen=True)
class Catalog:
    """Everything discovery knows at one moment; immutable.

    `crds` are the group-resources that have a CustomResourceDefinition, None where those may
    not be listed. Then it is guessed: discovery does not say how a group is served, but
    CustomResourceDefinitions need a dot in their group, and built-in groups with one end in
    `.k8s.io`. (An aggregated API server's own group is taken for a CRD by that guess.)
    """

    core: Endpoint
    groups: Endpoint
    crds: frozenset[str] | None = None

    def __repr__(self) -> str:
        return f"<Catalog resources={len(self.resources)} failed={len(self.failed)}>"

    @property
    def versions(self) -> tuple[GroupVersion, ...]:
        """All group-versions: core first, then groups by the server's priority."""
        return self.core.versions + self.groups.versions

    @cached_property
    def failed(self) -> Mapping[str, str]:
        """Group-version to why its part is missing or old."""
        return {version.name: version.failed for version in self.versions if version.failed}

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        """Every resource in every version: by group, its preferred versions first.

        The first version of a group that has the resource is its preferred one, as
        `kubectl api-resources` shows it; a failed version only where no other has it.
        """
        shown: set[str] = set()
        resources: list[Resource] = []
        for version in _healthy_first(self.versions):
            for resource in version.resources:
                name = resource.group_resource
                preferred = name not in shown
                shown.add(name)
                crd = self._is_crd(resource)
                resources.append(replace(resource, preferred=preferred, crd=crd))
        return tuple(resources)

    def resolve(self, name: str) -> Resource:
        """The resource that kubectl would take `name` for.

        Understood are `v1/Pod`, `apps/v1/Deployment`, and, in any case of letters, plural,
        singular, short name and kind, alone or with a group (`certificates.cert-manager.io`)
        or a version and a group (`certificates.v1.cert-manager.io`) behind them; a group may
        be cut short. Where several groups have the name, the first in the server's order of
        groups is meant, the core group before all. Raises Refused: not-served, or ambiguous
        where one group-version has the name twice, or where resources of several
        CustomResourceDefinitions claim one short name (there kubectl takes the first, with a
        warning).
        """
        for candidates in self._readings(name.strip()):
            if candidates:
                return _first_of(name, candidates)
        raise self._not_served(name)

    def first_crd(self) -> Resource:
        """What `--prefer-crd` selects: the first watchable CRD by discovery, else v1/ConfigMap.

        The server orders CRD groups by name; within one, resources by name.
        """
        for resource in self.resources:
            if resource.crd and resource.preferred and resource.watchable:
                return resource
        return self.resolve("v1/ConfigMap")

    def _is_crd(self, resource: Resource) -> bool:
        if self.crds is None:
            return "." in resource.group and not resource.group.endswith(".k8s.io")
        return resource.group_resource in self.crds

    @cached_property
    def _by_name(self) -> Mapping[str, list[Resource]]:
        return _index((word, r) for r in self.resources for word in (r.resource, r.singular))

    @cached_property
    def _by_short_name(self) -> Mapping[str, list[Resource]]:
        return _index((word, r) for r in self.resources for word in r.short_names)

    @cached_property
    def _by_kind(self) -> Mapping[str, list[Resource]]:
        return _index((r.kind, r) for r in self.resources)

    @cached_property
    def _by_gvk(self) -> Mapping[str, list[Resource]]:
        return _index(
            (f"{r.group_version}/{word}", r)
            for r in self.resources
            for word in (r.kind, r.resource)
        )

    def _readings(self, name: str) -> Iterator[list[Resource]]:
        """What the name can mean, best first; each reading with all that match it."""
        word, *rest = name.lower().split(".", 2)
        if "/" in name:
            yield self._by_gvk.get(name.lower(), [])
            return
        suffixes: list[tuple[str | None, str]] = []  # version, group
        if len(rest) == 2:
            suffixes.append((rest[0], rest[1]))
        suffixes.append((None, ".".join(rest)))
        for version, group in suffixes:
            for index in (self._by_name, self._by_short_name):
                yield _within(index.get(word, []), version, group)
        for version, group in suffixes:
            yield _within(self._by_kind.get(word, []), version, group)

    def _not_served(self, name: str) -> Refused:
        near = difflib.get_close_matches(name, self._words_like(name), NEAR_NAMES_MAX_COUNT)
        hints = [f"did you mean {', '.join(near)}?"] if near else []
        hints += [
            f"{gv} could not be read and may have it: {why}" for gv, why in self._hiding(name)
        ]
        return Refused(
            f'the server does not serve a kind "{name}"',
            hint="; ".join(hints) or "see: orkactl discover",
            code="not-served",
        )

    def _words_like(self, name: str) -> list[str]:
        """Names in the form that `name` has, about as long: few enough to compare in no time."""
        words: set[str] = set()
        for r in self.resources:
            if "/" in name:
                words.add(r.gvk)
            elif "." in name:
                words.add(r.group_resource)
            else:
                words.update((r.resource, *r.short_names))
        return sorted(w for w in words if abs(len(w) - len(name)) <= NEAR_LENGTH_MAX_CHARS)

    def _hiding(self, name: str) -> Iterator[tuple[str, str]]:
        """The failed group-versions that the name could belong to."""
        for version in self.versions:
            in_name = version.group in name if version.group else name.startswith(version.name)
            if version.failed and (in_name or not ("/" in name or "." in name)):
                yield version.name, version.failed


def _healthy_first(versions: Iterable[GroupVersion]) -> list[GroupVersion]:
    """Groups in their order; in each, versions that failed behind those that did not."""
    order: dict[str, int] = {}
    ranked = [
        (order.setdefault(version.group, len(order)), bool(version.failed), version)
        for version in versions
    ]
    return [version for _, _, version in sorted(ranked, key=lambda item: item[:2])]


def _index(words: Iterable[tuple[str, Resource]]) -> Mapping[str, list[Resource]]:
    index: dict[str, list[Resource]] = {}
    for word, resource in words:
        found = index.setdefault(word.lower(), [])
        if resource not in found[-1:]:  # plural and singular may be the same word
            found.append(resource)
    return index


def _within(found: list[Resource], version: str | None, group: str) -> list[Resource]:
    """Those in the group, else those in a group that begins like it; "" is any group."""
    if version is not None:
        return [r for r in found if r.version == version and r.group == group]
    exact = [r for r in found if r.group == group] if group else found
    return exact or [r for r in found if r.group.startswith(group)]


def _first_of(name: str, candidates: list[Resource]) -> Resource:
    first = candidates[0]
    word = name.lower().partition(".")[0]
    if word in first.short_names and word not in (first.resource, first.singular):
        # No built-in loses its short name to a CRD; between CRDs nobody can say.
        rivals = [r for r in candidates if first.crd and r.group_resource != first.group_resource]
    else:
        rivals = [
            r
            for r in candidates
            if r.group_version == first.group_version and r.resource != first.resource
        ]
    if rivals:
        names = dict.fromkeys(r.group_resource for r in (first, *rivals))
        raise Refused(
            f'"{name}" is ambiguous: {", ".join(names)}', hint="use one of these", code="ambiguous"
        )
    return first
