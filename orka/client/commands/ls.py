"""`orkactl ls`: the objects of one kind."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from orka.client.oneshot import GRACE_SECONDS, answer
from orka.client.options import (
    DEFAULTS,
    TIMEOUT_SECONDS,
    AllNamespaces,
    Common,
    Kind,
    NamespaceNames,
    Output,
    Timeout,
    seconds,
    view,
)
from orka.client.output import watched


def ls(
    kind: Kind,
    /,
    *,
    ns: NamespaceNames = None,
    all_namespaces: AllNamespaces = False,
    output: Output = "table",
    max_age: Annotated[
        float | None,
        Parameter(help="Exit 4 if the last proof of life is older than so many seconds."),
    ] = None,
    timeout: Timeout = TIMEOUT_SECONDS,
    common: Common = DEFAULTS,
) -> int:
    """List the objects of one kind as they are now, by namespace, then name."""
    timeout_seconds = seconds("--timeout", timeout)
    shown = view(ns, all_namespaces=all_namespaces)
    max_age_seconds = None if max_age is None else seconds("--max-age", max_age)
    with common.connect() as connection:
        connection.greet(
            {
                "type": "list",
                "target": common.target(),
                "kind": kind,
                "view": shown,
                "answer": "text",
                "format": output,
                "max_age_seconds": max_age_seconds,
                "timeout_seconds": timeout_seconds,
                "progress": watched(),
            }
        )
        return answer(connection, patience_seconds=timeout_seconds + GRACE_SECONDS)
