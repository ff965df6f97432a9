"""Every promise of docs/architecture.md has tests that name it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_promise_has_a_test_named_for_it() -> None:
    """P1 to P8, each in at least one `def test_pN_…`."""
    promised = set(re.findall(r"\*\*(P\d+)", (ROOT / "docs" / "architecture.md").read_text()))
    named = {
        f"P{number}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for number in re.findall(r"def test_p(\d+)_", path.read_text())
    }

    assert promised == {f"P{number}" for number in range(1, 9)}
    assert promised <= named
