"""Kubeconfig documents as text, and files that exist in a dict only."""

from __future__ import annotations

import json
from collections.abc import Mapping

from orka.proto.messages import Target

HOME = "/home/me/.kube/config"


def kubeconfig(
    *,
    current: str | None = "dev",
    cluster: Mapping[str, object] | None = None,
    user: Mapping[str, object] | None = None,
    context: Mapping[str, object] | None = None,
) -> str:
    """One context `dev` of cluster `c` and user `u`; JSON, which is YAML."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": current,
            "clusters": [{"name": "c", "cluster": cluster or {"server": "https://api.test:6443"}}],
            "users": [{"name": "u", "user": user or {"token": "t0ken"}}],
            "contexts": [
                {"name": "dev", "context": {"cluster": "c", "user": "u", **(context or {})}}
            ],
        }
    )


class Files:
    """A file system of a few files: what `read` and `stamp` of the product code take."""

    def __init__(self, content: Mapping[str, str | bytes | OSError]) -> None:
        self.content = dict(content)
        self.reads: list[str] = []

    def read(self, path: str) -> bytes:
        """The file, or the error it has."""
        self.reads.append(path)
        content = self.content.get(path, FileNotFoundError(2, "No such file or directory", path))
        if isinstance(content, OSError):
            raise content
        return content.encode() if isinstance(content, str) else content

    def stamp(self, path: str) -> tuple[int, int, int] | None:
        """Changes with the content."""
        content = self.content.get(path)
        return None if content is None else (hash(content), 0, 0)


def default_target(*paths: str, context: str | None = None) -> Target:
    """What a shell without flags and variables means."""
    return Target("default", paths or (HOME,), context)
