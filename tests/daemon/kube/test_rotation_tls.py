"""Client certificates that are renewed while requests and streams use them: real TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from random import Random

import pytest
import trio

from orka.daemon.kube.client import HttpxKubeClient
from orka.daemon.kube.connection import (
    CertificateFiles,
    ClientCertificate,
    Connection,
    Credentials,
    ExecPlugin,
)
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.kube.exec_plugin import Plugins
from orka.daemon.kube.http import JSON
from orka.daemon.kube.tls import CA_FRESH_SECONDS, Contexts
from orka.daemon.kube.watch import ReflectorConfig, ReflectorSource
from orka.daemon.model import SystemClock, UpstreamLedger
from replay.apiserver import ApiServer, definition
from tests.daemon.kube.harness import THING, ModelSink
from tests.support.certificates import ca_pem, client_pair, server_context
from tests.support.fakes import RecordingCounters, StoppedClock
from tests.support.kubeconfigs import Files
from tests.support.plugins import FakeProgram, printed
from tests.support.scripted_http import (
    CHUNKED_HEAD,
    ScriptedServer,
    answer_and_hold,
    answer_each,
    chunk,
    whole,
)

OLD, NEW = client_pair("old"), client_pair("new")
HOLD = answer_and_hold(CHUNKED_HEAD, chunk(b"event\n"))


@asynccontextmanager
async def client_of(
    server: ScriptedServer, credentials: Credentials, files: Files, program: FakeProgram
) -> AsyncIterator[HttpxKubeClient]:
    """A client of a server that is sent client certificates and trusts any."""
    context = server_context("127.0.0.1")
    plugins = Plugins({}, SystemClock(), program=program)
    async with server.tcp(tls=context) as port, trio.open_nursery() as nursery:
        connection = Connection(
            f"https://127.0.0.1:{port}", ca=ca_pem(), user="u", credentials=credentials
        )
        client = HttpxKubeClient(connection, plugins=plugins, read=files.read)
        nursery.start_soon(plugins.run)
        nursery.start_soon(client.run)
        yield client
        nursery.cancel_scope.cancel(reason="the test is over")
        await client.aclose()


def pem(pair: tuple[bytes, bytes]) -> dict[str, str]:
    """As a plugin prints it."""
    return {"clientCertificateData": pair[0].decode(), "clientKeyData": pair[1].decode()}


FILES = Credentials(certificate=CertificateFiles("/c", "/k"))
PLUGIN = Credentials(plugin=ExecPlugin("/bin/sh"))


@pytest.mark.parametrize("source", ["files", "plugin", "kubeconfig"])
async def test_a_renewed_certificate_ends_the_streams_that_showed_the_old_one(
    source: str,
) -> None:
    """Their readers are told so, and what is asked next is asked on new connections."""
    unauthorized = whole(b"", b"HTTP/1.1 401 Unauthorized\r\n")
    gets = answer_each(whole(b"1"), unauthorized)
    server = ScriptedServer([HOLD, gets, answer_each(whole(b"2"))])
    files = Files({"/c": OLD[0], "/k": OLD[1]})
    program = FakeProgram(outputs=[printed(**pem(OLD)), printed(**pem(NEW))])
    static = Credentials(certificate=ClientCertificate(*OLD))
    credentials = {"files": FILES, "plugin": PLUGIN, "kubeconfig": static}[source]
    async with client_of(server, credentials, files, program) as client:  # noqa: SIM117 -- reads better
        async with client.stream("/watch", {}, JSON) as stream:
            assert await stream.receive_some() == b"event\n"
            assert (await client.get("/one", {}, JSON)).body == b"1"
            if source == "kubeconfig":
                renewed = Credentials(certificate=ClientCertificate(*NEW))
                client.adopt(replace(client.connection, credentials=renewed))
            files.content |= {"/c": NEW[0], "/k": NEW[1]}
            if source != "plugin":
                await client.get("/new", {}, JSON)
            else:
                assert (await client.get("/new", {}, JSON)).body == b"2"
            with trio.fail_after(5), pytest.raises(KubeError) as caught:
                await stream.receive_some()
            with pytest.raises(KubeError):
                await stream.receive_some()

    assert caught.value.failure.kind is FailureKind.RENEWED
    assert server.connections == 3


async def test_without_a_request_renewed_files_are_noticed_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The context is made anew within seconds; nothing is opened for it."""
    files = Files({"/c": OLD[0], "/k": OLD[1]})
    connection = Connection("https://api.test", ca=ca_pem(), credentials=FILES)
    client = HttpxKubeClient(connection, read=files.read)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        before = client.authenticator.certificate
        files.content |= {"/c": NEW[0], "/k": NEW[1]}
        await trio.sleep(60)
        assert client.authenticator.certificate != before
        nursery.cancel_scope.cancel(reason="the test is over")
    await client.aclose()


async def test_a_credential_that_cannot_be_adopted_changes_nothing() -> None:
    """The old ones are still better."""
    connection = Connection("https://api.test", ca=ca_pem())
    client = HttpxKubeClient(connection)
    broken = Credentials(certificate=ClientCertificate(b"x", b"y"))
    with pytest.raises(Exception, match="not a usable PEM pair"):
        client.adopt(replace(connection, credentials=broken))

    assert client.connection is connection


def test_a_renewed_ca_file_is_trusted_within_five_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A broken, empty or missing one is ignored, with one line in the log."""
    files, clock = Files({"/ca": ca_pem("one")}), StoppedClock()
    connection = Connection("https://api.test", ca=ca_pem("one"), ca_path="/ca")
    contexts = Contexts(connection, None, read=files.read, now=clock.monotonic)

    def anchors() -> list[ssl.SSLContext]:
        clock.now += CA_FRESH_SECONDS
        return [contexts.current(None)]

    first = contexts.current(None)
    assert anchors() == [first]
    for broken in (b"", b"nothing", FileNotFoundError(2, "No such file", "/ca")):
        files.content["/ca"] = broken
        assert anchors() == [first]
    files.content["/ca"] = ca_pem("two")
    assert contexts.current(None) is first
    (second,) = anchors()

    assert second is not first
    assert second.get_ca_certs() != first.get_ca_certs()
    assert len(caplog.records) == 1


@pytest.mark.slow
async def test_a_certificate_renewed_under_a_thousand_events_a_second_loses_none() -> None:
    """Three times in a row; each state of each object is told once, in order, without a list."""
    rate, rounds = 1000, 3
    files = Files({"/c": OLD[0], "/k": OLD[1]})
    server = ApiServer(random=Random(7))
    server.model.create(
        "customresourcedefinitions", definition("example.io", "Thing", THING.resource)
    )
    for number in range(100):
        meta = {"namespace": "shop", "name": f"o{number}"}
        server.model.create(THING.resource, {"metadata": meta})
    sink, counters, ledger = ModelSink(), RecordingCounters(), UpstreamLedger()
    sent: set[tuple[tuple[str, str], str]] = set()

    async def change(seconds: float) -> int:
        """Patch objects at the rate; how many."""
        began, changes = trio.current_time(), 0
        while (elapsed := trio.current_time() - began) < seconds:
            while changes < elapsed * rate:
                name = f"o{changes % 100}"
                patch = {"spec": {"n": len(sent)}}
                server.model.patch(THING.resource, name, patch, "shop")
                done = server.model.get(THING.resource, name, "shop")
                assert done is not None
                sent.add((("shop", name), done["metadata"]["resourceVersion"]))
                changes += 1
            await trio.sleep(0.005)
        return changes

    async with trio.open_nursery() as nursery:
        endpoint = await nursery.start(partial(server.serve_tcp, tls=True))
        connection = Connection(endpoint.url, ca=endpoint.ca_pem, credentials=FILES)
        client = HttpxKubeClient(connection, read=files.read)
        source = ReflectorSource(
            client,
            THING,
            ReflectorConfig("dev", float("inf")),
            random=Random(1),
            ledger=ledger,
            counters=counters,
            served=_served,
        )
        nursery.start_soon(source.run, sink)
        with trio.fail_after(10):
            while not sink.replaced:
                await trio.sleep(0.01)
        changes = 0
        for pair in (NEW, OLD, NEW)[:rounds]:
            async with trio.open_nursery() as turn:
                turn.start_soon(client.run)  # anew each time: it does not end streams too often
                nursery.start_soon(_renew_soon, files, pair, client)
                changes += await change(2)
                turn.cancel_scope.cancel(reason="the next turn")
        with trio.fail_after(10):
            while len(sink.changes) < 100 + changes:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel(reason="the test is over")
        await client.aclose()

    told = [(key, version) for what, key, version in sink.changes if what == "MOD"]
    assert len(told) == len(set(told)) == changes
    assert set(told) == sent
    assert changes >= rate * rounds * 2 * 0.9
    assert counters.counts["watch_restarts_total{renewed}"] == rounds
    assert {verb: count for (verb, _), count in ledger.counts.items()} == {
        "watchlist": 1,
        "watch": rounds,
    }
    assert sink.states == ["syncing", "live"]


async def _renew_soon(files: Files, pair: tuple[bytes, bytes], client: HttpxKubeClient) -> None:
    await trio.sleep(0.7)
    files.content |= {"/c": pair[0], "/k": pair[1]}
    await client.get("/version", {}, JSON)  # any request notices


async def _served() -> bool:
    await trio.lowlevel.checkpoint()
    return True
