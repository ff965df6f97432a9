"""The messages of the socket as msgspec structs, and the codecs that turn them into bytes and back.

Maps on the wire, tagged by `type`; every field that was not in the first release has a
default. A receiver ignores unknown fields; a client also ignores unknown types (`decode_server`
returns None for them). Rows and changes are arrays, because a snapshot has many of them:
their later fields are appended with defaults.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from orka.proto.errors import RemoteProtocolError

__all__ = [
    "AllNamespaces",
    "Change",
    "ClientMessage",
    "DefaultNamespace",
    "Diff",
    "Discover",
    "End",
    "Error",
    "Format",
    "Fresh",
    "Hello",
    "Kind",
    "Lagged",
    "List",
    "LiteObj",
    "Metrics",
    "Namespaces",
    "Note",
    "Page",
    "Progress",
    "Resources",
    "ServedKind",
    "ServerMessage",
    "StateChange",
    "Status",
    "StatusReport",
    "Stop",
    "Synced",
    "Target",
    "Text",
    "Truth",
    "View",
    "Watch",
    "decode_client",
    "decode_server",
    "encode",
]

Answer = Literal["rows", "text"]
Format = Literal["table", "json", "name"]
Op = Literal["ADD", "MOD", "DEL", "REPL"]


class LiteObj(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What orka keeps of one object: identity, age and version; never spec, status or data."""

    uid: bytes  # 16 bytes: the UUID, else a blake2b hash of what stood in its place
    namespace: str | None  # None for cluster-scoped kinds
    name: str
    creation_ts: int | None  # seconds since 1970 UTC; None where the server gave none
    resource_version: str  # opaque: equality only
    deletion_ts: int | None = None  # set while finalizers hold a deleted object


class Change(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One object's change between two epochs of one lineage."""

    op: Op
    obj: LiteObj  # the new state; for DEL the last one that was shown
    inferred: bool = False  # found by a relist, not seen as an event
    old_uid: bytes | None = None  # for REPL: who left under this name


# -- what a request carries ----------------------------------------------------------------


class Target(msgspec.Struct, frozen=True):
    """Which cluster the client's own shell means, as kubectl would find it there.

    `source` says where the paths came from: the `--kubeconfig` flag (one path that must
    exist), a non-empty `$KUBECONFIG`, or the default `$HOME/.kube/config`.
    """

    source: Literal["flag", "env", "default"]
    kubeconfig: tuple[str, ...]  # absolute paths, in order
    context: str | None = None


class AllNamespaces(msgspec.Struct, frozen=True, tag="all"):
    """Every namespace."""


class DefaultNamespace(msgspec.Struct, frozen=True, tag="default"):
    """The context's own namespace, which only the daemon knows."""


class Namespaces(msgspec.Struct, frozen=True, tag="namespaces"):
    """Exactly these namespaces."""

    names: tuple[str, ...]


View = AllNamespaces | DefaultNamespace | Namespaces


# -- client to daemon ----------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """First message of both sides; the client's requests may follow without waiting for it."""

    protocol: int
    version: str
    capabilities: tuple[str, ...] = ()
    instance: str = ""  # daemon only: random per process
    pid: int = 0  # daemon only


class Discover(msgspec.Struct, frozen=True, tag="discover"):
    """Ask for every served resource."""

    target: Target
    answer: Answer
    format: Format = "table"
    all_versions: bool = False
    prefer_crd: bool = False  # only the kind that `orkad --prefer-crd` would select


class List(msgspec.Struct, frozen=True, tag="list"):
    """Ask for the objects of one kind as they are now."""

    target: Target
    kind: str  # as the user wrote it
    view: View
    answer: Answer
    format: Format = "table"
    max_age_seconds: float | None = None
    timeout_seconds: float = 30.0  # how long to wait for a first sync
    progress: bool = False


class Watch(msgspec.Struct, frozen=True, tag="watch"):
    """Ask for one kind's changes until the client leaves; rows only."""

    target: Target
    kind: str
    view: View
    since: str | None = None  # a cursor from an earlier answer
    initial: bool = False  # send the objects that are there at the start
    timeout_seconds: float = 30.0  # how long to wait until the kind is found and its sync begins


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Ask what the daemon is doing."""

    answer: Answer
    format: Format = "table"


class Metrics(msgspec.Struct, frozen=True, tag="metrics"):
    """Ask for the counters as Prometheus text; always a text answer."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Ask the daemon to shut down gracefully."""


ClientMessage = Hello | Discover | List | Watch | Status | Metrics | Stop


# -- daemon to client ----------------------------------------------------------------------


class Kind(msgspec.Struct, frozen=True):
    """A kind as one cluster serves it."""

    group: str
    version: str
    kind: str
    resource: str  # plural, as in URLs
    namespaced: bool


class Truth(msgspec.Struct, frozen=True, tag="truth"):
    """How far the rows that follow can be believed; first message of every answer about a kind."""

    kind: Kind
    context: str
    server: str
    default_namespace: str
    state: str
    reason: str
    since: float  # seconds since 1970 UTC: when this state began
    age_seconds: float | None  # since the last proof of life of the stream; None before the first
    synced: bool
    objects: int
    dropped: int  # deltas dropped by the coalescer since start (each was healed by a relist)
    cursor: str
    scope: str = "cluster"  # or "N of M namespaces"
    quarantined: int = 0  # objects that could not be understood, kept out of the rows
    hint: str | None = None  # what to do about it, e.g. the `kubectl auth can-i` line


class Page(msgspec.Struct, frozen=True, tag="page"):
    """Part of a snapshot; all pages of one answer come from the same one."""

    rows: list[LiteObj]


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """The first sync is still under way."""

    objects: int


class Synced(msgspec.Struct, frozen=True, tag="synced"):
    """The snapshot is complete at this cursor; diffs follow from here."""

    epoch: int
    cursor: str


class Diff(msgspec.Struct, frozen=True, tag="diff"):
    """All changes after epoch `from_epoch` up to and including `to_epoch`."""

    from_epoch: int
    to_epoch: int
    changes: list[Change]
    cursor: str
    folded: int = 0  # changes merged away because they no longer matter
    cause: Literal["watch", "resync"] = "watch"


class StateChange(msgspec.Struct, frozen=True, tag="state"):
    """The kind's truth changed, in order with the diffs."""

    truth: Truth


class Fresh(msgspec.Struct, frozen=True, tag="fresh"):
    """Forget what you had: pages with everything follow, then `synced`."""

    reason: str
    cursor: str


class Lagged(msgspec.Struct, frozen=True, tag="lagged"):
    """As `fresh`, because the reader fell further behind than the daemon remembers."""

    reason: str
    missed_epochs: int
    cursor: str


class ServedKind(msgspec.Struct, frozen=True):
    """One line of `discover`."""

    group: str
    version: str
    kind: str
    resource: str
    singular: str
    short_names: tuple[str, ...]
    namespaced: bool
    verbs: tuple[str, ...]
    categories: tuple[str, ...]
    preferred: bool  # its group's preferred version of this resource
    watchable: bool  # has both list and watch
    crd: bool  # defined by a CustomResourceDefinition


class Resources(msgspec.Struct, frozen=True, tag="resources"):
    """The answer to `discover`, complete."""

    context: str
    server: str
    resources: list[ServedKind]
    failed: dict[str, str] = {}  # group/version -> why its part is missing or old


class StatusReport(msgspec.Struct, frozen=True, tag="status"):
    """The answer to `status`: what `orkactl status -o json` prints, with times in seconds."""

    report: dict[str, object]


class Text(msgspec.Struct, frozen=True, tag="text"):
    """Rendered output for stdout, in order."""

    data: bytes


class Note(msgspec.Struct, frozen=True, tag="note"):
    """One line for stderr."""

    text: str


class Error(msgspec.Struct, frozen=True, tag="error"):
    """The answer ends here, with a failure."""

    code: str
    message: str
    exit_code: int
    hint: str | None = None


class End(msgspec.Struct, frozen=True, tag="end"):
    """The answer ends here, as it should; `exit_code` may still say e.g. not fresh enough."""

    code: str = "ok"
    exit_code: int = 0
    message: str = ""


ServerMessage = (
    Hello
    | Truth
    | Page
    | Progress
    | Synced
    | Diff
    | StateChange
    | Fresh
    | Lagged
    | Resources
    | StatusReport
    | Text
    | Note
    | Error
    | End
)

_encoder = msgspec.msgpack.Encoder()
_client_decoder = msgspec.msgpack.Decoder(ClientMessage)
_server_decoder = msgspec.msgpack.Decoder(ServerMessage)
_SERVER_TYPES = frozenset(str(message.__struct_config__.tag) for message in ServerMessage.__args__)


class _Tag(msgspec.Struct):
    type: str


# msgspec lets the error of text that is not UTF-8 through as it is.
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_tag_decoder = msgspec.msgpack.Decoder(_Tag)


def encode(message: ClientMessage | ServerMessage) -> bytes:
    """One message as msgpack, without its frame."""
    return _encoder.encode(message)


def decode_client(payload: bytes | memoryview) -> ClientMessage:
    """A client's message; RemoteProtocolError names the field that is wrong."""
    try:
        message: ClientMessage = _client_decoder.decode(payload)
    except _UNDECODABLE as exc:
        raise RemoteProtocolError(f"request not understood: {exc}") from exc
    return message


def decode_server(payload: bytes | memoryview) -> ServerMessage | None:
    """The daemon's message, or None for a type that this version does not know."""
    try:
        message: ServerMessage = _server_decoder.decode(payload)
    except _UNDECODABLE as exc:
        if _is_unknown_type(payload):
            return None
        raise RemoteProtocolError(f"answer not understood: {exc}") from exc
    return message


def _is_unknown_type(payload: bytes | memoryview) -> bool:
    try:
        return _tag_decoder.decode(payload).type not in _SERVER_TYPES
    except _UNDECODABLE:
        return False
