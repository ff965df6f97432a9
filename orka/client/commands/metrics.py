"""`orkactl metrics`: orkad's counters."""

from __future__ import annotations

from orka.client.oneshot import answer
from orka.client.options import DEFAULTS, Common


def metrics(*, common: Common = DEFAULTS) -> int:
    """Print orkad's counters as Prometheus text."""
    with common.connect() as connection:
        connection.greet({"type": "metrics"})
        return answer(connection)
