"""How long is waited, and when it begins anew."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.kube.backoff import Backoff


@given(failures=st.integers(0, 2000), seed=st.integers())
def test_waits_double_up_to_the_cap_and_are_jittered(failures: int, seed: int) -> None:
    """The nth wait is 0.8 s doubled n times, at most 30 s, times one to two."""
    base = min(30.0, 0.8 * 2.0 ** min(failures, 10))

    after, seconds = Backoff(failures).failed(0.0, Random(seed))

    assert base <= seconds < 2 * base
    assert after == Backoff(failures + 1)


@given(asked=st.floats(0, 120), seed=st.integers())
def test_what_the_server_asks_for_is_waited_at_least(asked: float, seed: int) -> None:
    """Retry-After counts when it is longer, and is jittered too."""
    _, seconds = Backoff().failed(0.0, Random(seed), asked)

    assert max(asked, 0.8) <= seconds < max(asked, 0.8) + 0.8


def test_only_lasting_health_begins_anew() -> None:
    """119 seconds of health are not enough, 120 are; each failure ends the health."""
    chance = Random(1)
    backoff = Backoff(5).healthy(1000.0).healthy(1100.0)

    assert backoff.failed(1119.9, chance)[0].failures == 6
    assert backoff.failed(1120.0, chance)[0].failures == 1
    assert backoff.failed(1110.0, chance)[0].healthy_since is None
    assert Backoff(5).settled(9999.0).failures == 5
