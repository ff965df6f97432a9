"""Flags and environment of this shell to the cluster that is meant, as kubectl would find it.

Only paths are settled here; the files are read by orkad, which does it again when they change.
"""

from __future__ import annotations

from collections.abc import Mapping

from orka.proto.address import kubeconfig_paths
from orka.proto.tinypack import Value

__all__ = ["target"]


def target(
    environ: Mapping[str, str], *, kubeconfig: str | None, context: str | None
) -> dict[str, Value]:
    """The `Target` of a request, as plain values; an empty flag counts as none, as with kubectl."""
    source, paths = kubeconfig_paths(kubeconfig or None, environ)
    return {"source": source, "kubeconfig": list(paths), "context": context or None}
