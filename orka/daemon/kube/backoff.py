"""Failures in a row turned into how long to wait before the next request.

The numbers are client-go's: they are what API servers are sized for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

BASE_SECONDS = 0.8
FACTOR = 2.0
CAP_SECONDS = 30.0  # before jitter, so a wait is at most a minute unless the server asks for more
# A server that takes a connection and closes it would draw tens of requests a second if the
# first byte were enough to start again from the base.
HEALTH_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Where one kind stands; every step makes a new one."""

    failures: int = 0  # since the last reset
    healthy_since: float | None = None  # on the monotonic clock; None while something fails

    def healthy(self, now: float) -> Backoff:
        """The stream is open: health counts from the first time this is said."""
        return self if self.healthy_since is not None else replace(self, healthy_since=now)

    def settled(self, now: float) -> Backoff:
        """As it stands at `now`: begun anew if health has lasted long enough."""
        lasted = self.healthy_since is not None and now - self.healthy_since >= HEALTH_SECONDS
        return replace(self, failures=0) if lasted else self

    def failed(self, now: float, random: Random, at_least: float = 0.0) -> tuple[Backoff, float]:
        """One more failure, and how many seconds to wait: base, or `at_least`, plus jitter.

        The jitter, up to one base more, keeps kinds that failed together from coming back
        together.
        """
        failures = self.settled(now).failures
        # The exponent is bounded too: a float power of a large number overflows.
        base = min(CAP_SECONDS, BASE_SECONDS * FACTOR ** min(failures, 16))
        wait_seconds = max(base, at_least) + base * random.random()
        return Backoff(failures + 1), wait_seconds
