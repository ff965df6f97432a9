"""The page for users and the list that the tests go by name the same differences."""

from __future__ import annotations

import re
from pathlib import Path

from tests.kubeconfig.known import KNOWN

PAGE = Path(__file__).parents[2] / "docs" / "kubeconfig.md"


def test_every_known_difference_is_documented_and_no_other() -> None:
    """By its name, in the first table of differences."""
    section = PAGE.read_text("utf-8").partition("## Differences from kubectl")[2]
    named = re.findall(r"^\| .* \| `([a-z0-9-]+)` \| .* \|$", section, re.MULTILINE)

    assert sorted(named) == sorted(one.name for one in KNOWN)
