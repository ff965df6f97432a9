"""Messages with everything filled in, for tests that need one of each."""

from __future__ import annotations

from uuid import UUID

from orka.proto.messages import Kind, LiteObj, Truth

CERTIFICATE = Kind("cert-manager.io", "v1", "Certificate", "certificates", namespaced=True)
NODE = Kind("", "v1", "Node", "nodes", namespaced=False)

CURSOR = "k3d9/certificates.cert-manager.io/q7f2:41@1839"
NEXT_CURSOR = "k3d9/certificates.cert-manager.io/q7f2:42@1844"

NOW = 1_800_000_000.25  # 2027-01-15T08:00:00.250Z


def uid(number: int) -> bytes:
    """A uid that shows its number."""
    return UUID(int=0x8C1F6A52_0D3B_4E57_9A60_000000000000 + number).bytes


def obj(
    name: str,
    namespace: str | None = "default",
    *,
    number: int = 1,
    age_seconds: int | None = 312,
    resource_version: str = "1839",
    deletion_ts: int | None = None,
) -> LiteObj:
    """An object that was made `age_seconds` before NOW."""
    created = None if age_seconds is None else int(NOW) - age_seconds
    return LiteObj(uid(number), namespace, name, created, resource_version, deletion_ts)


def truth(
    state: str = "live",
    *,
    kind: Kind = CERTIFICATE,
    reason: str = "",
    since: float = NOW - 3600,
    age_seconds: float | None = 0.5,
    objects: int = 2,
    quarantined: int = 0,
    scope: str = "cluster",
    hint: str | None = None,
    synced: bool = True,
) -> Truth:
    """A truth of the test cluster."""
    return Truth(
        kind=kind,
        context="kind-dev",
        server="https://127.0.0.1:6443",
        default_namespace="default",
        state=state,
        reason=reason,
        since=since,
        age_seconds=age_seconds,
        synced=synced,
        objects=objects,
        dropped=0,
        cursor=CURSOR,
        scope=scope,
        quarantined=quarantined,
        hint=hint,
    )
