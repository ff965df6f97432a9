"""Where the socket is: the same rule for `orkad` and `orkactl`, from the environment to a path.

`$ORKA_SOCKET`, else `$XDG_RUNTIME_DIR/orka/orkad.sock`, else `/tmp/orka-$UID/orkad.sock`.
"""

# os.path costs nothing at start-up, pathlib some milliseconds.
# ruff: noqa: PTH100, PTH118

from __future__ import annotations

import os

TYPE_CHECKING = False  # as typing has it; importing typing costs a one-shot client milliseconds
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

__all__ = ["SOCKET_PATH_MAX_BYTES", "kubeconfig_paths", "socket_path"]

SOCKET_PATH_MAX_BYTES = 107  # sun_path of Linux holds 108 with the terminating zero


def socket_path(environ: Mapping[str, str], uid: int) -> str:
    """The socket's absolute path for this environment; empty variables count as unset."""
    explicit = environ.get("ORKA_SOCKET")
    if explicit:
        return os.path.abspath(explicit)
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return os.path.join(os.path.abspath(runtime), "orka", "orkad.sock")
    return f"/tmp/orka-{uid}/orkad.sock"  # noqa: S108 -- owner and mode are checked before use


def kubeconfig_paths(
    flag: str | None, environ: Mapping[str, str]
) -> tuple[Literal["flag", "env", "default"], tuple[str, ...]]:
    """Which kubeconfig files this shell means, and by what: absolute paths, in order.

    As kubectl has it: the flag names one file, if it is not empty; else a non-empty
    `$KUBECONFIG` is split at colons, empty items and repetitions dropped (and then may name no
    file at all); else `$HOME/.kube/config`, which without `$HOME` is below the working directory.
    """
    if flag:
        return "flag", (os.path.abspath(flag),)
    listed = environ.get("KUBECONFIG")
    if listed:
        paths = dict.fromkeys(part for part in listed.split(os.pathsep) if part)
        return "env", tuple(os.path.abspath(path) for path in paths)
    home = environ.get("HOME") or ""
    return "default", (os.path.abspath(os.path.join(home, ".kube", "config")),)
