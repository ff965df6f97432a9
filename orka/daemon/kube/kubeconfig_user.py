"""A user entry to Credentials, with client-go's rules for what may stand beside what."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from posixpath import normpath
from typing import Final, Literal, cast

from orka.daemon.kube.connection import (
    Basic,
    CertificateFiles,
    ClientCertificate,
    Credentials,
    ExecPlugin,
    Impersonation,
    StaticToken,
    TokenFile,
)
from orka.daemon.kube.kubeconfig_entry import Checked
from orka.daemon.kube.kubeconfig_fields import ExecFields, UserFields
from orka.daemon.kube.tokens import clean_token

V1: Final = "client.authentication.k8s.io/v1"
V1BETA1: Final = "client.authentication.k8s.io/v1beta1"
V1ALPHA1 = "client.authentication.k8s.io/v1alpha1"
# Plugins of these versions were written before there was an interactiveMode.
MODELESS_VERSIONS = frozenset((V1BETA1, V1ALPHA1))
MODES = ("Never", "IfAvailable", "Always")
REPLACEMENTS = {
    "gcp": "the gcp auth plugin has been removed, use the exec plugin gke-gcloud-auth-plugin",
    "azure": (
        "the azure auth plugin has been removed, use the exec plugin kubelogin "
        "(https://github.com/Azure/kubelogin)"
    ),
    "oidc": (
        "orka does not refresh OpenID tokens, which means writing to your kubeconfig: "
        "use the exec plugin `kubectl oidc-login` (https://github.com/int128/kubelogin)"
    ),
}
TEXT_CATEGORIES = frozenset("LMNPSZ")  # Unicode's major categories of what a terminal may show


def credentials_of(
    entry: Checked,
    fields: UserFields,
    *,
    tls: bool,
    in_url: Basic | None,
    cluster_info: Callable[[], str],
) -> Credentials:
    """What the fields give; what cannot be obeyed is a problem of `entry`.

    Over http:// nobody is told who we are, so only what client-go checks before it knows the
    server is checked there. `in_url` is the user in the server's own URL: as in Go it is sent
    in any case, and whatever else would be an Authorization header is not. `cluster_info` is
    asked for only if the plugin is to be told.
    """
    impersonation = _impersonation(entry, fields)
    certificate = _certificate(entry, fields)
    # A password alone is sent to nobody, but counts as a second way beside a token.
    basic = Basic(fields.username, fields.password or "") if fields.username else None
    if ((basic or fields.password) and fields.token) or (tls and basic and fields.token_file):
        entry.problem("token", "given together with username/password")
    if fields.exec is not None:
        _check_exec(entry, fields.exec)
        if fields.auth_provider is not None:
            entry.problem("auth-provider", "given together with exec")
    if not tls:
        return Credentials(basic=in_url, impersonation=impersonation)
    token = _token(entry, fields)
    _check_tls_only(entry, fields)
    plugin: ExecPlugin | None = None
    if fields.exec is not None and not (token or basic or in_url or certificate or entry.problems):
        # Without problems the command and its version are there, and the version is ours.
        plugin = _plugin(entry, fields.exec, cluster_info)
    if in_url is not None:
        token, basic = None, in_url
    return Credentials(token, basic, certificate, plugin, impersonation)


def _impersonation(entry: Checked, fields: UserFields) -> Impersonation | None:
    if fields.impersonate:
        groups = tuple(group or "" for group in fields.as_groups or ())
        extra = {
            key: tuple(value or "" for value in values or ())
            for key, values in sorted((fields.as_user_extra or {}).items())
        }
        return Impersonation(fields.impersonate, fields.as_uid or "", groups, tuple(extra.items()))
    for name, value in (
        ("as-uid", fields.as_uid),
        ("as-groups", fields.as_groups),
        ("as-user-extra", fields.as_user_extra),
    ):
        if value:
            entry.problem(name, "given without the user to act as: as")
    return None


def _certificate(entry: Checked, fields: UserFields) -> ClientCertificate | CertificateFiles | None:
    """Files are read here only to know that they can be."""
    path, data = fields.client_certificate, fields.client_certificate_data
    key_path, key_data = fields.client_key, fields.client_key_data
    if not path and not data:
        return None  # a key alone is no credential, and kubectl does not mind it either
    before = len(entry.problems)
    certificate = entry.one_of("client-certificate", path, data)
    if not key_path and not key_data:
        entry.problem("client-key", "missing beside the client-certificate")
    key = entry.one_of("client-key", key_path, key_data)
    if len(entry.problems) > before:
        return None
    if path and key_path:
        return CertificateFiles(entry.path(path), entry.path(key_path))
    # One of them does not change while we run, so neither is looked at again.
    return ClientCertificate(certificate or b"", key or b"")


def _token(entry: Checked, fields: UserFields) -> StaticToken | TokenFile | None:
    fallback: str | None = None
    if fields.token:
        fallback = clean_token(fields.token.encode())
        if fallback is None:
            entry.problem("token", "holds characters that no token has")
            return None
    if not fields.token_file:
        return None if fallback is None else StaticToken(fallback)
    path = entry.path(fields.token_file)
    if fallback is None:
        content = entry.content("tokenFile", fields.token_file)
        if content is not None and clean_token(content) is None:
            entry.problem("tokenFile", f"{path}: empty, or not a token")
    return TokenFile(path, fallback)


def _check_exec(entry: Checked, fields: ExecFields) -> None:
    """What must be there even where the plugin is not asked."""
    if not fields.command:
        entry.problem("exec.command", "missing")
    if not fields.api_version:
        entry.problem("exec.apiVersion", f"missing, expected {V1} or {V1BETA1}")
    if any(variable is None or not variable.name for variable in fields.env or ()):
        entry.problem("exec.env", "a variable without a name")
    if not fields.interactive_mode:
        if fields.api_version not in MODELESS_VERSIONS:
            entry.problem("exec.interactiveMode", f"missing, expected one of {', '.join(MODES)}")
    elif fields.interactive_mode not in MODES:
        entry.problem("exec.interactiveMode", f"expected one of {', '.join(MODES)}")


def _check_tls_only(entry: Checked, fields: UserFields) -> None:
    """What client-go trips over when it begins to talk to an https:// server."""
    if fields.exec is not None and fields.exec.api_version not in (None, "", V1, V1BETA1):
        entry.problem("exec.apiVersion", f"expected {V1} or {V1BETA1}")
    if fields.auth_provider is not None and fields.exec is None:
        name = fields.auth_provider.name or ""
        other = f'no Auth Provider found for name "{name}"'
        entry.problem("auth-provider", REPLACEMENTS.get(name, other))


def _plugin(entry: Checked, fields: ExecFields, cluster_info: Callable[[], str]) -> ExecPlugin:
    command = fields.command or ""
    if "/" in command:
        command = "/" + normpath(entry.path(command)).lstrip("/")
    mode = fields.interactive_mode or "IfAvailable"
    variables = [
        (variable.name or "", variable.value or "") for variable in fields.env or () if variable
    ]
    return ExecPlugin(
        command,
        tuple(argument or "" for argument in fields.args or ()),
        tuple(variables),
        V1 if fields.api_version == V1 else V1BETA1,
        cast("Literal['Never', 'IfAvailable', 'Always']", mode),
        cluster_info() if fields.provide_cluster_info else None,
        _shown(fields.install_hint or ""),
    )


def _shown(hint: str) -> str:
    """A text whose control characters are named, white space apart."""
    return "".join(
        character
        if character in "\t\n\v\f\r" or unicodedata.category(character)[0] in TEXT_CATEGORIES
        else f"U+{ord(character):04X}"
        for character in hint
    )
