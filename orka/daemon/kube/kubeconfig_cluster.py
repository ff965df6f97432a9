"""A cluster entry to where its server is, whom to trust and which proxy to take."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from orka.daemon.kube import urls
from orka.daemon.kube.connection import Proxy
from orka.daemon.kube.kubeconfig_entry import Checked
from orka.daemon.kube.kubeconfig_fields import ClusterFields
from orka.daemon.kube.proxy import proxy_for
from orka.daemon.kube.urls import Url

PLUGIN_CONFIG = "client.authentication.k8s.io/exec"  # the extension that plugins are given


@dataclass(frozen=True, slots=True)
class ClusterPart:
    """What a Connection has of a cluster; over http:// nothing of TLS counts."""

    url: Url
    ca: bytes | None = None
    ca_path: str | None = None
    insecure: bool = False
    tls_server_name: str | None = None
    proxy: Proxy | None = None

    @property
    def server(self) -> str:
        """scheme://host:port."""
        return f"{self.url.scheme}://{self.url.authority.lower()}"

    @property
    def tls(self) -> bool:
        """Whether credentials may be sent there."""
        return self.url.scheme == "https"


def cluster_part(entry: Checked, fields: ClusterFields, environ: Mapping[str, str]) -> ClusterPart:
    """Obey the fields; what cannot be obeyed is a problem of `entry`.

    Where the fields name no proxy the environment's is taken: of the daemon, since it is the
    daemon that connects.
    """
    url = _url(entry, fields.server)
    data = fields.certificate_authority_data
    ca = entry.one_of("certificate-authority", fields.certificate_authority, data)
    part = partial(ClusterPart, url, proxy=_proxy(entry, url, fields.proxy_url, environ))
    if url.scheme != "https":
        return part()
    insecure = bool(fields.insecure_skip_tls_verify)
    if insecure and (fields.certificate_authority or data):
        entry.problem("insecure-skip-tls-verify", "given together with a certificate-authority")
    path = fields.certificate_authority
    return part(
        ca=ca,
        ca_path=entry.path(path) if path and not data else None,
        insecure=insecure,
        tls_server_name=fields.tls_server_name or None,
    )


def _url(entry: Checked, text: str | None) -> Url:
    if not text:
        entry.problem("server", "missing")
        return Url("")
    try:
        url = urls.parse_server(text)
    except ValueError as exc:
        entry.problem("server", f"not a URL with a host: {exc}")
        return Url("")
    if url.scheme not in ("http", "https"):
        entry.problem("server", f"{url.scheme}:// is neither http:// nor https://")
    return url


def _proxy(
    entry: Checked, url: Url, proxy_url: str | None, environ: Mapping[str, str]
) -> Proxy | None:
    try:
        return proxy_for(url, proxy_url, environ)
    except ValueError as exc:
        entry.problem("proxy-url" if proxy_url else "environment.proxy", str(exc))
        return None


def cluster_info(fields: ClusterFields, part: ClusterPart) -> str:
    """`spec.cluster` of what an exec plugin is told, as client-go builds it.

    Data of a CA file is in it; a proxy only if the cluster names it.
    """
    extensions = {e.name: e.extension for e in fields.extensions or () if e is not None}
    has_path = len(part.url.path) > 1
    proxy_scheme, colon, proxy_rest = (fields.proxy_url or "").partition(":")
    info: dict[str, object] = {
        "server": str(part.url) if has_path else fields.server,
        "tls-server-name": part.tls_server_name,
        "insecure-skip-tls-verify": part.insecure,
        "certificate-authority-data": part.ca and base64.b64encode(part.ca).decode(),
        "proxy-url": proxy_scheme.lower() + colon + proxy_rest,
        "disable-compression": fields.disable_compression,
    }
    given = {name: value for name, value in info.items() if value}
    given["config"] = extensions.get(PLUGIN_CONFIG)
    return msgspec.json.encode(given).decode()
