"""AGE as kubectl prints it, at every boundary of its steps, and times as Kubernetes writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.render.age import age, human_duration
from orka.render.stamp import stamp, stamp_of

MINUTE, HOUR, DAY = 60, 3600, 86400
YEAR = 365 * DAY


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1.999, "0s"),
        (0, "0s"),
        (0.999, "0s"),
        (1, "1s"),
        (70, "70s"),
        (2 * MINUTE - 0.001, "119s"),
        (2 * MINUTE, "2m"),
        (2 * MINUTE + 1, "2m1s"),
        (190, "3m10s"),
        (312, "5m12s"),
        (10 * MINUTE - 0.001, "9m59s"),
        (10 * MINUTE, "10m"),
        (10 * MINUTE + 1, "10m"),
        (70 * MINUTE, "70m"),
        (3 * HOUR - 0.001, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + MINUTE, "3h1m"),
        (8 * HOUR - 0.001, "7h59m"),
        (8 * HOUR, "8h"),
        (8 * HOUR + 59 * MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (2 * DAY - 0.001, "47h"),
        (2 * DAY, "2d"),
        (2 * DAY + HOUR, "2d1h"),
        (3 * DAY + 4 * HOUR, "3d4h"),
        (8 * DAY - 0.001, "7d23h"),
        (8 * DAY, "8d"),
        (8 * DAY + 23 * HOUR, "8d"),
        (367 * DAY, "367d"),
        (2 * YEAR - 0.001, "729d"),
        (2 * YEAR, "2y"),
        (2 * YEAR + 23 * HOUR + 59 * MINUTE, "2y"),
        (2 * YEAR + DAY - 0.001, "2y"),
        (2 * YEAR + DAY, "2y1d"),
        (3 * YEAR, "3y"),
        (7 * YEAR, "7y"),
        (8 * YEAR - 0.001, "7y364d"),
        (8 * YEAR, "8y"),
        (8 * YEAR + 364 * DAY, "8y"),
        (9 * YEAR, "9y"),
    ],
)
def test_a_duration_is_written_as_kubectl_does(seconds: float, text: str) -> None:
    """The boundaries of Kubernetes' own tests of HumanDuration."""
    assert human_duration(seconds) == text


def test_an_object_without_creation_time_is_unknown() -> None:
    """What the server did not say is not guessed."""
    assert age(None, 100.0) == "<unknown>"
    assert age(40, 100.9) == "60s"


@given(st.floats(min_value=0, max_value=1e10))
def test_an_age_is_short(seconds: float) -> None:
    """A column of ages stays narrow."""
    assert 2 <= len(human_duration(seconds)) <= 7


def test_times_are_rfc_3339() -> None:
    """Whole seconds as Kubernetes writes them, ours with milliseconds, years of four digits."""
    assert stamp_of(0) == "1970-01-01T00:00:00Z"
    assert stamp_of(-62135596800) == "0001-01-01T00:00:00Z"
    assert stamp(1_800_000_000.25) == "2027-01-15T08:00:00.250Z"
    assert stamp(0.9996) == "1970-01-01T00:00:01.000Z"


def test_a_time_that_cannot_be_named_is_invalid() -> None:
    """A number from a broken peer ends no program."""
    assert stamp_of(2**62) == "<invalid>"
    assert stamp(2.0**62) == "<invalid>"
