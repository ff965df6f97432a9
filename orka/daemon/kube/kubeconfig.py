"""What a client's shell says about its cluster to one checked Connection, as kubectl would.

Kubeconfig first; the pod's own service account only where the kubeconfig says nothing at
all. What orka cannot do yet (credential plugins, proxies, impersonation) is refused by name
when the selected context needs it, never half-obeyed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from orka.daemon.kube.connection import (
    ClientCertificate,
    Connection,
    Credentials,
    StaticToken,
    TokenFile,
)
from orka.daemon.kube.credentials import clean_token
from orka.daemon.kube.in_cluster import in_cluster
from orka.daemon.kube.kubeconfig_files import (
    ClusterFields,
    Entry,
    Merged,
    Read,
    UserFields,
    merge,
    read_file,
    why_unreadable,
)
from orka.proto.errors import ConfigError
from orka.proto.messages import Target

LATER = "not supported by this version of orka"


def load(target: Target, environ: Mapping[str, str], *, read: Read = read_file) -> Connection:
    """Resolve what the client's shell means, reading files through `read`.

    Raises ConfigError, with every problem of the selected context in one message.
    """
    merged = merge(target.kubeconfig, read)
    if target.source == "flag" and merged.missing:
        raise ConfigError(f"kubeconfig {merged.missing[0]} not found")
    name = target.context or merged.current_context
    if not name:
        connection = in_cluster(environ, read)
        if connection is None:
            raise _nothing_configured(merged)
        return connection
    if name not in merged.contexts:
        raise _unknown_context(name, target, merged)
    return _connection(name, merged, read)


def _nothing_configured(merged: Merged) -> ConfigError:
    if merged.contexts:
        return ConfigError(
            f"no context is selected: current-context is empty in {', '.join(merged.files)}",
            hint=f"use --context with one of: {_names(merged)}",
        )
    hint = "set KUBECONFIG or pass --kubeconfig"
    if merged.files:
        return ConfigError(f"kubeconfig {', '.join(merged.files)} has no contexts", hint=hint)
    if merged.missing:
        return ConfigError(f"kubeconfig not found: {', '.join(merged.missing)}", hint=hint)
    return ConfigError("no kubeconfig is named, and this is not a pod", hint=hint)


def _unknown_context(name: str, target: Target, merged: Merged) -> ConfigError:
    said = "context" if target.context else "current-context"
    where = ", ".join(merged.files or merged.missing) or "no kubeconfig at all"
    state = "" if merged.files or not merged.missing else " (not found)"
    return ConfigError(
        f'{said} "{name}" does not exist in {where}{state}',
        hint=f"contexts there: {_names(merged)}" if merged.contexts else None,
    )


def _names(merged: Merged) -> str:
    return ", ".join(sorted(merged.contexts))


@dataclass(slots=True)
class _Checked:
    """Reads the fields of one entry and collects every problem with them."""

    what: str  # e.g. `user "admin" (/home/me/.kube/config)`
    file: str
    read: Read
    problems: list[str] = field(default_factory=list)

    def problem(self, field_name: str, why: str) -> None:
        self.problems.append(f"{self.what}: {field_name}: {why}")

    def path(self, value: str) -> str:
        """Relative to the file that named it; symlinks are not resolved."""
        return str(Path(self.file).parent / value)

    def file_or_data(self, name: str, path: str | None, data: str | None) -> bytes | None:
        """The PEM bytes of a pair of fields like `client-key` and `client-key-data`."""
        if path and data:
            self.problem(name, f"given together with {name}-data, which would win")
            return None
        if data:
            try:
                return base64.b64decode("".join(data.split()), validate=True)
            except (binascii.Error, ValueError):
                self.problem(f"{name}-data", "not base64")
                return None
        return self.content(name, path) if path else None

    def content(self, name: str, path: str) -> bytes | None:
        full = self.path(path)
        try:
            return self.read(full)
        except OSError as exc:
            self.problem(name, f"{full}: {why_unreadable(exc)}")
            return None


def _connection(name: str, merged: Merged, read: Read) -> Connection:
    context = merged.contexts[name].fields
    cluster_entry = merged.clusters.get(context.cluster or "")
    if cluster_entry is None:
        raise ConfigError(
            f'context "{name}" ({merged.contexts[name].file}): cluster: '
            + (f'"{context.cluster}" is not defined' if context.cluster else "missing")
        )
    cluster = _Checked(
        f'cluster "{context.cluster or ""}" ({cluster_entry.file})', cluster_entry.file, read
    )
    server, prefix = _server(cluster, cluster_entry.fields.server)
    ca = _ca(cluster, cluster_entry.fields)
    # A missing or unknown user is anonymous, as for kubectl.
    user_entry = merged.users.get(context.user or "") or Entry(UserFields(), "")
    user = _Checked(f'user "{context.user or ""}" ({user_entry.file})', user_entry.file, read)
    credentials = _credentials(user, user_entry.fields, tls=server.startswith("https://"))
    problems = cluster.problems + user.problems
    if problems:
        raise ConfigError(f'context "{name}": ' + "; ".join(problems))
    fields = cluster_entry.fields
    return Connection(
        server=server,
        path_prefix=prefix,
        ca=ca,
        insecure=bool(fields.insecure_skip_tls_verify),
        tls_server_name=fields.tls_server_name or None,
        credentials=credentials,
        namespace=context.namespace or "default",
        context=name,
        user=context.user or "",
        cluster=context.cluster or "",
        disable_compression=bool(fields.disable_compression),
    )


def _server(cluster: _Checked, text: str | None) -> tuple[str, str]:
    """The server without its path, and the path; problems go to `cluster`."""
    if not text:
        cluster.problem("server", "missing")
        return "", ""
    # `host:port` without a scheme is an http:// server.
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        cluster.problem("server", f"not a URL: {exc}")
        return "", ""
    if parts.scheme not in ("http", "https"):
        cluster.problem("server", f"{parts.scheme}:// is neither http:// nor https://")
    elif not host or any(ord(character) <= 32 for character in url):
        cluster.problem("server", "not a URL with a host")
    elif parts.username is not None or parts.password is not None:
        cluster.problem("server", f"a user in the URL is {LATER}")
    bracketed = f"[{host}]" if host and ":" in host else host or ""
    shown_port = f":{port}" if port is not None else ""
    return f"{parts.scheme}://{bracketed}{shown_port}", parts.path.rstrip("/")


def _ca(cluster: _Checked, fields: ClusterFields) -> bytes | None:
    if fields.proxy_url:
        cluster.problem("proxy-url", LATER)
    ca = cluster.file_or_data(
        "certificate-authority", fields.certificate_authority, fields.certificate_authority_data
    )
    if ca is not None and fields.insecure_skip_tls_verify:
        cluster.problem("insecure-skip-tls-verify", "given together with a certificate-authority")
    return ca


def _credentials(user: _Checked, fields: UserFields, *, tls: bool) -> Credentials:
    """What the user entry gives; over http:// that is nothing, so nothing is refused there.

    Impersonation is the exception: its headers would be sent over http:// as well.
    """
    for name, value in (
        ("as", fields.impersonate),
        ("as-uid", fields.as_uid),
        ("as-groups", fields.as_groups),
        ("as-user-extra", fields.as_user_extra),
    ):
        if value:
            user.problem(name, f"impersonation is {LATER}")
    certificate = _certificate(user, fields)
    token = _token(user, fields)
    if not tls:
        return Credentials()
    if fields.username or fields.password:
        user.problem("username/password", "Kubernetes has no basic authentication since 1.19")
    if fields.auth_provider is not None:
        user.problem("auth-provider", LATER)
    # As in kubectl, a plugin is not asked where the entry has another credential.
    if fields.exec is not None and not (token or certificate or user.problems):
        user.problem("exec", f"credential plugins are {LATER}")
    return Credentials(token, certificate)


def _certificate(user: _Checked, fields: UserFields) -> ClientCertificate | None:
    before = len(user.problems)
    certificate = user.file_or_data(
        "client-certificate", fields.client_certificate, fields.client_certificate_data
    )
    key = user.file_or_data("client-key", fields.client_key, fields.client_key_data)
    if certificate is not None and key is None and len(user.problems) == before:
        user.problem("client-key", "missing beside the client-certificate")
    # A key without a certificate is no credential, and kubectl does not mind it either.
    return None if certificate is None or key is None else ClientCertificate(certificate, key)


def _token(user: _Checked, fields: UserFields) -> StaticToken | TokenFile | None:
    fallback: str | None = None
    if fields.token:
        fallback = clean_token(fields.token.encode())
        if fallback is None:
            user.problem("token", "holds characters that no token has")
            return None
    if not fields.token_file:
        return None if fallback is None else StaticToken(fallback)
    path = user.path(fields.token_file)
    if fallback is None:
        content = user.content("tokenFile", fields.token_file)
        if content is not None and clean_token(content) is None:
            user.problem("tokenFile", f"{path}: empty, or not a token")
    return TokenFile(path, fallback)
