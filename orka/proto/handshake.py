"""The handshake: both sides say Hello; only another protocol number refuses, skew warns.

Imports no messages, because a one-shot client shakes hands without msgspec.
"""

from __future__ import annotations

from orka.proto.errors import RemoteProtocolError
from orka.proto.names import PROTOCOL

TYPE_CHECKING = False  # as typing has it; importing typing costs a one-shot client milliseconds
if TYPE_CHECKING:
    from orka.proto.messages import Hello

__all__ = ["CAPABILITIES", "check_hello", "check_protocol", "version_skew"]

# What this version offers beyond the first release; clients ask by name, never by version.
CAPABILITIES: tuple[str, ...] = ("text", "resume")


def check_hello(hello: Hello) -> None:
    """Refuse a peer that speaks another protocol number."""
    check_protocol(hello.protocol)


def check_protocol(protocol: object) -> None:
    """Refuse another protocol number than ours: RemoteProtocolError `bad-protocol`."""
    if protocol != PROTOCOL:
        raise RemoteProtocolError(
            f"the other side speaks protocol {protocol}, this one {PROTOCOL}",
            hint="restart the older of orkad and orkactl",
            code="bad-protocol",
        )


def version_skew(ours: str, theirs: str) -> str | None:
    """One warning line when two versions meet that still understand each other."""
    if ours == theirs:
        return None
    return f"orkactl {ours} talks to orkad {theirs}; restart orkad to use one version"
