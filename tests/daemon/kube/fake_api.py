"""An API server's list and watch of one resource in memory, and the faults it can be told to have.

Written from what the Kubernetes API promises, without a look at the reflector: it keeps objects,
resourceVersions and a bounded history, and speaks through `KubeClient` alone.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import trio

from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.http import Params, Response

Json = dict[str, Any]
JSON_HEADERS = {"content-type": "application/json"}
LIVE_LINES_MAX = 100_000


def meta_of(name: str, namespace: str | None, uid: int, rv: int) -> Json:
    """The metadata of an object."""
    meta: Json = {"name": name, "uid": str(UUID(int=uid)), "resourceVersion": str(rv)}
    meta["creationTimestamp"] = "2026-01-02T03:04:05Z"
    if namespace is not None:
        meta["namespace"] = namespace
    return meta


def partial(meta: Json) -> Json:
    """The metadata as a PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}


def line(event_type: str, obj: object) -> bytes:
    """One watch event as it stands on the wire."""
    return json.dumps({"type": event_type, "object": obj}).encode() + b"\n"


def bookmark(rv: int, *, mark: bool = False) -> bytes:
    """A bookmark; with `mark` the one that ends a streaming list."""
    meta: Json = {"resourceVersion": str(rv), "creationTimestamp": None}
    if mark:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return line("BOOKMARK", partial(meta))


def status(code: int, reason: str = "", message: str = "", details: Json | None = None) -> Json:
    """A Status document."""
    document: Json = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    document |= {"code": code, "reason": reason, "message": message or reason}
    return document | ({"details": details} if details else {})


def refusal(
    code: int,
    reason: str = "",
    *,
    message: str = "",
    details: Json | None = None,
    retry_after: int | None = None,
) -> Response:
    """An HTTP error answer with a Status."""
    headers = dict(JSON_HEADERS)
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return Response(code, headers, json.dumps(status(code, reason, message, details)).encode())


def failing(kind: FailureKind, message: str = "injected") -> KubeError:
    """What a client raises when the transport fails."""
    return KubeError(Failure(kind, message))


@dataclass
class Stalled:
    """An answer whose headers never come."""


@dataclass
class Body:
    """A 200 stream whose body is exactly these chunks; `end` None: it then stays open, silent."""

    chunks: list[bytes]
    end: bytes | KubeError | None = b""
    headers: Mapping[str, str] = field(default_factory=lambda: dict(JSON_HEADERS))


Answer = Response | KubeError | Stalled | Body


@dataclass(frozen=True)
class Asked:
    """One request, as it was seen."""

    at: float
    verb: str  # list, watch or watchlist
    params: dict[str, str]


class FakeStream:
    """A `ByteStream`: what is sent into it comes out, with the server's own end of the watch."""

    def __init__(self, api: FakeApi, status_code: int, headers: Mapping[str, str]) -> None:
        self.status = status_code
        self.headers = headers
        self.ends_at = math.inf
        self.stalled = False
        self._api = api
        self._waiting: deque[bytes | KubeError] = deque()
        self._more = trio.Event()

    def send(self, *items: bytes | KubeError) -> None:
        """Body bytes; b"" ends it properly, an error breaks it."""
        if not self.stalled:
            self._waiting.extend(items)
            self._more.set()

    async def receive_some(self) -> bytes:
        """See `ByteStream`."""
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            self._more = trio.Event()
            with trio.move_on_at(self.ends_at) as time:
                await self._more.wait()
            if time.cancelled_caught:
                self.ends_at = math.inf
                if self._api.bookmarks:
                    self.send(bookmark(self._api.rv))
                self.send(b"")
        item = self._waiting.popleft()
        if isinstance(item, KubeError):
            raise item
        return item


class FakeApi:
    """The server and its client in one."""

    def __init__(self, path: str = "/apis/example.io/v1/things") -> None:
        self.path = path
        self.rv = 1000
        self.floor = 1000  # what happened up to here is forgotten
        self.objects: dict[tuple[str | None, str], Json] = {}
        self.history: list[tuple[int, str, Json]] = []
        self.states: dict[tuple[str | None, str], list[tuple[str, str]]] = {}  # (uid, rv) each had
        self.bookmarks = True
        self.streaming = True
        self.served: bool | None = True
        self.discovery_fails = False
        # What ends the body of the next watch, which is then answered 503; b"": nothing odd.
        self.error_body_ends: KubeError | bytes | None = b""
        self.close_fails = False  # of the next stream that is left
        self.list_seconds = 0.0  # how long each page takes
        self.requests: list[Asked] = []
        self.lists: deque[Answer | None] = deque()  # answers to come; None: a good one
        self.watches: deque[Answer | None] = deque()  # streaming lists too
        self.always: dict[str, Answer] = {}  # by verb
        self.open: list[FakeStream] = []
        self.last_stream: FakeStream | None = None
        self.most_open = 0
        self._uids = 0
        self._snapshots: dict[str, list[Json]] = {}

    # -- what users do ---------------------------------------------------------------------

    def create(self, name: str, namespace: str = "ns") -> None:
        """A new object, with a new uid."""
        self._uids += 1
        key = (namespace, name)
        assert key not in self.objects
        self._put("ADDED", meta_of(name, namespace, self._uids, self._next()))

    def update(self, name: str, namespace: str = "ns") -> None:
        """A new resourceVersion."""
        meta = self.objects[namespace, name] | {"resourceVersion": str(self._next())}
        self._put("MODIFIED", meta)

    def delete(self, *names: str, namespace: str = "ns") -> None:
        """All of these at one resourceVersion, as the end of a lease does."""
        rv = self._next()
        for name in names:
            meta = self.objects.pop((namespace, name)) | {"resourceVersion": str(rv)}
            self._tell(rv, "DELETED", meta)

    def fill(self, count: int) -> None:
        """So many objects: o0, o1 and so on."""
        for number in range(count):
            self.create(f"o{number}")

    def _next(self) -> int:
        self.rv += 1
        return self.rv

    def _put(self, event_type: str, meta: Json) -> None:
        key = (meta.get("namespace"), meta["name"])
        self.objects[key] = meta
        self.states.setdefault(key, []).append((meta["uid"], meta["resourceVersion"]))
        self._tell(int(meta["resourceVersion"]), event_type, meta)

    def _tell(self, rv: int, event_type: str, meta: Json) -> None:
        self.history.append((rv, event_type, meta))
        for stream in self.open:
            stream.send(line(event_type, partial(meta)))

    # -- faults ----------------------------------------------------------------------------

    def expire(self) -> None:
        """Forget the history: any resourceVersion before this moment is too old."""
        self.floor = self._next()

    def send(self, *items: bytes | KubeError) -> None:
        """Into every open watch."""
        for stream in self.open:
            stream.send(*items)

    def send_bookmark(self) -> None:
        """A bookmark on every open watch."""
        self.send(bookmark(self.rv))

    def cut(self, begun: bytes = b"") -> None:
        """Break every open watch, after these last bytes."""
        self.send(*([begun] if begun else []), failing(FailureKind.CUT, "connection reset"))
        self.open.clear()

    def close(self) -> None:
        """End every open watch properly."""
        self.send(b"")
        self.open.clear()

    def stall(self) -> None:
        """Half-open: the watches stay, and nothing comes any more, not even their end."""
        for stream in self.open:
            stream.stalled = True
            stream.ends_at = math.inf
        self.open.clear()

    def error(self, code: int, reason: str) -> None:
        """An ERROR event on every open watch, and its end."""
        self.send(line("ERROR", status(code, reason)), b"")
        self.open.clear()

    # -- the client ------------------------------------------------------------------------

    def asked(self, *verbs: str) -> list[Asked]:
        """The requests of these verbs so far."""
        return [asked for asked in self.requests if asked.verb in verbs]

    async def get(
        self, path: str, params: Params, accept: str, etag: str | None = None
    ) -> Response:
        """See `KubeClient`."""
        assert path == self.path
        assert etag is None
        assert accept.startswith("application/json;as=PartialObjectMetadataList;")
        assert "resourceVersion" not in params
        self.requests.append(Asked(trio.current_time(), "list", dict(params)))
        scripted = self.lists.popleft() if self.lists else self.always.get("list")
        await trio.sleep(self.list_seconds)
        match scripted:
            case None:
                return self._page(params)
            case Response():
                return scripted
            case KubeError():
                raise scripted
            case _:
                await trio.sleep_forever()
                raise AssertionError

    def _page(self, params: Params) -> Response:
        if token := params.get("continue"):
            rv, start = token.split(":")
            if int(rv) < self.floor:
                return refusal(410, "Expired")
        else:
            rv, start = str(self.rv), "0"
            self._snapshots[rv] = list(self.objects.values())
        first = int(start)
        last = first + int(params.get("limit", "1000000"))
        items = self._snapshots[rv]
        meta = {"resourceVersion": rv, "continue": f"{rv}:{last}" if last < len(items) else ""}
        return page(meta, [partial(meta) for meta in items[first:last]])

    @asynccontextmanager
    async def stream(self, path: str, params: Params, accept: str) -> AsyncIterator[FakeStream]:
        """See `KubeClient`."""
        assert path == self.path
        assert accept.startswith("application/json;as=PartialObjectMetadata;")
        assert params["watch"] == "1"
        assert params["allowWatchBookmarks"] == "true"
        verb = "watchlist" if "sendInitialEvents" in params else "watch"
        self.requests.append(Asked(trio.current_time(), verb, dict(params)))
        scripted = self.watches.popleft() if self.watches else self.always.get(verb)
        await trio.lowlevel.checkpoint()
        stream = self.last_stream = await self._open(scripted, params)
        self.most_open = max(self.most_open, len(self.open))
        try:
            yield stream
        finally:
            if stream in self.open:
                self.open.remove(stream)
        if self.close_fails:
            self.close_fails = False
            raise failing(FailureKind.CUT, "reset while closing")

    async def _open(self, scripted: Answer | None, params: Params) -> FakeStream:
        if self.error_body_ends != b"":
            stream = FakeStream(self, 503, JSON_HEADERS)
            stream.send(b"half of a", *([self.error_body_ends] if self.error_body_ends else []))
            self.error_body_ends = b""
            return stream
        match scripted:
            case None:
                return self._watch(params)
            case KubeError():
                raise scripted
            case Stalled():
                await trio.sleep_forever()
                raise AssertionError
            case Response():
                stream = FakeStream(self, scripted.status, scripted.headers)
                stream.send(scripted.body, b"")
            case Body():
                stream = FakeStream(self, 200, scripted.headers)
                stream.send(*scripted.chunks, *([] if scripted.end is None else [scripted.end]))
        return stream

    def _watch(self, params: Params) -> FakeStream:
        stream = FakeStream(self, 200, {"content-type": "application/json;stream=watch"})
        stream.ends_at = trio.current_time() + int(params["timeoutSeconds"])
        if "sendInitialEvents" in params:
            if not self.streaming:
                refused = FakeStream(self, 422, JSON_HEADERS)
                refused.send(json.dumps(status(422, "Invalid")).encode(), b"")
                return refused
            assert params["resourceVersionMatch"] == "NotOlderThan"
            stream.send(*(line("ADDED", partial(meta)) for meta in self.objects.values()))
            stream.send(bookmark(self.rv, mark=True))
        else:
            start = params["resourceVersion"]
            assert start not in ("", "0")
            if int(start) < self.floor:
                stream.send(line("ERROR", status(410, "Expired")), b"")
                return stream
            for rv, event_type, meta in self.history:
                if rv > int(start):
                    stream.send(line(event_type, partial(meta)))
        self.open.append(stream)
        return stream

    async def discovery(self) -> bool | None:
        """Whether discovery has the kind."""
        self.requests.append(Asked(trio.current_time(), "discovery", {}))
        await trio.lowlevel.checkpoint()
        if self.discovery_fails:
            raise failing(FailureKind.CONNECT)
        return self.served

    async def aclose(self) -> None:
        """See `KubeClient`."""
        await trio.lowlevel.checkpoint()


def page(
    meta: Json, items: Iterable[object] | None, kind: str = "PartialObjectMetadataList"
) -> Response:
    """A page of a list."""
    body: Json = {"kind": kind, "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    body |= {} if items is None else {"items": list(items)}
    return Response(200, JSON_HEADERS, json.dumps(body).encode())
