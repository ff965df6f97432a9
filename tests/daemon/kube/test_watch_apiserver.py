"""The reflector over real HTTP against the bundled API server, in memory and on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.client import HttpxKubeClient
from orka.daemon.kube.connection import Connection
from orka.daemon.kube.transport import StreamTransport
from orka.daemon.kube.watch import ReflectorConfig, ReflectorSource
from orka.daemon.model import Resource, UpstreamLedger
from replay.apiserver import ApiServer, definition
from tests.daemon.kube.harness import ModelSink, eventually
from tests.support.fakes import RecordingCounters

CERTIFICATES = Resource("cert-manager.io", "v1", "Certificate", "certificates", namespaced=True)
NAME = "certificates.cert-manager.io"


@dataclass
class Wired:
    """A server, a reflector of its certificates, and what it was told."""

    server: ApiServer
    sink: ModelSink
    source: ReflectorSource
    served: bool | None = True

    def shown(self) -> dict[tuple[str | None, str], tuple[str, str]]:
        """What the sink shows."""
        return {
            key: (str(UUID(bytes=obj.uid)), obj.resource_version)
            for key, obj in self.sink.objects.items()
        }

    def truly(self) -> dict[tuple[str | None, str], tuple[str, str]]:
        """What the server has."""
        found = {}
        for namespace, name in self.server.model.names(NAME):
            obj = self.server.model.get(NAME, name, namespace)
            assert obj is not None
            meta = obj["metadata"]
            found[namespace or None, name] = (meta["uid"], meta["resourceVersion"])
        return found

    async def until_same(self) -> None:
        """Wait until what is shown is what is there."""
        await eventually(lambda: self.shown() == self.truly() and self.sink.state == "live")

    def create(self, *names: str) -> None:
        """More certificates."""
        for name in names:
            meta = {"namespace": "shop", "name": name}
            self.server.model.create(NAME, {"metadata": meta, "spec": {}})

    def patch(self, name: str) -> None:
        """A change."""
        self.server.model.patch(NAME, name, {"spec": {"n": Random(name).random()}}, "shop")

    def delete(self, *names: str) -> None:
        """Fewer certificates."""
        for name in names:
            self.server.model.delete(NAME, name, "shop")


@asynccontextmanager
async def wired(count: int = 5) -> AsyncIterator[Wired]:
    """The two, running until the block ends."""
    server = ApiServer(random=Random(7))
    server.model.create(
        "customresourcedefinitions",
        definition("cert-manager.io", "Certificate", "certificates", short_names=("cert",)),
    )
    sink = ModelSink()
    async with server.memory() as connect, trio.open_nursery() as nursery:

        async def dial(host: str, port: int) -> trio.abc.Stream:
            del host, port
            return await connect()

        connection = Connection("http://fake:80", context="fake")
        client = HttpxKubeClient(
            connection,
            dial=dial,
            unary=StreamTransport,
        )
        source = ReflectorSource(
            client,
            CERTIFICATES,
            ReflectorConfig("fake", 300.0),
            random=Random(1),
            ledger=UpstreamLedger(),
            counters=RecordingCounters(),
            served=lambda: _served(both),
        )
        both = Wired(server, sink, source)
        both.create(*(f"c{number}" for number in range(count)))
        nursery.start_soon(source.run, sink, name="reflector")
        yield both
        nursery.cancel_scope.cancel(reason="the test is over")
        await client.aclose()


async def _served(both: Wired) -> bool | None:
    await trio.lowlevel.checkpoint()
    return both.served


def _throttled(server: ApiServer) -> None:
    server.throttle(2, retry_after=3, resource=NAME)
    server.cut_mid_line(NAME)


def _html(server: ApiServer) -> None:
    server.html(2, resource=NAME)
    server.cut_mid_line(NAME)


def _too_large(server: ApiServer) -> None:
    server.too_large(1, resource=NAME)
    server.cut_mid_line(NAME)


FAULTS: dict[str, Callable[[ApiServer], object]] = {
    "clean close": lambda server: server.drop_watches(NAME),
    "cut": lambda server: server.cut_mid_line(NAME),
    "expired event": lambda server: server.expire(NAME),
    "expired status": lambda server: server.expire(NAME, shape="status"),
    "stalled": lambda server: server.stall(NAME),
    "restart": lambda server: server.restart(),
    "bookmark": lambda server: server.bookmark(NAME),
    "bad bookmark": lambda server: server.bad_bookmark(NAME, rv="0"),
    "unknown event": lambda server: server.inject_line(b'{"type":"RENAMED"}\n', NAME),
    "no JSON": lambda server: server.inject_line(b"nonsense\n", NAME),
    "throttled": _throttled,
    "html": _html,
    "too large": _too_large,
}


@pytest.mark.parametrize("fault", list(FAULTS))
@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "pages"])
async def test_a_fault_on_the_wire_ends_at_the_servers_state(
    fault: str, autojump_clock: MockClock, *, streaming: bool
) -> None:
    """Changes before, during and after it all appear."""
    async with wired() as both:
        if not streaming:
            both.server.no_streaming_list(resource=NAME)
        await both.until_same()
        both.create("before")
        both.patch("c0")
        both.delete("c1")
        await trio.sleep(5)
        FAULTS[fault](both.server)
        both.patch("c2")
        both.delete("c3")
        both.create("c1")
        await trio.sleep(700)
        both.server.resume()
        await both.until_same()
        both.create("after")
        await both.until_same()

        assert both.source.status.sync_path == ("streaming" if streaming else "pages")


async def test_only_metadata_is_asked_for(autojump_clock: MockClock) -> None:
    """One streaming list that becomes the watch, in the metadata form."""
    async with wired(1200) as both:
        await both.until_same()
        await trio.sleep(1)

        [record] = both.server.seen(resource=NAME)
        assert record.verb == "watchlist"


async def test_a_removed_crd_is_gone_and_a_new_one_begins_anew(
    autojump_clock: MockClock,
) -> None:
    """Its objects end once, and its path is left alone."""
    async with wired() as both:
        await both.until_same()
        both.server.model.delete("customresourcedefinitions", NAME)
        both.served = False
        await trio.sleep(60)
        assert (both.sink.state, both.sink.objects) == ("gone", {})
        before = len(both.server.requests)
        await trio.sleep(3600)
        assert len(both.server.requests) == before
