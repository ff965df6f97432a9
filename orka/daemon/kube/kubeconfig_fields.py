"""The fields of a kubeconfig as types: what client-go's own types take, and nothing else.

Everything may be null, which is absent, and fields that are not here are ignored. A field of
the wrong type makes the whole file unusable, wherever it stands.
"""

from __future__ import annotations

from typing import Any

import msgspec

from orka.daemon.kube.yaml11_scalars import decode_base64


class Base64(bytes):
    """What a field `*-data` holds, decoded."""


class Extension(msgspec.Struct, frozen=True):
    """One of `extensions`: anything, under a name."""

    name: str | None = None
    extension: Any = None  # not `object`: that would be asked of `_decode`


Extensions = list[Extension | None] | None


class ClusterFields(msgspec.Struct, frozen=True, rename="kebab"):
    """`clusters[].cluster`."""

    server: str | None = None
    tls_server_name: str | None = None
    insecure_skip_tls_verify: bool | None = None
    certificate_authority: str | None = None
    certificate_authority_data: Base64 | None = None
    proxy_url: str | None = None
    disable_compression: bool | None = None
    extensions: Extensions = None


class EnvVar(msgspec.Struct, frozen=True):
    """One of `exec.env`."""

    name: str | None = None
    value: str | None = None


class ExecFields(msgspec.Struct, frozen=True, rename="camel"):
    """`users[].user.exec`."""

    command: str | None = None
    args: list[str | None] | None = None
    env: list[EnvVar | None] | None = None
    api_version: str | None = None
    install_hint: str | None = None
    provide_cluster_info: bool | None = None
    interactive_mode: str | None = None


class AuthProviderFields(msgspec.Struct, frozen=True):
    """`users[].user.auth-provider`."""

    name: str | None = None
    config: dict[str, str | None] | None = None


class UserFields(msgspec.Struct, frozen=True, rename="kebab"):
    """`users[].user`."""

    client_certificate: str | None = None
    client_certificate_data: Base64 | None = None
    client_key: str | None = None
    client_key_data: Base64 | None = None
    token: str | None = None
    token_file: str | None = msgspec.field(default=None, name="tokenFile")
    impersonate: str | None = msgspec.field(default=None, name="as")
    as_uid: str | None = None
    as_groups: list[str | None] | None = None
    as_user_extra: dict[str, list[str | None] | None] | None = None
    username: str | None = None
    password: str | None = None
    auth_provider: AuthProviderFields | None = None
    exec: ExecFields | None = None
    extensions: Extensions = None

    @property
    def secret(self) -> bool:
        """Whether who reads the entry can act as the user."""
        provider = self.auth_provider
        return bool(
            self.token or self.password or self.client_key_data or (provider and provider.config)
        )


class ContextFields(msgspec.Struct, frozen=True):
    """`contexts[].context`."""

    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None
    extensions: Extensions = None


class NamedCluster(msgspec.Struct):
    """One of `clusters`."""

    name: str | None = None
    cluster: ClusterFields | None = None


class NamedUser(msgspec.Struct):
    """One of `users`."""

    name: str | None = None
    user: UserFields | None = None


class NamedContext(msgspec.Struct):
    """One of `contexts`."""

    name: str | None = None
    context: ContextFields | None = None


class Preferences(msgspec.Struct):
    """`preferences`, which nobody reads any more and which may still be wrong."""

    colors: bool | None = None
    extensions: Extensions = None


class Document(msgspec.Struct, rename="kebab"):
    """The top of a file, apart from what `type_of` finds."""

    preferences: Preferences | None = None
    current_context: str | None = None
    clusters: list[NamedCluster | None] | None = None
    users: list[NamedUser | None] | None = None
    contexts: list[NamedContext | None] | None = None
    extensions: Extensions = None


def document_of(plain: object) -> Document:
    """Typed; msgspec.ValidationError names the place, and quotes nothing."""
    if plain is None:
        return Document()
    return msgspec.convert(plain, Document, dec_hook=_decode)


def type_of(plain: object) -> tuple[object, object]:
    """`kind` and `apiVersion` as Kubernetes looks for them first: whatever the case of the keys.

    The last spelling counts, unless one of them is no string: then that one.
    """
    found: dict[str, object] = {"kind": "", "apiversion": ""}
    if isinstance(plain, dict):
        for key in sorted(plain):
            name, value = key.lower(), plain[key]
            if value is not None and isinstance(found.get(name), str):
                found[name] = value
    return found["kind"], found["apiversion"]


def _decode(kind: type, value: object) -> object:
    if kind is Base64 and isinstance(value, str):
        return Base64(decode_base64(value))
    raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
