"""A daemon's serving half in memory: a bounded wire, a fake service, a test client."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from orka.daemon.model import Resource
from orka.daemon.serve.answers import cursor_at, kind_of
from orka.daemon.serve.client import ClientLeft
from orka.daemon.serve.hub import Hub
from orka.daemon.serve.server import Server
from orka.daemon.serve.service import Discovered, Label, Lease
from orka.daemon.world.diff import Journal
from orka.daemon.world.ingest import World
from orka.daemon.world.snapshot import Snapshot
from orka.proto.errors import Refused
from orka.proto.frames import FrameReader, frame
from orka.proto.messages import (
    ClientMessage,
    Hello,
    ServerMessage,
    Target,
    Truth,
    decode_server,
    encode,
)
from orka.proto.names import CLIENT_FRAME_MAX_BYTES, PROTOCOL, SERVER_FRAME_MAX_BYTES
from tests.support.fakes import RecordingCounters, TrioClock

TARGET = Target("default", ("/home/me/.kube/config",))
LABEL = Label("kind-dev", "https://127.0.0.1:6443", "default")
CERTIFICATES = Resource("cert-manager.io", "v1", "Certificate", "certificates", namespaced=True)
NODES = Resource("", "v1", "Node", "nodes", namespaced=False)


class MemoryWire:
    """Both ends of a connection. The daemon's end has room for `capacity_bytes` unread bytes."""

    def __init__(self, capacity_bytes: float = math.inf) -> None:
        self.capacity_bytes = capacity_bytes
        self.closed = False
        self._to_client = bytearray()
        self._to_daemon: deque[bytes] = deque()
        self._changed = trio.Event()

    def _notify(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    # -- the daemon's end ----------------------------------------------------------------

    async def receive_some(self) -> bytes:
        """See `serve.Wire`."""
        await trio.lowlevel.checkpoint()
        while not self._to_daemon:
            if self.closed:
                raise ClientLeft
            await self._changed.wait()
        return self._to_daemon.popleft()

    def send_nowait(self, data: memoryview) -> int:
        """See `serve.Wire`."""
        if self.closed:
            raise ClientLeft
        room = self.capacity_bytes - len(self._to_client)
        taken = len(data) if room >= len(data) else max(0, int(room))
        self._to_client += data[:taken]
        self._notify()
        return taken

    async def wait_writable(self) -> None:
        """See `serve.Wire`."""
        await trio.lowlevel.checkpoint()
        while not self.closed and len(self._to_client) >= self.capacity_bytes:
            await self._changed.wait()
        if self.closed:
            raise ClientLeft

    def close(self) -> None:
        """See `serve.Wire`."""
        self.closed = True
        self._notify()

    # -- the client's end ----------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """What the client sends; b"" says that it sends no more."""
        self._to_daemon.append(data)
        self._notify()

    async def read(self) -> bytes:
        """Everything the daemon has sent; b"" once it has closed."""
        while not self._to_client and not self.closed:
            await self._changed.wait()
        data = bytes(self._to_client)
        self._to_client.clear()
        self._notify()
        return data


class TestClient:
    """Speaks the protocol over a MemoryWire."""

    __test__ = False

    def __init__(self, wire: MemoryWire) -> None:
        self.wire = wire
        self._reader = FrameReader(SERVER_FRAME_MAX_BYTES)
        self._messages: deque[ServerMessage] = deque()

    def say(self, *messages: ClientMessage) -> None:
        """Send messages."""
        for message in messages:
            self.wire.write(frame(encode(message), CLIENT_FRAME_MAX_BYTES))

    def greet(self) -> None:
        """Send a hello of this version."""
        self.say(Hello(PROTOCOL, "0.0-test"))

    async def hear(self) -> ServerMessage | None:
        """The next message; None at the end."""
        while not self._messages:
            data = await self.wire.read()
            if not data:
                return None
            for payload in self._reader.receive_data(data):
                message = decode_server(payload)
                assert message is not None
                self._messages.append(message)
        return self._messages.popleft()

    async def hear_until(self, *types: type[ServerMessage]) -> list[ServerMessage]:
        """Messages up to and including the first of these types, or to the end."""
        heard: list[ServerMessage] = []
        while (message := await self.hear()) is not None:
            heard.append(message)
            if isinstance(message, types):
                break
        return heard


class FakeService:
    """A `serve.Service` with one kind, whose world a test feeds by hand."""

    def __init__(self, resource: Resource = CERTIFICATES, *, journal_epochs: int = 1000) -> None:
        self.resource = resource
        self.world = World(
            name=resource.group_resource,
            lineage="l1",
            queue_cap=100,
            journal=Journal(max_epochs=journal_epochs),
            clock=TrioClock(),
            counters=RecordingCounters(),
        )
        self.hub = Hub(self.world, lambda snapshot: cursor_at(self.held, snapshot))
        self.held = Lease(LABEL, "c1", resource, self.world, self.hub)
        self.leases = 0
        self.stopped = False
        self.failed: dict[str, str] = {}

    def cursor(self, snapshot: Snapshot) -> str:
        """The cursor of a snapshot."""
        return cursor_at(self.held, snapshot)

    async def discover(self, target: Target, *, prefer_crd: bool) -> Discovered:
        """The one kind."""
        assert target == TARGET
        del prefer_crd
        return Discovered(LABEL, (self.resource,), self.failed)

    @asynccontextmanager
    async def lease(self, target: Target, kind: str) -> AsyncIterator[Lease]:
        """The one kind, under its resource's name."""
        assert target == TARGET
        if kind == "boom":
            raise RuntimeError("a bug")
        if kind == "hangs":
            await trio.sleep_forever()
        if kind != self.resource.resource:
            raise Refused(f"no {kind}", code="not-served", hint="did you mean certificates?")
        self.leases += 1
        try:
            yield self.held
        finally:
            self.leases -= 1

    def status(self) -> dict[str, object]:
        """A small document."""
        return {"daemon": {"pid": 1}, "clusters": []}

    def metrics(self) -> bytes:
        """A line."""
        return b"coalescer_len 0\n"

    def wall(self) -> float:
        """The mock clock's."""
        return TrioClock().wall()

    def stop(self) -> None:
        """Remember it."""
        self.stopped = True


def truth_at(snapshot: Snapshot) -> Truth:
    """The truth of a snapshot that nobody leases."""
    return Truth(
        kind=kind_of(CERTIFICATES),
        context=LABEL.context,
        server=LABEL.server,
        default_namespace=LABEL.default_namespace,
        state=snapshot.truth.state,
        reason=snapshot.truth.reason,
        since=snapshot.truth_since,
        age_seconds=None,
        synced=snapshot.synced,
        objects=snapshot.count,
        dropped=0,
        cursor=f"{snapshot.lineage}:{snapshot.epoch}",
    )


class Bench:
    """A running server in memory."""

    def __init__(self, service: FakeService, nursery: trio.Nursery) -> None:
        self.service = service
        self.server = Server(service, instance="i1")
        self.shutdown = trio.Event()
        self._nursery = nursery

    def connect(self, capacity_bytes: float = math.inf) -> TestClient:
        """A client that has said nothing yet."""
        wire = MemoryWire(capacity_bytes)
        self._nursery.start_soon(self.server.serve, wire, 4711, self.shutdown)
        return TestClient(wire)


@asynccontextmanager
async def serving(service: FakeService | None = None) -> AsyncIterator[Bench]:
    """A server over a fake service whose ingest and hub run for as long as the context lasts."""
    service = service or FakeService()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.world.run)
        nursery.start_soon(service.hub.run)
        yield Bench(service, nursery)
        nursery.cancel_scope.cancel()
