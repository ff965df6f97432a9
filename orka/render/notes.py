"""Truth to the one line on stderr that says why an answer may not be the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orka.render.age import human_duration
from orka.render.clean import clean
from orka.render.json import gvk_of

if TYPE_CHECKING:
    from orka.proto.messages import Kind, Truth

__all__ = ["can_i_hint", "empty_note", "stale_note"]


def stale_note(truth: Truth, now: float) -> str | None:
    """State, reason, age and hint when not `live`, or what a live answer lacks; None if nothing."""
    parts = []
    if truth.state != "live":
        parts.append(
            f"{gvk_of(truth.kind)} is {truth.state} for {human_duration(now - truth.since)}"
        )
        if truth.reason:
            parts[0] += f": {truth.reason}"
        parts.append(_proof_of_life(truth))
    if truth.scope != "cluster":
        parts.append(f"shows {truth.scope}")
    if truth.quarantined:
        parts.append(f"{truth.quarantined} objects not understood and left out")
    if not parts:
        return None
    if truth.state == "forbidden":
        parts.append(truth.hint or can_i_hint(truth.kind))
    elif truth.hint:
        parts.append(truth.hint)
    return clean("; ".join(parts))


def _proof_of_life(truth: Truth) -> str:
    if truth.age_seconds is None:
        return "nothing heard of it yet"
    return f"last proof of life {human_duration(truth.age_seconds)} ago"


def empty_note(truth: Truth, namespaces: frozenset[str] | None) -> str:
    """What stands on stderr instead of a table without rows, in kubectl's words."""
    if truth.kind.namespaced and namespaces is not None:
        shown = ", ".join(sorted(namespaces))
        return clean(f"No resources found in {shown} namespace.")
    return "No resources found"


def can_i_hint(kind: Kind) -> str:
    """The command that shows whether the user may list this kind."""
    resource = f"{kind.resource}.{kind.group}" if kind.group else kind.resource
    everywhere = " --all-namespaces" if kind.namespaced else ""
    return clean(f"kubectl auth can-i list {resource}{everywhere}")
