"""Resource descriptors, and the catalog that turns (group, version, plural) into one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

ALL_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)


@dataclass(frozen=True, slots=True)
class Resource:
    """One served kind. `full_name` is its identity: versions share the stored objects."""

    group: str
    versions: tuple[str, ...]  # preferred first
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ("status",)
    # Built-in kinds are typed in Go: items of their lists carry no apiVersion and kind.
    custom: bool = False

    @property
    def full_name(self) -> str:
        """`certificates.cert-manager.io`, or just `pods` in the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        """The lower-case kind, which is what almost every API uses."""
        return self.kind.lower()

    @property
    def list_kind(self) -> str:
        """The kind of a whole list."""
        return f"{self.kind}List"

    def api_version(self, version: str) -> str:
        """What objects say in apiVersion."""
        return f"{self.group}/{version}" if self.group else version

    def key(self, namespace: str, name: str) -> str:
        """The storage key, which also gives the order of lists (as etcd: by bytes of the path)."""
        return f"{namespace}/{name}" if self.namespaced else name

    def matches(self, wanted: str) -> bool:
        """True for the full name and for the bare plural."""
        return wanted in (self.full_name, self.plural)


@dataclass(slots=True)
class Catalog:
    """All served resources in discovery order; `revision` grows with every change."""

    resources: dict[str, Resource] = field(default_factory=dict)
    revision: int = 0

    def put(self, resource: Resource) -> None:
        """Serve this resource; one of the same full name is replaced in place."""
        self.resources[resource.full_name] = resource
        self.revision += 1

    def remove(self, full_name: str) -> None:
        """Serve it no longer."""
        del self.resources[full_name]
        self.revision += 1

    def served(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource behind a URL, or None for 404."""
        found = self.resources.get(f"{plural}.{group}" if group else plural)
        return found if found is not None and version in found.versions else None

    def named(self, name: str) -> Resource:
        """By full name, else by plural; KeyError lists what there is."""
        if name in self.resources:
            return self.resources[name]
        for resource in self.resources.values():
            if resource.plural == name:
                return resource
        raise KeyError(f"no resource {name!r} among {sorted(self.resources)}")

    def groups(self) -> dict[str, list[str]]:
        """Every group with its versions in order of preference, the core group as ''."""
        found: dict[str, list[str]] = {}
        for resource in self.resources.values():
            versions = found.setdefault(resource.group, [])
            versions.extend(version for version in resource.versions if version not in versions)
        return found

    def in_version(self, group: str, version: str) -> list[Resource]:
        """The resources of one group-version, in order of their plurals."""
        return sorted(
            (r for r in self.resources.values() if r.group == group and version in r.versions),
            key=lambda r: r.plural,
        )

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.resources.values())


def built_in() -> Iterable[Resource]:
    """A believable part of what a real server has before anyone adds a CRD."""
    core = [
        Resource("", ("v1",), "ConfigMap", "configmaps", short_names=("cm",), subresources=()),
        Resource("", ("v1",), "Event", "events", short_names=("ev",), subresources=()),
        Resource("", ("v1",), "Namespace", "namespaces", namespaced=False, short_names=("ns",)),
        Resource("", ("v1",), "Node", "nodes", namespaced=False, short_names=("no",)),
        Resource("", ("v1",), "Pod", "pods", short_names=("po",), categories=("all",)),
        Resource("", ("v1",), "Secret", "secrets", subresources=()),
        Resource("", ("v1",), "Service", "services", short_names=("svc",), categories=("all",)),
        Resource("", ("v1",), "ServiceAccount", "serviceaccounts", short_names=("sa",)),
    ]
    apps = [
        Resource("apps", ("v1",), kind, plural, short_names=(short,), categories=("all",))
        for kind, plural, short in (
            ("DaemonSet", "daemonsets", "ds"),
            ("Deployment", "deployments", "deploy"),
            ("ReplicaSet", "replicasets", "rs"),
            ("StatefulSet", "statefulsets", "sts"),
        )
    ]
    rest = [
        Resource("batch", ("v1",), "CronJob", "cronjobs", short_names=("cj",), categories=("all",)),
        Resource("batch", ("v1",), "Job", "jobs", categories=("all",)),
        Resource("coordination.k8s.io", ("v1",), "Lease", "leases", subresources=()),
        Resource("networking.k8s.io", ("v1",), "Ingress", "ingresses", short_names=("ing",)),
        CRDS,
    ]
    return [*core, *apps, *rest]


CRDS = Resource(
    "apiextensions.k8s.io",
    ("v1",),
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
)
