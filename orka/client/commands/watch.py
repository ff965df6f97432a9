"""`orkactl watch`: the changes of one kind as they happen."""

from __future__ import annotations

import gc
from typing import Annotated

from cyclopts import Parameter

from orka.client.oneshot import GRACE_SECONDS
from orka.client.options import (
    DEFAULTS,
    TIMEOUT_SECONDS,
    AllNamespaces,
    Common,
    Kind,
    NamespaceNames,
    PlainOutput,
    Timeout,
    seconds,
    view,
)


def watch(
    kind: Kind,
    /,
    *,
    ns: NamespaceNames = None,
    all_namespaces: AllNamespaces = False,
    output: PlainOutput = "table",
    initial: Annotated[
        bool, Parameter(negative="", help="First print the objects that are there.")
    ] = False,
    since: Annotated[
        str | None, Parameter(help="Go on from this cursor of an earlier watch or ls.")
    ] = None,
    show_cursor: Annotated[
        bool, Parameter(negative="", help="Print the cursor after every batch of changes.")
    ] = False,
    timeout: Timeout = TIMEOUT_SECONDS,
    common: Common = DEFAULTS,
) -> int:
    """Print the changes of one kind: + added, - deleted, ~ modified, = there at the start."""
    timeout_seconds = seconds("--timeout", timeout)
    shown = view(ns, all_namespaces=all_namespaces)
    with common.connect() as connection:
        connection.greet(
            {
                "type": "watch",
                "target": common.target(),
                "kind": kind,
                "view": shown,
                "since": since,
                "initial": initial,
                "timeout_seconds": timeout_seconds,
            }
        )
        from orka.client.follow import follow
        from orka.client.lines import LineWriter
        from orka.client.ndjson import NdjsonWriter

        gc.enable()  # this may run for days
        writer = NdjsonWriter(since) if output == "json" else LineWriter(show_cursor=show_cursor)
        return follow(connection, writer, patience_seconds=timeout_seconds + GRACE_SECONDS)
