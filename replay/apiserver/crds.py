"""CustomResourceDefinitions turned into served resources, as they come, change and go."""

from __future__ import annotations

from typing import Any

from .objects import Object
from .resources import Resource

REINITIALIZING_SECONDS = 1.3  # how long a real 1.37 server answered 429 after a spec change

# In the order in which a real server lists them for custom resources.
VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


class InvalidCrdError(ValueError):
    """A CRD that cannot be served (422); the text says why."""


def check(obj: Object) -> None:
    """Raise InvalidCrdError for a CRD without what serving it needs."""
    spec = obj.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(names, dict):
        raise InvalidCrdError("spec.names: Required value")
    required = (spec.get("group"), names.get("plural"), names.get("kind"))
    if not all(isinstance(text, str) and text for text in required):
        raise InvalidCrdError("spec.group, spec.names.plural, spec.names.kind: Required value")
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        raise InvalidCrdError('spec.scope: supported values: "Cluster", "Namespaced"')
    versions = spec.get("versions")
    if not isinstance(versions, list) or not versions:
        raise InvalidCrdError("spec.versions: Required value")
    if not all(isinstance(v, dict) and isinstance(v.get("name"), str) for v in versions):
        raise InvalidCrdError("spec.versions[].name: Required value")
    if obj["metadata"].get("name") != full_name(obj):
        raise InvalidCrdError('metadata.name: must be spec.names.plural+"."+spec.group')


def admit(obj: Object, timestamp: str) -> Object:
    """The CRD with names and status filled in, as the server's own controllers would do.

    Raises InvalidCrdError.
    """
    check(obj)
    spec = dict(obj["spec"])
    names = dict(spec["names"])
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    spec["names"] = names
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": timestamp,
        }
        for kind, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    status = {"acceptedNames": names, "conditions": conditions, "storedVersions": stored}
    return {**obj, "spec": spec, "status": obj.get("status") or status}


def to_resource(crd: Object) -> Resource | None:
    """What this CRD serves, or None while no version is served."""
    spec = crd["spec"]
    names = spec["names"]
    served = [version for version in spec["versions"] if version.get("served")]
    if not served:
        return None
    with_status = any("status" in (version.get("subresources") or {}) for version in served)
    return Resource(
        group=spec["group"],
        versions=tuple(sorted((v["name"] for v in served), key=priority)),
        kind=names["kind"],
        plural=names["plural"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=("status",) if with_status else (),
        verbs=VERBS,
        custom=True,
    )


def full_name(crd: Object) -> str:
    """The resource that a CRD defines, which is also the CRD's own name."""
    return f"{crd['spec']['names']['plural']}.{crd['spec']['group']}"


def priority(version: str) -> tuple[int, int, int]:
    """A sort key that puts v2 before v1, v1 before v1beta2, and that before v1alpha1."""
    stability, rest = 3, version.removeprefix("v")
    major, minor = rest, ""
    for rank, word in ((0, ""), (1, "beta"), (2, "alpha")):
        if word and word in rest:
            major, _, minor = rest.partition(word)
            stability = rank
        elif not word and rest.isdecimal():
            stability = rank
    return stability, -_number(major), -_number(minor)


def definition(
    group: str,
    kind: str,
    plural: str,
    *,
    versions: tuple[str, ...] = ("v1",),
    namespaced: bool = True,
    short_names: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
) -> Object:
    """A small CRD object; the first version is the stored one."""
    schema: dict[str, Any] = {
        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    }
    names: dict[str, Any] = {"kind": kind, "plural": plural}
    if short_names:
        names["shortNames"] = list(short_names)
    if categories:
        names["categories"] = list(categories)
    return {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": names,
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[0],
                    "schema": schema,
                    "subresources": {"status": {}},
                }
                for version in versions
            ],
        },
    }


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
