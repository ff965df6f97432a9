"""Loads a target's Connection once, and again only when a file it came from has changed."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orka.daemon.kube.connection import Connection
from orka.daemon.kube.kubeconfig import resolve
from orka.daemon.kube.kubeconfig_files import Read, merge, read_file
from orka.proto.messages import Target

TARGETS_MAX_COUNT = 64  # shells and contexts of one user at a time; each a few KiB
EXPOSED_MAX_COUNT = 1024  # paths warned of, so that a stranger's paths fill no memory
OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH

Stamp = tuple[int, int, int] | None
"""mtime in ns, size, inode; None for a file that is not there."""

log = logging.getLogger("orka.kube.kubeconfig")


def stamp_file(path: str) -> Stamp:
    """What changes when a file is written or replaced."""
    try:
        status = os.stat(path)  # noqa: PTH116 -- at every request: a Path costs more than the call
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def mode_of_file(path: str) -> int:
    """The permission bits; none for a file that is not there any more."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116 -- see above
    except OSError:
        return 0


@dataclass(frozen=True, slots=True)
class _Loaded:
    connection: Connection
    stamps: Mapping[str, Stamp]  # of every file asked for, missing ones too


class KubeconfigCache:
    """`load` for a daemon that is asked at every request; failures are not remembered.

    Every file that `load` asked for counts, those that the kubeconfig names and those that
    were missing too. The first time that a kubeconfig with a secret in it is seen to be readable
    by others, the log says so.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        read: Read = read_file,
        stamp: Callable[[str], Stamp] = stamp_file,
        mode: Callable[[str], int] = mode_of_file,
    ) -> None:
        self._environ = environ
        self._read = read
        self._stamp = stamp
        self._mode = mode
        self._loaded: dict[Target, _Loaded] = {}
        self._exposed: set[str] = set()

    def __repr__(self) -> str:
        return f"<KubeconfigCache targets={len(self._loaded)}>"

    def load(self, target: Target) -> Connection:
        """The target's Connection as its files are now; raises ConfigError as `load` does."""
        loaded = self._loaded.get(target)
        if loaded is not None:
            stamp = self._stamp
            if all(stamp(path) == old for path, old in loaded.stamps.items()):
                return loaded.connection
        stamps: dict[str, Stamp] = {}

        def read_stamped(path: str) -> bytes:
            # Before reading: a change in between shows as a new stamp next time.
            stamps[path] = self._stamp(path)
            return self._read(path)

        merged = merge(target.kubeconfig, read_stamped)
        for path in sorted(merged.secret_files - self._exposed):
            self._warn_if_exposed(path)
        connection = resolve(merged, target, self._environ, read_stamped)
        self._loaded.pop(target, None)
        while len(self._loaded) >= TARGETS_MAX_COUNT:
            del self._loaded[next(iter(self._loaded))]
        self._loaded[target] = _Loaded(connection, stamps)
        return connection

    def _warn_if_exposed(self, path: str) -> None:
        mode = self._mode(path)
        if mode & OTHERS_MAY_READ and len(self._exposed) < EXPOSED_MAX_COUNT:
            self._exposed.add(path)
            log.warning(
                "kubeconfig-exposed path=%s mode=%04o: others can read its secrets", path, mode
            )
