"""The status document to what a person reads: the daemon, its clusters and kinds, its clients.

The document comes from the daemon as plain values and grows from version to version, so what is
missing is shown as `-` and what is unknown is left to `-o json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orka.render.age import human_duration
from orka.render.chunks import in_chunks
from orka.render.clean import clean
from orka.render.json import SCHEMA_VERSION, document
from orka.render.stamp import stamp
from orka.render.table import GAP, aligned

__all__ = ["json_document", "table"]

Document = Mapping[str, object]

NOTHING = "-"
TIMES = ("started", "since", "next_refresh")  # keys whose numbers are seconds since 1970
KIND_HEADER = ("KIND", "STATE", "AGE", "OBJECTS", "WATCHERS", "DROPPED", "SYNC", "REASON")
UPSTREAM_HEADER = ("VERB", "KIND", "REQUESTS")
CLIENT_HEADER = ("PID", "SENT", "LAGGING", "ASKS")


def table(report: Document, now: float) -> Iterator[bytes]:
    """The document of `orkactl status`, for a terminal; AGE is that of the last proof of life."""
    return in_chunks(_lines(report, now))


def json_document(report: Document) -> Iterator[bytes]:
    """The same document for programs; its times are written out."""
    return document({"v": SCHEMA_VERSION, **{key: _written(key, report[key]) for key in report}})


def _written(key: str, value: object) -> object:
    """The value with every time in it as RFC 3339."""
    if isinstance(value, Mapping):
        return {inner: _written(inner, part) for inner, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_written(key, part) for part in value]
    if key in TIMES and isinstance(value, (int, float)):
        return stamp(value)
    return value


def _lines(report: Document, now: float) -> Iterator[str]:
    yield _daemon_line(_part(report, "daemon"), now)
    for cluster in _parts(report, "clusters"):
        yield "\n"
        yield _cluster_line(cluster)
        yield from _auth_lines(cluster, now)
        kinds = [_kind_cells(kind) for kind in _parts(cluster, "kinds")]
        yield from _section(KIND_HEADER, kinds)
        requests = _upstream_cells(_part(cluster, "upstream"))
        if requests:
            yield "\n"
            yield from _section(UPSTREAM_HEADER, requests)
    clients = [_client_cells(client) for client in _parts(report, "clients")]
    if clients:
        yield "\n"
        yield from _section(CLIENT_HEADER, clients)


def _daemon_line(daemon: Document, now: float) -> str:
    started = daemon.get("started")
    up = human_duration(now - started) if isinstance(started, (int, float)) else _cell(started)
    facts = [
        f"orkad {_cell(daemon.get('version'))}",
        f"pid {_cell(daemon.get('pid'))}",
        f"up {up}",
        f"rss {_bytes(daemon.get('rss_bytes'))}",
        f"socket {_cell(daemon.get('socket'))}",
    ]
    return GAP.join(facts) + "\n"


def _cluster_line(cluster: Document) -> str:
    facts = [
        f"{name} {_cell(cluster.get(name))}" for name in ("context", "server", "user", "namespace")
    ]
    return GAP.join(facts) + "\n"


def _auth_lines(cluster: Document, now: float) -> Iterator[str]:
    """How the cluster's user authenticates, and what is wrong with that; nothing of a recording."""
    auth = _part(cluster, "auth")
    if auth:
        acting = auth.get("impersonating")
        facts = [f"auth {_cell(auth.get('method'))}" + (f" as {_cell(acting)}" if acting else "")]
        since, refresh = auth.get("since"), auth.get("next_refresh")
        if isinstance(since, (int, float)):
            facts.append(f"since {human_duration(now - since)}")
        if isinstance(refresh, (int, float)):
            facts.append(f"refresh in {human_duration(max(0.0, refresh - now))}")
        yield GAP.join(facts) + "\n"
        if auth.get("last_failure"):
            yield f"auth failure: {_cell(auth.get('last_failure'))}\n"
    if cluster.get("note"):
        yield f"note: {_cell(cluster.get('note'))}\n"


def _kind_cells(kind: Document) -> list[str]:
    truth = _part(kind, "truth")
    age_seconds = truth.get("age_seconds")
    heard = human_duration(age_seconds) if isinstance(age_seconds, (int, float)) else NOTHING
    return [
        _cell(kind.get("gvk")),
        _cell(truth.get("state")),
        heard,
        _cell(kind.get("objects", truth.get("objects"))),
        _cell(kind.get("watchers")),
        _cell(truth.get("dropped")),
        _cell(kind.get("sync_path")),
        _cell(truth.get("reason")),
    ]


def _upstream_cells(upstream: Document) -> list[list[str]]:
    return [
        [clean(verb), clean(kind), _cell(count)]
        for verb in sorted(upstream)
        for kind, count in sorted(_part(upstream, verb).items())
    ]


def _client_cells(client: Document) -> list[str]:
    return [
        _cell(client.get("pid")),
        _bytes(client.get("sent_bytes")),
        "yes" if client.get("lagging") else "no",
        _cell(client.get("asks")),
    ]


def _section(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    columns = [list(cells) for cells in zip(header, *rows, strict=True)]
    return (line.rstrip() + "\n" for line in aligned(columns, GAP))


def _part(document: Document, key: str) -> Document:
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}


def _parts(document: Document, key: str) -> list[Document]:
    value = document.get(key)
    if not isinstance(value, (list, tuple)):
        return []
    return [part for part in value if isinstance(part, Mapping)]


def _cell(value: object) -> str:
    return clean(str(value)) if value not in (None, "") else NOTHING


def _bytes(value: object) -> str:
    """A size in the unit that leaves one to three digits before the point."""
    if not isinstance(value, (int, float)):
        return NOTHING
    size, unit = float(value), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
