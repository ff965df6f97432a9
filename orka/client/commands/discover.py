"""`orkactl discover`: the kinds that a cluster serves."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from orka.client.oneshot import answer
from orka.client.options import DEFAULTS, Common, Output


def discover(
    *,
    output: Output = "table",
    all_versions: Annotated[
        bool, Parameter(negative="", help="Every version, not the preferred one alone.")
    ] = False,
    prefer_crd: Annotated[
        bool,
        Parameter(
            negative="",
            help="Only the kind that orkad --prefer-crd selects: the first CRD, else v1/ConfigMap.",
        ),
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """List the kinds that the cluster serves, as kubectl api-resources does."""
    with common.connect() as connection:
        connection.greet(
            {
                "type": "discover",
                "target": common.target(),
                "answer": "text",
                "format": output,
                "all_versions": all_versions,
                "prefer_crd": prefer_crd,
            }
        )
        return answer(connection)
