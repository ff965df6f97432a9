"""What a run of orkactl leaves behind, and the fixtures' type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Run = Callable[..., "Finished"]


@dataclass(frozen=True)
class Finished:
    """What a client left behind."""

    status: int
    stdout: str
    stderr: str
