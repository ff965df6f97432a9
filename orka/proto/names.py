"""The words of the wire that need no msgspec: protocol number, limits, states, record names."""

from __future__ import annotations

__all__ = [
    "CLIENT_FRAME_MAX_BYTES",
    "PAGE_MAX_ROWS",
    "PROTOCOL",
    "SERVER_FRAME_MAX_BYTES",
    "STATES",
    "TEXT_CHUNK_MAX_BYTES",
]

# Only another number refuses; everything else is added with defaults and capabilities.
PROTOCOL = 1

CLIENT_FRAME_MAX_BYTES = (
    64 * 1024
)  # a request is a few hundred bytes; more is a mistake or an attack
SERVER_FRAME_MAX_BYTES = 16 * 1024 * 1024  # 2000 rows of the longest legal names fit with room
PAGE_MAX_ROWS = 2000  # ~200 KiB: small enough to interleave with other clients' answers
TEXT_CHUNK_MAX_BYTES = (
    256 * 1024
)  # rendered text leaves in pieces, so that no buffer grows with the kind

# A kind's truth is in exactly one of these; docs/architecture.md says how each is entered and left.
STATES = (
    "syncing",  # no complete list yet
    "live",  # the watch is open and has shown life
    "stale",  # the watch is down; data is as old as the age says
    "resyncing",  # a relist is under way, the old snapshot is still served
    "flapping",  # relisting again and again; slowed down
    "forbidden",  # RBAC says no
    "unavailable",  # not served just now, or the API server is not reachable for this kind
    "gone",  # the kind is no longer served
)
