"""Connecting through a proxy, and what is said when that fails."""

from __future__ import annotations

import errno
import ssl
from contextlib import suppress
from typing import Literal

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from orka.daemon.kube.connection import Basic, Connection, Proxy
from orka.daemon.kube.dial import PROXY_SECONDS, TLS_SECONDS, connect, dial_tcp
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.kube.tls import client_context
from tests.support.certificates import authority, ca_pem, server_context
from tests.support.scripted_http import Dial, ScriptedServer, answer

SECURE = Connection(
    "https://api.test:6443",
    ca=ca_pem(),
    proxy=Proxy("http", "proxy.test", 3128, Basic("u", "s3cret")),
)
OK = b"HTTP/1.1 200 OK\r\n\r\n"


async def refusal(connection: Connection, dial: Dial) -> KubeError:
    """What connecting raises."""
    context = client_context(connection) if connection.tls else None
    with pytest.raises(KubeError) as caught:
        await connect(connection, context, dial)
    return caught.value


def tunnel(port: int) -> ScriptedServer:
    """A proxy that connects everybody to `port` of loopback."""

    async def relay(source: trio.abc.Stream, sink: trio.abc.Stream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in source:
                await sink.send_all(data)

    async def script(server: ScriptedServer, stream: trio.abc.Stream) -> None:
        await server.request(stream)
        await stream.send_all(OK)
        there = await trio.open_tcp_stream("127.0.0.1", port)
        async with there, trio.open_nursery() as nursery:
            nursery.start_soon(relay, there, stream)
            await relay(stream, there)
            nursery.cancel_scope.cancel(reason="the client left")

    return ScriptedServer([script])


async def test_a_proxy_that_is_not_there() -> None:
    """The failure names the proxy, since the server was not even tried."""

    async def dial(host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        assert (host, port) == ("proxy.test", 3128)
        raise OSError(errno.ECONNREFUSED, "x")

    caught = await refusal(SECURE, dial)

    assert caught.failure.kind is FailureKind.CONNECT
    assert caught.failure.message == "proxy proxy.test:3128: Connection refused"


async def test_a_proxy_that_refuses() -> None:
    """In its own words; the connection to it is closed, and nothing says the password."""
    server = ScriptedServer([answer(b"HTTP/1.1 403 Filtered\r\n\r\n")])
    async with server.memory() as dial:
        caught = await refusal(SECURE, dial)
        await server.left()

    assert caught.failure.kind is FailureKind.CONNECT
    assert caught.failure.message == "proxy proxy.test:3128: 403 Filtered"
    assert "s3cret" not in repr(caught) + repr(SECURE)


async def test_a_proxy_that_hangs_up_before_it_is_asked() -> None:
    """Whatever the stream says."""
    ours, theirs = memory_stream_pair()
    await theirs.aclose()

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return ours

    caught = await refusal(SECURE, dial)

    assert caught.failure.kind is FailureKind.CONNECT
    assert caught.failure.message.startswith("proxy proxy.test:3128: ")


@pytest.mark.parametrize(
    ("scheme", "seconds", "what"),
    [
        ("http", PROXY_SECONDS, "answer"),
        ("socks5", PROXY_SECONDS, "answer"),
        ("https", TLS_SECONDS, "TLS handshake"),
    ],
)
async def test_a_proxy_that_does_not_answer(
    scheme: Literal["http", "https", "socks5"],
    seconds: float,
    what: str,
    autojump_clock: MockClock,
) -> None:
    """Given up after its deadline, and the connection is closed."""
    ours, theirs = memory_stream_pair()

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return ours

    connection = Connection("https://api.test", proxy=Proxy(scheme, "proxy.test", 1))
    caught = await refusal(connection, dial)

    assert trio.current_time() == seconds
    assert caught.failure.kind is FailureKind.TIMEOUT
    assert caught.failure.message == f"proxy proxy.test:1: no {what} within 10 s"
    while await theirs.receive_some():
        pass


async def test_a_cancelled_handshake_closes_the_connection() -> None:
    """Whoever cancels it."""

    async def silent(_server: ScriptedServer, stream: trio.abc.Stream) -> None:
        while await stream.receive_some():
            pass

    server = ScriptedServer([silent])
    async with server.memory() as dial, trio.open_nursery() as nursery:
        nursery.start_soon(connect, SECURE, client_context(SECURE), dial)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel(reason="test")
        with trio.CancelScope(shield=True):
            await server.left()


async def test_plain_requests_are_given_to_an_http_proxy_as_they_are() -> None:
    """There is no handshake before them."""
    ours, theirs = memory_stream_pair()

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return ours

    connection = Connection("http://api.test", proxy=Proxy("http", "proxy.test", 1))
    assert await connect(connection, None, dial) is ours
    await theirs.aclose()


@pytest.mark.parametrize("trusted_by", ["system", "cluster"])
async def test_a_proxy_behind_tls_of_its_own(
    trusted_by: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is trusted by the system's roots or the cluster's, under its own name."""
    cas = {"system": "proxies", "cluster": "kube"}
    roots = tmp_path_factory.mktemp("roots") / "roots.pem"
    roots.write_bytes(ca_pem("proxies"))
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority(cas[trusted_by]).issue_cert("127.0.0.1").configure_cert(certificate)
    api = ScriptedServer([answer(b"hello")])
    async with api.tcp(server_context("api.test")) as port, tunnel(port).tcp(certificate) as proxy:
        connection = Connection(
            f"https://127.0.0.1:{port}",
            ca=ca_pem(),
            tls_server_name="api.test",
            proxy=Proxy("https", "127.0.0.1", proxy),
        )
        async with await connect(connection, client_context(connection), dial_tcp) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
            assert await stream.receive_some() == b"hello"


async def test_a_proxy_that_is_not_trusted() -> None:
    """Nor asked; the failure is about the proxy's certificate, not the server's."""
    proxy = ScriptedServer([answer(OK)])
    async with proxy.tcp(server_context("127.0.0.1")) as port:
        connection = Connection(
            "https://api.test", ca=ca_pem("other"), proxy=Proxy("https", "127.0.0.1", port)
        )
        caught = await refusal(connection, dial_tcp)

    assert caught.failure.kind is FailureKind.TLS
    assert caught.failure.message.startswith(f"proxy 127.0.0.1:{port}: certificate not verified")
    assert proxy.requests == []
