"""One message of each type as its golden file holds it, and the golden files themselves.

`python -m tests.proto.examples` writes the files that are missing; one that exists is never
written again, because old peers still say what it holds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

import msgspec

from orka.proto.frames import frame
from orka.proto.messages import (
    AllNamespaces,
    Change,
    ClientMessage,
    DefaultNamespace,
    Diff,
    Discover,
    End,
    Error,
    Fresh,
    Hello,
    Lagged,
    List,
    Metrics,
    Namespaces,
    Note,
    Page,
    Progress,
    Resources,
    ServedKind,
    ServerMessage,
    StateChange,
    Status,
    StatusReport,
    Stop,
    Synced,
    Target,
    Text,
    Watch,
    encode,
)
from orka.proto.names import CLIENT_FRAME_MAX_BYTES, SERVER_FRAME_MAX_BYTES
from tests.support.wire import CERTIFICATE, CURSOR, NEXT_CURSOR, NOW, obj, truth, uid

GOLDEN = Path(__file__).parent / "golden"

Side = Literal["client", "server"]

TARGET = Target("env", ("/home/ada/.kube/config", "/home/ada/.kube/staging"), "kind-dev")
STALE = truth(
    "stale",
    reason="the watch was cut: connection reset",
    since=NOW - 12,
    age_seconds=12.5,
    hint="orka reconnects by itself",
)

CLIENT: dict[str, ClientMessage] = {
    "client-hello": Hello(1, "0.1.0"),
    "discover": Discover(TARGET, "text", "json", all_versions=True),
    "list": List(
        TARGET,
        "certificates.cert-manager.io",
        Namespaces(("default", "shop")),
        "text",
        max_age_seconds=5.0,
        progress=True,
    ),
    "list-all": List(
        Target("default", ("/home/ada/.kube/config",)), "cert", AllNamespaces(), "rows"
    ),
    "watch": Watch(TARGET, "cert-manager.io/v1/Certificate", DefaultNamespace(), CURSOR),
    "status": Status("text"),
    "metrics": Metrics(),
    "stop": Stop(),
}

SERVER: dict[str, ServerMessage] = {
    "server-hello": Hello(1, "0.1.0", ("text", "resume"), "f3a9c2d17b60", 4711),
    "truth": truth(),
    "page": Page(
        [
            obj("web", number=1),
            obj("old", "shop", number=2, age_seconds=None, deletion_ts=int(NOW) + 30),
        ]
    ),
    "progress": Progress(1500),
    "synced": Synced(41, CURSOR),
    "diff": Diff(
        41,
        42,
        [
            Change("DEL", obj("old", "shop", number=2), inferred=True),
            Change("ADD", obj("new", number=3, age_seconds=0, resource_version="1844")),
            Change("REPL", obj("web", number=4, resource_version="1843"), False, uid(1)),
        ],
        NEXT_CURSOR,
        folded=2,
    ),
    "state": StateChange(STALE),
    "fresh": Fresh("the cursor is of an earlier lineage", NEXT_CURSOR),
    "lagged": Lagged("the reader did not read for 12 s", 70, NEXT_CURSOR),
    "resources": Resources(
        "kind-dev",
        "https://127.0.0.1:6443",
        [
            ServedKind(
                group=CERTIFICATE.group,
                version=CERTIFICATE.version,
                kind=CERTIFICATE.kind,
                resource=CERTIFICATE.resource,
                singular="certificate",
                short_names=("cert", "certs"),
                namespaced=True,
                verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
                categories=("cert-manager",),
                preferred=True,
                watchable=True,
                crd=True,
            )
        ],
        {"metrics.k8s.io/v1beta1": "503 ServiceUnavailable"},
    ),
    "status-report": StatusReport(
        {
            "daemon": {
                "pid": 4711,
                "version": "0.1.0",
                "started": NOW - 3600,
                "socket": "/run/user/1000/orka/orkad.sock",
                "rss_bytes": 44145000,
            },
            "clusters": [
                {
                    "context": "kind-dev",
                    "server": "https://127.0.0.1:6443",
                    "user": "kind-dev",
                    "namespace": "default",
                    "kinds": [
                        {
                            "gvk": "cert-manager.io/v1/Certificate",
                            "truth": {
                                "state": "live",
                                "reason": "",
                                "since": NOW - 3600,
                                "age_seconds": 0.5,
                                "synced": True,
                                "dropped": 0,
                                "quarantined": 0,
                                "cursor": CURSOR,
                            },
                            "objects": 2,
                            "watchers": 3,
                            "sync_path": "streaming list",
                        }
                    ],
                    "upstream": {"watch": {"certificates.cert-manager.io": 1}},
                }
            ],
            "clients": [{"pid": 5000, "asks": "watch cert", "sent_bytes": 9120, "lagging": False}],
        }
    ),
    "text": Text(b"NAMESPACE   NAME   AGE\ndefault     web    5m12s\n"),
    "note": Note("cert-manager.io/v1/Certificate is stale for 12s: the watch was cut"),
    "error": Error(
        "not-served",
        "no kind crt in context kind-dev",
        6,
        "near: certificates.cert-manager.io",
    ),
    "end": End("not-fresh", 4, "the last proof of life is 12.5 s old, 5 s allowed"),
}


@dataclass(frozen=True)
class Golden:
    """One golden file: who says it, what it says, and the exact bytes."""

    side: Side
    message: object  # JSON; bytes are written as in `readable`
    frame: bytes


def golden(name: str) -> Golden:
    """The golden file of this name."""
    document = json.loads((GOLDEN / f"{name}.json").read_text())
    return Golden(document["from"], document["message"], bytes.fromhex(document["frame"]))


def readable(message: ClientMessage | ServerMessage) -> object:
    """What is on the wire as JSON has it: 16 bytes as a UUID, other bytes as text."""
    return _readable(msgspec.msgpack.decode(encode(message)))


def _readable(value: object) -> object:
    if isinstance(value, dict):
        return {key: _readable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_readable(part) for part in value]
    if isinstance(value, bytes):
        return str(UUID(bytes=value)) if len(value) == 16 else value.decode()
    return value


def frame_of(message: ClientMessage | ServerMessage, side: Side) -> bytes:
    """The frame that this side sends for the message."""
    limit = CLIENT_FRAME_MAX_BYTES if side == "client" else SERVER_FRAME_MAX_BYTES
    return frame(encode(message), limit)


def write_missing() -> list[str]:
    """Write the golden files that are not there yet; returns their names."""
    written = []
    sides: list[tuple[Side, dict[str, ClientMessage] | dict[str, ServerMessage]]] = [
        ("client", CLIENT),
        ("server", SERVER),
    ]
    for side, messages in sides:
        for name, message in messages.items():
            path = GOLDEN / f"{name}.json"
            if path.exists():
                continue
            document = {
                "from": side,
                "message": readable(message),
                "frame": frame_of(message, side).hex(),
            }
            path.write_text(json.dumps(document, indent=2) + "\n")
            written.append(name)
    return written


if __name__ == "__main__":
    print(*write_missing(), sep="\n")  # noqa: T201 -- a tool for the shell
