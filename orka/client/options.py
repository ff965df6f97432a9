"""The options that several commands share, as cyclopts reads them, and what they mean."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Literal

from cyclopts import Parameter

from orka.client.connection import Connection, Message, connect
from orka.client.target import target
from orka.proto.address import socket_path
from orka.proto.errors import Refused
from orka.proto.tinypack import Value

__all__ = [
    "AllNamespaces",
    "Common",
    "Kind",
    "NamespaceNames",
    "Output",
    "PlainOutput",
    "Timeout",
    "seconds",
    "view",
]

TIMEOUT_SECONDS = 30.0


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Which orkad, and which cluster; every command takes these."""

    context: Annotated[
        str | None, Parameter(help="The kubeconfig context to use, instead of the current one.")
    ] = None
    kubeconfig: Annotated[
        str | None, Parameter(help="The kubeconfig file to use, instead of $KUBECONFIG.")
    ] = None
    socket: Annotated[str | None, Parameter(help="orkad's socket, instead of $ORKA_SOCKET.")] = None

    @property
    def socket_path(self) -> str:
        """Where orkad is."""
        explicit = {"ORKA_SOCKET": self.socket} if self.socket else {}
        return socket_path({**os.environ, **explicit}, os.getuid())

    def connect(self) -> Connection:
        """A connection that has said nothing yet; the caller closes it."""
        return connect(self.socket_path, os.geteuid())

    def target(self) -> Message:
        """The cluster that this shell means."""
        return target(os.environ, kubeconfig=self.kubeconfig, context=self.context)


DEFAULTS = Common()

Kind = Annotated[
    str,
    Parameter(
        help="cert-manager.io/v1/Certificate, v1/Pod, or any name that kubectl takes: "
        "certificates.cert-manager.io, certificate, cert."
    ),
]
NamespaceNames = Annotated[
    list[str] | None,
    Parameter(
        name=["--ns", "--namespace", "-n"],
        negative="",
        help="The namespace to show, instead of the context's; may be repeated.",
    ),
]
AllNamespaces = Annotated[
    bool,
    Parameter(name=["--all-namespaces", "-A"], negative="", help="Show every namespace."),
]
Output = Annotated[
    Literal["table", "json", "name"], Parameter(name=["--output", "-o"], help="How to print it.")
]
PlainOutput = Annotated[
    Literal["table", "json"], Parameter(name=["--output", "-o"], help="How to print it.")
]
Timeout = Annotated[float, Parameter(help="Seconds to wait for a first sync.")]


def view(names: list[str] | None, *, all_namespaces: bool) -> Message:
    """The `View` of a request; Refused for flags that contradict each other."""
    if names is None:
        return {"type": "all" if all_namespaces else "default"}
    if all_namespaces:
        raise Refused(f"--ns {names[0]} and --all-namespaces exclude each other")
    if not all(names):
        raise Refused("--ns was given an empty name", hint="use -A for all namespaces")
    chosen: list[Value] = list(names)
    return {"type": "namespaces", "names": chosen}


def seconds(flag: str, value: float) -> float:
    """The value of a flag that counts seconds; Refused if it is negative or not a number."""
    if not isfinite(value) or value < 0:
        raise Refused(f"{flag} takes a number of seconds from 0 on, not {value}")
    return value
