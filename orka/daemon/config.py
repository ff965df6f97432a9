"""Flags and environment to one frozen Config; what cannot be obeyed is a usage error naming it."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from orka.proto.address import SOCKET_PATH_MAX_BYTES, kubeconfig_paths, socket_path
from orka.proto.errors import Refused
from orka.proto.messages import Target

QUEUE_CAP_DEFAULT = 2048  # deltas per kind: seconds of a very busy kind, under 1 MB
RELIST_SECONDS_DEFAULT = 300.0  # an audit: cheap at this pace, and what it corrects is counted
IDLE_SECONDS_DEFAULT = 1800.0  # a kind nobody reads: half an hour covers a coffee break
GRACE_SECONDS = 5.0  # what clients get to read their last answer at shutdown

LOG_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


@dataclass(frozen=True, slots=True)
class Config:
    """Everything `orkad` was told, checked."""

    socket: str  # absolute path
    target: Target  # the cluster of --watch and --prefer-crd: what orkad's own shell means
    pinned: bool  # --kubeconfig or --context was given: no other cluster is served
    watch: tuple[str, ...]
    prefer_crd: bool
    replay: str | None
    queue_cap: int  # deltas
    relist_seconds: float
    idle_seconds: float
    log: str
    log_format: str  # text or json


@dataclass(frozen=True, slots=True)
class Given:
    """The flags as they were given; None where there was none."""

    socket: str | None = None
    kubeconfig: str | None = None
    context: str | None = None
    watch: tuple[str, ...] = ()
    prefer_crd: bool = False
    replay: str | None = None
    queue_cap: str | None = None
    relist_seconds: str | None = None
    idle_seconds: str | None = None
    log: str | None = None
    log_format: str | None = None


def config_from(given: Given, environ: Mapping[str, str], uid: int) -> Config:
    """Flags, then environment, then defaults; Refused names the flag or variable and its value."""
    if given.socket is not None:
        environ = {**environ, "ORKA_SOCKET": given.socket}
    source, paths = kubeconfig_paths(given.kubeconfig, environ)
    log = _chosen("--log", given.log, "ORKA_LOG", environ)
    if log is not None:
        parse_log_filter(*log)
    return Config(
        socket=_checked_socket(socket_path(environ, uid)),
        target=Target(source, paths, given.context),
        pinned=given.kubeconfig is not None or given.context is not None,
        watch=given.watch,
        prefer_crd=given.prefer_crd,
        replay=given.replay,
        queue_cap=_whole(
            _chosen("--queue-cap", given.queue_cap, "ORKA_QUEUE_CAP", environ), QUEUE_CAP_DEFAULT
        ),
        relist_seconds=_seconds(
            _chosen("--relist-secs", given.relist_seconds, "ORKA_RELIST_SECS", environ),
            RELIST_SECONDS_DEFAULT,
        ),
        idle_seconds=_seconds(
            _chosen("--idle-secs", given.idle_seconds, "ORKA_IDLE_SECS", environ),
            IDLE_SECONDS_DEFAULT,
        ),
        log=log[1] if log else "info",
        log_format=given.log_format or "text",
    )


# What was given: by which name, and the text.
_Choice = tuple[str, str] | None


def _chosen(flag: str, value: str | None, variable: str, environ: Mapping[str, str]) -> _Choice:
    """The flag if it was given, else the variable if it is set and not empty."""
    if value is not None:
        return flag, value
    return (variable, environ[variable]) if environ.get(variable) else None


def _checked_socket(path: str) -> str:
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_MAX_BYTES:
        raise Refused(
            f"the socket path {path} has {size} bytes, the kernel takes {SOCKET_PATH_MAX_BYTES}",
            hint="set ORKA_SOCKET to a shorter path",
        )
    return path


def _whole(choice: _Choice, default: int) -> int:
    if choice is None:
        return default
    name, text = choice
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise Refused(f"{name} {text}: expected a whole number of at least 1")
    return int(text)


def _seconds(choice: _Choice, default: float) -> float:
    if choice is None:
        return default
    name, text = choice
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < math.inf:
        raise Refused(f"{name} {text}: expected a number of seconds above 0")
    return seconds


def parse_log_filter(name: str, text: str) -> dict[str, int]:
    """`info,orka.kube=debug` to logger -> level, "" being the rest; Refused names what is wrong."""
    levels: dict[str, int] = {"": logging.INFO}
    for part in text.split(","):
        logger, equals, level = part.strip().rpartition("=")
        if level not in LOG_LEVELS or (equals and logger.split(".")[0] != "orka"):
            raise Refused(
                f"{name} {text}: {part.strip()!r} is neither a level nor LOGGER=LEVEL",
                hint=f"levels are {', '.join(LOG_LEVELS)}; loggers begin with orka",
            )
        levels[logger] = LOG_LEVELS[level]
    return levels
