"""Seconds since 1970 to RFC 3339 in UTC, as Kubernetes writes times."""

from __future__ import annotations

from time import gmtime

__all__ = ["stamp", "stamp_of"]


def stamp_of(seconds: int) -> str:
    """`2026-11-24T09:30:00Z`; a time beyond what the platform can name is `<invalid>`."""
    try:
        year, month, day, hour, minute, second, *_ = gmtime(seconds)
    except (OverflowError, OSError, ValueError):
        return "<invalid>"
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


def stamp(seconds: float) -> str:
    """The same with milliseconds: `2026-11-24T09:30:00.250Z`."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return stamp_of(whole).replace("Z", f".{thousandths:03}Z")
