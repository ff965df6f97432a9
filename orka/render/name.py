"""Objects to the lines of `kubectl get -o name`: `certificate.cert-manager.io/web`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orka.render.chunks import in_chunks
from orka.render.clean import clean, clean_all

if TYPE_CHECKING:
    from orka.proto.messages import Kind, LiteObj, Truth

__all__ = ["objects", "prefix_of"]


def prefix_of(kind: Kind) -> str:
    """What stands before the slash: the kind in lower case and its group."""
    return clean(f"{kind.kind.lower()}.{kind.group}" if kind.group else kind.kind.lower())


def objects(truth: Truth, rows: Sequence[LiteObj], now: float) -> Iterator[bytes]:
    """One line per object in the order given; like kubectl, without its namespace."""
    del now  # the three formats are called alike, and only the table has an age
    prefix = prefix_of(truth.kind)
    return in_chunks([f"{prefix}/{name}\n" for name in clean_all([row.name for row in rows])])
