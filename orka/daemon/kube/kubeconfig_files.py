"""Kubeconfig files to one merged view: YAML to typed entries, the first file wins per name."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from orka.daemon.kube import yaml11
from orka.daemon.kube.kubeconfig_fields import (
    ClusterFields,
    ContextFields,
    Extension,
    Extensions,
    NamedCluster,
    NamedContext,
    NamedUser,
    Preferences,
    UserFields,
    document_of,
    type_of,
)
from orka.daemon.kube.yaml11_scalars import YamlError
from orka.proto.errors import ConfigError

# Thousands of contexts with inline certificates fit; more is no kubeconfig.
FILE_MAX_BYTES = 16 * 1024 * 1024
KINDS = ("", "Config")
WORD_MAX_CHARS = 64  # what is longer is no kind and no apiVersion, and may be anything
API_VERSIONS = ("", "/", "v1", "/v1")  # as Go splits group from version

Read = Callable[[str], bytes]
"""A whole file by its absolute path; OSError when it cannot be had."""

T = TypeVar("T")


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
    secret_files: frozenset[str] = frozenset()  # those that nobody else should be able to read

    def then(self, later: Merged) -> Merged:
        """This one, completed by what only `later` has."""
        return Merged(
            self.files + later.files,
            self.missing + later.missing,
            self.current_context or later.current_context,
            {**later.contexts, **self.contexts},
            {**later.clusters, **self.clusters},
            {**later.users, **self.users},
            self.secret_files | later.secret_files,
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


def why_unreadable(exc: OSError | ValueError) -> str:
    """The system's words for it, without the path; ValueError: no path has a zero byte."""
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc)


def merge(paths: Sequence[str], read: Read) -> Merged:
    """Read the files in order, each once, and merge them: the first one wins.

    A missing file is skipped and noted; those that are there and cannot be used make the whole
    load fail with a ConfigError that names them all, even if others are good.
    """
    merged = Merged()
    problems: list[str] = []
    for path in dict.fromkeys(paths):
        try:
            data = read(path)
        except FileNotFoundError:
            merged = merged.then(Merged(missing=(path,)))
        except (OSError, ValueError) as exc:
            problems.append(f"kubeconfig {path}: {why_unreadable(exc)}")
        else:
            try:
                merged = merged.then(parse(path, data))
            except ConfigError as exc:
                problems.append(exc.message)
    if problems:
        raise ConfigError("; ".join(problems))
    return merged


def parse(path: str, data: bytes) -> Merged:
    """One file's entries; a zero-byte file has none. ConfigError names the file and the field.

    What the error says never quotes the file: it may hold secrets.
    """
    try:
        plain = yaml11.load(data)
        document = document_of(plain)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"kubeconfig {path}: {exc}") from exc
    except YamlError as exc:
        raise ConfigError(f"kubeconfig {path} is not YAML: {exc}") from exc
    kind, api_version = type_of(plain)
    if kind not in KINDS or api_version not in API_VERSIONS:
        raise ConfigError(
            f"kubeconfig {path}: expected kind Config of apiVersion v1, "
            f"got {_shown(kind)} of {_shown(api_version)}"
        )
    clusters = [item or NamedCluster() for item in document.clusters or ()]
    users = [item or NamedUser() for item in document.users or ()]
    contexts = [item or NamedContext() for item in document.contexts or ()]
    merged = Merged(
        (path,),
        (),
        document.current_context or "",
        _by_name(path, "contexts", [(n.name, n.context or ContextFields()) for n in contexts]),
        _by_name(path, "clusters", [(n.name, n.cluster or ClusterFields()) for n in clusters]),
        _by_name(path, "users", [(n.name, n.user or UserFields()) for n in users]),
        frozenset([path]) if any(n.user and n.user.secret for n in users) else frozenset(),
    )
    preferences = document.preferences or Preferences()
    for extensions in (document.extensions, preferences.extensions):
        _check_extensions(path, "the file", extensions)
    for entries in (merged.contexts, merged.clusters, merged.users):
        for name, entry in entries.items():
            _check_extensions(path, f"{name!r}", entry.fields.extensions)
    return merged


def _shown(value: object) -> str:
    """A value that should have been one word."""
    is_word = isinstance(value, str) and len(value) <= WORD_MAX_CHARS
    return repr(value) if is_word else f"<{type(value).__name__}>"


def _by_name(path: str, where: str, items: Sequence[tuple[str | None, T]]) -> dict[str, Entry[T]]:
    entries: dict[str, Entry[T]] = {}
    for name, fields in items:
        if (name or "") in entries:
            raise ConfigError(f"kubeconfig {path}: duplicate name {name!r} in {where}")
        entries[name or ""] = Entry(fields, path)
    return entries


def _check_extensions(path: str, where: str, extensions: Extensions) -> None:
    """One name twice makes the file unusable here too, unless the first one is null."""
    seen: set[str] = set()
    for item in extensions or ():
        extension = item or Extension()
        if (extension.name or "") in seen:
            raise ConfigError(
                f"kubeconfig {path}: duplicate name {extension.name!r} in extensions of {where}"
            )
        if extension.extension is not None:
            seen.add(extension.name or "")
