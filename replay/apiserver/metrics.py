"""Finished and open requests turned into Prometheus text, under the real server's names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .requests import Record

Labels = tuple[tuple[str, str], ...]
REQUEST_TOTAL = "apiserver_request_total"
LONG_RUNNING = "apiserver_longrunning_requests"
# What permissions call a verb, and what the metrics call it where it is not just upper case.
METRIC_VERBS = {
    "create": "POST",
    "update": "PUT",
    "watchlist": "WATCH",
    "deletecollection": "DELETECOLLECTION",
    "discovery": "GET",
    "other": "GET",
}


def labels(record: Record) -> dict[str, str]:
    """The labels that both metrics share."""
    scope = "cluster"
    if not record.resource:
        scope = ""
    elif record.name or record.verb == "create":
        scope = "resource"
    elif record.namespace:
        scope = "namespace"
    plural, _, group = record.resource.partition(".")
    return {
        "component": "apiserver",
        "group": group,
        "resource": plural,
        "scope": scope,
        "subresource": "",
        "verb": METRIC_VERBS.get(record.verb, record.verb.upper()),
        "version": record.version,
    }


class Totals:
    """Finished requests by their labels. A watch counts when it ends, as on a real server."""

    def __init__(self) -> None:
        self._counts: Counter[Labels] = Counter()
        self._watched: Counter[Labels] = Counter()

    def count(self, record: Record) -> None:
        """Add one finished request."""
        known = labels(record) | {"code": str(record.status or 0), "dry_run": ""}
        self._counts[tuple(sorted(known.items()))] += 1

    def text(self, open_watches: Iterable[Record]) -> str:
        """The metrics page."""
        for known in self._watched:
            self._watched[known] = 0  # a series once begun stays, at 0
        for record in open_watches:
            self._watched[tuple(sorted(labels(record).items()))] += 1
        return _family(
            LONG_RUNNING,
            "gauge",
            "Gauge of all active long-running apiserver requests.",
            self._watched,
        ) + _family(REQUEST_TOTAL, "counter", "Counter of apiserver requests.", self._counts)


def _family(name: str, kind: str, text: str, values: Counter[Labels]) -> str:
    lines = [f"# HELP {name} [STABLE] {text}", f"# TYPE {name} {kind}"]
    for found, value in sorted(values.items()):
        inner = ",".join(f'{label}="{content}"' for label, content in found)
        lines.append(f"{name}{{{inner}}} {value}")
    return "\n".join(lines) + "\n"
