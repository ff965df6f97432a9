"""Served kinds to the answer of `discover`: aligned lines, one JSON document, or plain names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orka.render.chunks import in_chunks
from orka.render.clean import clean, clean_all
from orka.render.json import SCHEMA_VERSION, document
from orka.render.table import aligned

if TYPE_CHECKING:
    from orka.proto.messages import Resources, ServedKind

__all__ = ["failed_notes", "json_document", "names", "table"]

BULLET = " • "


def table(found: Resources) -> Iterator[bytes]:
    """One line a kind: `group/version • Kind • namespaced|cluster`; nothing for no kinds."""
    kinds = _sorted(found)
    if not kinds:
        return iter(())
    columns = [
        clean_all([_group_version(kind) for kind in kinds]),
        clean_all([kind.kind for kind in kinds]),
        ["namespaced" if kind.namespaced else "cluster" for kind in kinds],
    ]
    return in_chunks(aligned(columns, BULLET))


def names(found: Resources) -> Iterator[bytes]:
    """One line a kind, as `kubectl api-resources -o name`: `certificates.cert-manager.io`."""
    kinds = clean_all([_group_resource(kind) for kind in _sorted(found)])
    return in_chunks([f"{name}\n" for name in kinds])


def json_document(found: Resources) -> Iterator[bytes]:
    """Everything that discovery knows, as one document."""
    return document(
        {
            "v": SCHEMA_VERSION,
            "context": found.context,
            "server": found.server,
            "resources": [_kind_document(kind) for kind in _sorted(found)],
            "failed": dict(found.failed),
        }
    )


def failed_notes(found: Resources) -> list[str]:
    """One line for stderr for each group whose part is missing or old."""
    return [clean(f"{group}: {why}") for group, why in sorted(found.failed.items())]


def _sorted(found: Resources) -> list[ServedKind]:
    """By group, then resource, as kubectl lists them; the preferred version of one first."""
    return sorted(
        found.resources,
        key=lambda kind: (kind.group, kind.resource, not kind.preferred, kind.version),
    )


def _group_version(kind: ServedKind) -> str:
    return f"{kind.group}/{kind.version}" if kind.group else kind.version


def _group_resource(kind: ServedKind) -> str:
    return f"{kind.resource}.{kind.group}" if kind.group else kind.resource


def _kind_document(kind: ServedKind) -> dict[str, object]:
    return {
        "gvk": f"{_group_version(kind)}/{kind.kind}",
        "group": kind.group,
        "version": kind.version,
        "kind": kind.kind,
        "resource": kind.resource,
        "singular": kind.singular,
        "shortNames": list(kind.short_names),
        "categories": list(kind.categories),
        "namespaced": kind.namespaced,
        "verbs": list(kind.verbs),
        "preferred": kind.preferred,
        "watchable": kind.watchable,
        "crd": kind.crd,
    }
