"""A creation time and a clock to the AGE that kubectl prints: `5m12s`, `3d4h`, `<unknown>`.

The steps are those of `HumanDuration` in Kubernetes' apimachinery: two or three significant
figures, years of 365 days.
"""

from __future__ import annotations

__all__ = ["age", "human_duration"]

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY


def age(creation_ts: int | None, now: float) -> str:
    """How long ago `creation_ts` was; `<unknown>` for an object without one."""
    return "<unknown>" if creation_ts is None else human_duration(now - creation_ts)


def human_duration(duration_seconds: float) -> str:
    """The duration as kubectl writes it; under -2 s, beyond what clocks disagree, `<invalid>`."""
    seconds = int(duration_seconds)  # towards zero, so that -1.9 s is still "0s"
    if seconds < -1:
        return "<invalid>"
    if seconds < 2 * MINUTE:
        return f"{max(seconds, 0)}s"
    if seconds < 10 * MINUTE:
        return _two(seconds, MINUTE, "m", 1, "s")
    if seconds < 3 * HOUR:
        return f"{seconds // MINUTE}m"
    if seconds < 8 * HOUR:
        return _two(seconds, HOUR, "h", MINUTE, "m")
    if seconds < 2 * DAY:
        return f"{seconds // HOUR}h"
    if seconds < 8 * DAY:
        return _two(seconds, DAY, "d", HOUR, "h")
    if seconds < 2 * YEAR:
        return f"{seconds // DAY}d"
    if seconds < 8 * YEAR:
        return _two(seconds, YEAR, "y", DAY, "d")
    return f"{seconds // YEAR}y"


def _two(seconds: int, large: int, large_name: str, small: int, small_name: str) -> str:
    """Two units, the smaller one left out when it is zero."""
    rest = seconds % large // small
    return f"{seconds // large}{large_name}{f'{rest}{small_name}' if rest else ''}"
