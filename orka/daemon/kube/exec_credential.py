"""The protocol of credential plugins, both ways: what one is told, and what it must print.

`client.authentication.k8s.io` in v1 and v1beta1. Pure: exec_plugin.py runs the programs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from orka.daemon.kube.connection import ClientCertificate, ExecPlugin
from orka.daemon.kube.tokens import clean_token

INFO_VARIABLE = "KUBERNETES_EXEC_INFO"


class BadPluginError(Exception):
    """What a plugin did, or what its entry asks for, cannot be used; never quotes its output."""


class MissingPluginError(BadPluginError):
    """The program is not installed."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a plugin gave: a token, a certificate, or both."""

    token: str | None = field(default=None, repr=False)
    certificate: ClientCertificate | None = field(default=None, repr=False)
    expires_at: float | None = None  # seconds since 1970; None: until it is refused


class _Status(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _Output(msgspec.Struct, rename="camel"):
    kind: str | None = None
    api_version: str | None = None
    status: _Status | None = None


class _Spec(msgspec.Struct, omit_defaults=True):
    interactive: bool | None = None
    cluster: msgspec.Raw | None = None


class _Info(msgspec.Struct, rename="camel"):
    kind: str
    api_version: str
    spec: _Spec


_VERSION = re.compile(r"[a-z0-9.]{1,40}/v[a-z0-9]{1,10}")
_output_decoder = msgspec.json.Decoder(_Output)


def environment(plugin: ExecPlugin, environ: Mapping[str, str]) -> dict[str, str]:
    """What the plugin's process is given: ours, its entry's, and who is asking; the last wins.

    Raises BadPluginError for an entry that needs a terminal, which a daemon does not have.
    """
    if plugin.interactive_mode == "Always":
        raise BadPluginError("interactiveMode is Always, but standard input is not a terminal")
    cluster = None if plugin.cluster_info is None else msgspec.Raw(plugin.cluster_info)
    info = _Info("ExecCredential", plugin.api_version, _Spec(interactive=False, cluster=cluster))
    return {**environ, **dict(plugin.env), INFO_VARIABLE: msgspec.json.encode(info).decode()}


def credential_in(plugin: ExecPlugin, stdout: bytes) -> Credential:
    """What the plugin printed, checked as far as it can be without TLS; raises BadPluginError."""
    try:
        output = _output_decoder.decode(stdout)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        # Only where a field has the wrong type is the library's text free of what was printed.
        why = str(exc) if isinstance(exc, msgspec.ValidationError) else "not one JSON document"
        raise BadPluginError(f"its output is no ExecCredential: {why}") from None
    if output.kind != "ExecCredential":
        raise BadPluginError("its output is no ExecCredential: another kind, or none")
    if output.api_version != plugin.api_version:
        raise BadPluginError(
            f"it is configured to use API version {plugin.api_version}, "
            f"but its output has {_short(output.api_version)}"
        )
    if output.status is None:
        raise BadPluginError("its output has no status")
    return _credential(output.status)


def _credential(status: _Status) -> Credential:
    token = None
    if status.token:
        token = clean_token(status.token.encode())
        if token is None:
            raise BadPluginError("its token holds characters that no token has")
    certificate, key = status.client_certificate_data, status.client_key_data
    if bool(certificate) != bool(key):
        raise BadPluginError("it gave only one of clientCertificateData and clientKeyData")
    pair = ClientCertificate(certificate.encode(), key.encode()) if certificate and key else None
    if token is None and pair is None:
        raise BadPluginError("it gave neither a token nor a certificate with its key")
    expires = status.expiration_timestamp
    if expires is not None and expires.tzinfo is None:
        raise BadPluginError("its expirationTimestamp has no time zone")
    return Credential(token, pair, None if expires is None else expires.timestamp())


def _short(version: str | None) -> str:
    """An apiVersion as far as it looks like one: it is the program's text, and we print it."""
    return version if version and _VERSION.fullmatch(version) else "none that can be shown"
