"""A reader's place in one kind's history as one opaque string, and back.

`CLUSTER/GROUP-RESOURCE/LINEAGE:EPOCH@RV`: readable in a log, nothing in it that a shell would
touch. Clients pass it on and never look inside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orka.daemon.model import ResourceVersion
from orka.proto.errors import Refused

_CURSOR = re.compile(r"([0-9a-z]+)/([^/:@\s]+)/([0-9a-z]+):([0-9]{1,18})@([^@\s]*)")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The epoch of a lineage, and the resourceVersion up to which it was applied."""

    cluster: str
    group_resource: str
    lineage: str
    epoch: int
    resource_version: ResourceVersion

    def __str__(self) -> str:
        return (
            f"{self.cluster}/{self.group_resource}/"
            f"{self.lineage}:{self.epoch}@{self.resource_version}"
        )


def parse_cursor(text: str) -> Cursor:
    """The cursor in `text`; Refused if it is none (a known form of an unknown place is fine)."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise Refused(f"not a cursor: {text[:80]!r}", hint="use one that orkactl printed")
    cluster, group_resource, lineage, epoch, resource_version = match.groups()
    return Cursor(cluster, group_resource, lineage, int(epoch), ResourceVersion(resource_version))
