"""An endpoint turned into a kubeconfig that points at it."""

from __future__ import annotations

import base64
import json

from .server import Endpoint


def kubeconfig(endpoint: Endpoint, *, context: str, token: str = "", namespace: str = "") -> str:
    """The file's text; values are JSON strings, which YAML reads as they are."""
    cluster = [f"    server: {json.dumps(endpoint.url)}"]
    if endpoint.ca_pem:
        encoded = base64.b64encode(endpoint.ca_pem).decode()
        cluster.append(f"    certificate-authority-data: {encoded}")
    user = f"    token: {json.dumps(token)}" if token else "    {}"
    name = json.dumps(context)
    lines = [
        "apiVersion: v1",
        "kind: Config",
        f"current-context: {name}",
        "clusters:",
        f"- name: {name}",
        "  cluster:",
        *cluster,
        "users:",
        f"- name: {name}",
        "  user:",
        user,
        "contexts:",
        f"- name: {name}",
        "  context:",
        f"    cluster: {name}",
        f"    user: {name}",
        *([f"    namespace: {json.dumps(namespace)}"] if namespace else []),
    ]
    return "\n".join(lines) + "\n"
