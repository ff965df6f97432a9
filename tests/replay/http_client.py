"""A tiny HTTP/1.1 client over any trio stream, for the tests of the fake server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h11
import trio

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class CutError(Exception):
    """The body stopped before its proper end; `tail` is what came of a last line."""

    def __init__(self, tail: bytes) -> None:
        super().__init__(tail)
        self.tail = tail


@dataclass
class Response:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Lines:
    """The open body of a watch."""

    def __init__(self, client: Client, status: int, headers: Mapping[str, str]) -> None:
        self.client = client
        self.status = status
        self.headers = headers
        self.buffer = b""

    async def raw(self) -> bytes | None:
        """The next line, None at a proper end. Raises CutError."""
        while b"\n" not in self.buffer:
            data = await self.client.data(self.buffer)
            if data is None:
                assert self.buffer == b""
                return None
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    async def event(self) -> Any:
        """The next event, None at a proper end."""
        line = await self.raw()
        return None if line is None else json.loads(line)

    async def names(self, count: int) -> list[tuple[str, str]]:
        """The next events as (type, name)."""
        found = []
        for _ in range(count):
            event = await self.event()
            found.append((event["type"], event["object"]["metadata"].get("name", "")))
        return found


class Client:
    """One connection."""

    def __init__(self, stream: trio.abc.Stream, token: str = "") -> None:
        self.stream = stream
        self.token = token
        self.http = h11.Connection(h11.CLIENT)

    async def get(self, path: str, accept: str = "application/json", **headers: str) -> Response:
        """GET a whole body. Raises CutError."""
        return await self.request("GET", path, headers={"Accept": accept, **headers})

    async def send(self, method: str, path: str, obj: Any, media_type: str = "") -> Response:
        """POST, PUT or PATCH an object."""
        default = "application/merge-patch+json" if method == "PATCH" else "application/json"
        return await self.request(
            method,
            path,
            headers={"Content-Type": media_type or default},
            body=json.dumps(obj).encode(),
        )

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Response:
        """One exchange."""
        status, found = await self.start(method, path, headers, body)
        parts: list[bytes] = []
        try:
            while (data := await self.data(b"")) is not None:
                parts.append(data)
        except CutError as exc:
            raise CutError(b"".join(parts)) from exc
        if self.http.our_state is h11.DONE and self.http.their_state is h11.DONE:
            self.http.start_next_cycle()
        return Response(status, found, b"".join(parts))

    async def watch(self, path: str, accept: str = "application/json") -> Lines:
        """Open a stream of lines."""
        status, headers = await self.start("GET", path, {"Accept": accept})
        return Lines(self, status, headers)

    async def start(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, dict[str, str]]:
        """Send a request and read the head of its answer."""
        auth = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        length = {"Content-Length": str(len(body))} if body else {}
        everything = {"Host": "test", **auth, **length, **headers}.items()
        events: list[h11.Event] = [h11.Request(method=method, target=path, headers=[*everything])]
        events += [h11.Data(data=body), h11.EndOfMessage()]
        await self.stream.send_all(b"".join(self.http.send(event) or b"" for event in events))
        event = await self._next(b"")
        assert isinstance(event, h11.Response)
        return event.status_code, {k.decode(): v.decode() for k, v in event.headers}

    async def data(self, so_far: bytes) -> bytes | None:
        """The next piece of a body, None at its proper end. Raises CutError."""
        event = await self._next(so_far)
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def next_cycle(self) -> None:
        """Make ready for another request on this connection after a watch."""
        self.http.start_next_cycle()

    async def _next(self, so_far: bytes) -> h11.Event:
        while True:
            try:
                event = self.http.next_event()
            except h11.RemoteProtocolError as exc:
                raise CutError(so_far) from exc
            if event is h11.NEED_DATA:
                try:
                    received = bytes(await self.stream.receive_some(65536))
                except trio.BrokenResourceError as exc:
                    raise CutError(so_far) from exc
                self.http.receive_data(received)
            elif isinstance(event, h11.Event) and not isinstance(event, h11.InformationalResponse):
                if isinstance(event, h11.ConnectionClosed):
                    raise CutError(so_far)
                return event
