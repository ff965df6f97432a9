"""Kubeconfig files to one merged view: YAML to typed entries, the first file wins per name."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec
import yaml

from orka.proto.errors import ConfigError

# Thousands of contexts with inline certificates fit; more is no kubeconfig.
FILE_MAX_BYTES = 16 * 1024 * 1024
DEPTH_MAX_COUNT = 100  # collections inside collections; a kubeconfig has about eight

Read = Callable[[str], bytes]
"""A whole file by its absolute path; OSError when it cannot be had."""

T = TypeVar("T")


class ClusterFields(msgspec.Struct, frozen=True, rename="kebab"):
    """`clusters[].cluster`; null and absent are one."""

    server: str | None = None
    tls_server_name: str | None = None
    insecure_skip_tls_verify: bool | None = None
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    proxy_url: str | None = None
    disable_compression: bool | None = None


class UserFields(msgspec.Struct, frozen=True, rename="kebab"):
    """`users[].user`; what orka refuses is here too, so that it can be named."""

    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    token: str | None = None
    token_file: str | None = msgspec.field(default=None, name="tokenFile")
    impersonate: str | None = msgspec.field(default=None, name="as")
    as_uid: str | None = None
    as_groups: list[str] | None = None
    as_user_extra: dict[str, list[str]] | None = None
    username: str | None = None
    password: str | None = None
    auth_provider: dict[str, object] | None = None
    exec: dict[str, object] | None = None


class ContextFields(msgspec.Struct, frozen=True):
    """`contexts[].context`."""

    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None


class _NamedCluster(msgspec.Struct):
    name: str | None = None
    cluster: ClusterFields | None = None


class _NamedUser(msgspec.Struct):
    name: str | None = None
    user: UserFields | None = None


class _NamedContext(msgspec.Struct):
    name: str | None = None
    context: ContextFields | None = None


class _Document(msgspec.Struct, rename="kebab"):
    """The top of a file; `apiVersion` and `kind` may be absent."""

    kind: str | None = None
    api_version: str | None = msgspec.field(default=None, name="apiVersion")
    current_context: str | None = None
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One named entry and the file it came from, against which its paths are resolved."""

    fields: T
    file: str


@dataclass(frozen=True, slots=True)
class Merged:
    """One or more files as one: whole entries by name, never merged field by field."""

    files: tuple[str, ...] = ()  # those that were there
    missing: tuple[str, ...] = ()
    current_context: str = ""
    contexts: Mapping[str, Entry[ContextFields]] = field(default_factory=dict)
    clusters: Mapping[str, Entry[ClusterFields]] = field(default_factory=dict)
    users: Mapping[str, Entry[UserFields]] = field(default_factory=dict)

    def then(self, later: Merged) -> Merged:
        """This one, completed by what only `later` has."""
        return Merged(
            self.files + later.files,
            self.missing + later.missing,
            self.current_context or later.current_context,
            {**later.contexts, **self.contexts},
            {**later.clusters, **self.clusters},
            {**later.users, **self.users},
        )


def read_file(path: str) -> bytes:
    """A regular file whole; OSError for anything else, without ever waiting.

    Non-blocking, because `KUBECONFIG=<(...)` names a pipe, and opening a pipe would hang the
    daemon.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        if status.st_size > FILE_MAX_BYTES:
            raise OSError(errno.EFBIG, f"over {FILE_MAX_BYTES} bytes", path)
        return file.read(FILE_MAX_BYTES)


def why_unreadable(exc: OSError) -> str:
    """The system's words for it, without the path."""
    return exc.strerror or str(exc)


def merge(paths: Sequence[str], read: Read) -> Merged:
    """Read the files in order, each once, and merge them: the first one wins.

    A missing file is skipped and noted; one that is there and cannot be used makes the whole
    load fail with a ConfigError that names it, even if others are good.
    """
    merged = Merged()
    for path in dict.fromkeys(paths):
        try:
            data = read(path)
        except FileNotFoundError:
            merged = merged.then(Merged(missing=(path,)))
        except OSError as exc:
            raise ConfigError(f"kubeconfig {path}: {why_unreadable(exc)}") from exc
        else:
            merged = merged.then(parse(path, data))
    return merged


def parse(path: str, data: bytes) -> Merged:
    """One file's entries; a zero-byte file has none. ConfigError names the file and the field.

    What the error says never quotes the file: it may hold secrets.
    """
    document = _document(path, data)
    if document.kind not in (None, "", "Config") or document.api_version not in (None, "", "v1"):
        raise ConfigError(
            f"kubeconfig {path}: expected kind Config of apiVersion v1, "
            f"got {document.kind!r} of {document.api_version!r}"
        )
    contexts = [(item.name, item.context or ContextFields()) for item in document.contexts or ()]
    clusters = [(item.name, item.cluster or ClusterFields()) for item in document.clusters or ()]
    users = [(item.name, item.user or UserFields()) for item in document.users or ()]
    return Merged(
        (path,),
        (),
        document.current_context or "",
        _by_name(path, "contexts", contexts),
        _by_name(path, "clusters", clusters),
        _by_name(path, "users", users),
    )


class _Loader(yaml.CSafeLoader):
    """YAML 1.1 as Kubernetes reads it: what looks like a date is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _document(path: str, data: bytes) -> _Document:
    try:
        _check_depth(data)
        plain = yaml.load(data, Loader=_Loader)  # noqa: S506 -- a safe loader, less its dates
        return _Document() if plain is None else msgspec.convert(plain, _Document)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"kubeconfig {path}: {exc}") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise ConfigError(f"kubeconfig {path} is not YAML: {_yaml_problem(exc)}") from exc


def _check_depth(data: bytes) -> None:
    """PyYAML's C composer recurses without a limit: deep nesting would kill the process."""
    depth = 0
    for event in yaml.parse(data, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_MAX_COUNT:
            raise RecursionError


def _yaml_problem(exc: Exception) -> str:
    if isinstance(exc, yaml.MarkedYAMLError) and exc.problem_mark is not None:
        mark = exc.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {exc.problem}"
    if isinstance(exc, RecursionError):
        return "nested too deeply"
    return "it holds bytes that are not text" if isinstance(exc, yaml.YAMLError) else "a bad scalar"


def _by_name(path: str, where: str, items: Sequence[tuple[str | None, T]]) -> dict[str, Entry[T]]:
    entries: dict[str, Entry[T]] = {}
    for name, fields in items:
        if (name or "") in entries:
            raise ConfigError(f"kubeconfig {path}: duplicate name {name!r} in {where}")
        entries[name or ""] = Entry(fields, path)
    return entries
