"""`orkactl status`: what orkad is doing."""

from __future__ import annotations

from orka.client.oneshot import answer
from orka.client.options import DEFAULTS, Common, PlainOutput


def status(*, output: PlainOutput = "table", common: Common = DEFAULTS) -> int:
    """Show orkad's clusters and kinds, its requests upstream and its clients."""
    with common.connect() as connection:
        connection.greet({"type": "status", "answer": "text", "format": output})
        return answer(connection)
