"""Unary requests over httpx's own pool: real loopback TCP, with and without TLS."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from orka.daemon.kube.client import HttpxKubeClient
from orka.daemon.kube.connection import ClientCertificate, Connection, Credentials
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.kube.http import JSON
from tests.support.certificates import ca_pem, client_pair, server_context
from tests.support.scripted_http import (
    CHUNKED_HEAD,
    OK_JSON,
    ScriptedServer,
    answer,
    answer_and_hold,
    answer_each,
    chunk,
    whole,
)


@asynccontextmanager
async def client_of(server: ScriptedServer) -> AsyncIterator[HttpxKubeClient]:
    """A client of the server, closed at the end."""
    async with server.tcp() as port:
        client = HttpxKubeClient(Connection(f"http://127.0.0.1:{port}"))
        yield client
        await client.aclose()


async def failure_of(server: ScriptedServer) -> KubeError:
    """What one get raises."""
    async with client_of(server) as client:
        with pytest.raises(KubeError) as caught:
            await client.get("/api", {}, JSON)
    return caught.value


async def test_connections_are_used_again() -> None:
    """Many gets, one connection."""
    server = ScriptedServer([answer_each(*[whole(b"{}")] * 5)])
    async with client_of(server) as client:
        for _ in range(5):
            assert (await client.get("/api", {}, JSON)).body == b"{}"

    assert server.connections == 1


async def test_compressed_answers_are_decoded() -> None:
    """Gzip is asked for, because lists are large and links may be slow."""
    head = OK_JSON + b"Content-Encoding: gzip\r\n"
    server = ScriptedServer([answer(whole(gzip.compress(b"{}" * 1000), head))])
    async with client_of(server) as client:
        assert (await client.get("/api", {}, JSON)).body == b"{}" * 1000


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced_at_once() -> None:
    """Idle connections end; the caller does not notice."""
    server = ScriptedServer([answer_each(whole(b"1")), answer_each(whole(b"2"))])
    async with client_of(server) as client:
        bodies = [(await client.get("/api", {}, JSON)).body for _ in range(2)]

    assert bodies == [b"1", b"2"]


async def hang_up_on_second(server: ScriptedServer, stream: trio.abc.Stream) -> None:
    """Answer once, then read a request and close: what a restarting server does."""
    await answer_each(whole(b"1"))(server, stream)
    await server.request(stream)


async def test_a_reset_on_a_used_connection_is_retried_once() -> None:
    """The request was sent into a connection that was dying."""
    server = ScriptedServer([hang_up_on_second, answer(whole(b"2"))])
    async with client_of(server) as client:
        bodies = [(await client.get("/api", {}, JSON)).body for _ in range(2)]

    assert bodies == [b"1", b"2"]
    assert (server.connections, len(server.requests)) == (2, 3)


async def test_a_second_loss_is_the_callers() -> None:
    """No loop of retries hides an outage."""
    server = ScriptedServer([hang_up_on_second, answer()])
    async with client_of(server) as client:
        await client.get("/api", {}, JSON)
        with pytest.raises(KubeError) as caught:
            await client.get("/api", {}, JSON)

    assert caught.value.failure.kind is FailureKind.CUT
    assert len(server.requests) == 3


async def test_a_loss_on_a_new_connection_is_not_retried() -> None:
    """It says something about the server."""
    server = ScriptedServer([answer()])

    assert (await failure_of(server)).failure.kind is FailureKind.CUT
    assert len(server.requests) == 1


async def test_a_body_cut_short_is_not_retried() -> None:
    """A list that the server gave up after a minute is not asked for again at once."""

    async def short_second(server: ScriptedServer, stream: trio.abc.Stream) -> None:
        await answer_each(whole(b"1"))(server, stream)
        await answer(CHUNKED_HEAD + chunk(b"{"))(server, stream)

    server = ScriptedServer([short_second])
    async with client_of(server) as client:
        await client.get("/api", {}, JSON)
        with pytest.raises(KubeError) as caught:
            await client.get("/api", {}, JSON)

    assert caught.value.failure.kind is FailureKind.CUT
    assert len(server.requests) == 2


async def test_after_a_failure_no_idle_connection_is_trusted() -> None:
    """What hung one may have hung all: the next request dials."""

    async def answer_then_hang(server: ScriptedServer, stream: trio.abc.Stream) -> None:
        await answer_each(whole(b"1"))(server, stream)
        await answer_and_hold()(server, stream)

    server = ScriptedServer([answer_then_hang, answer_then_hang, answer(whole(b"2"))])
    async with client_of(server) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(client.get, "/api", {}, JSON)
        assert server.open == 2  # both idle in the pool
        with trio.move_on_after(0.05) as scope:
            await client.get("/api", {}, JSON)
        assert scope.cancelled_caught

        assert (await client.get("/api", {}, JSON)).body == b"2"
        await wait_all_tasks_blocked()
        assert server.connections == 3


async def test_others_in_flight_are_not_hurt_by_a_failure() -> None:
    """Their connections end when they do."""
    answered = trio.Event()

    async def slow(server: ScriptedServer, stream: trio.abc.Stream) -> None:
        await server.request(stream)
        await answered.wait()
        await stream.send_all(whole(b"slow"))
        await stream.receive_some()

    server = ScriptedServer([slow, answer(), answer(whole(b"fresh"))])
    bodies = []
    async with client_of(server) as client:

        async def get() -> None:
            bodies.append((await client.get("/slow", {}, JSON)).body)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(get)
            await server.asked(1)
            with pytest.raises(KubeError):
                await client.get("/cut", {}, JSON)
            await client.get("/fresh", {}, JSON)
            answered.set()
        await server.left()

    assert bodies == [b"slow"]


async def test_closing_waits_for_nobody_and_leaves_nothing() -> None:
    """A request under way ends by itself, and takes its connection along."""
    server = ScriptedServer([answer_and_hold(CHUNKED_HEAD)])
    async with server.tcp() as port:
        client = HttpxKubeClient(Connection(f"http://127.0.0.1:{port}"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.get, "/api", {}, JSON)
            await server.asked(1)
            await client.aclose()
            assert server.open == 1
            nursery.cancel_scope.cancel(reason="test")
        await server.left()


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", FailureKind.NOT_KUBERNETES, "not HTTP"),
        (
            whole(b"no gzip", OK_JSON + b"Content-Encoding: gzip\r\n"),
            FailureKind.NOT_KUBERNETES,
            "bad compression",
        ),
        (OK_JSON + b"Content-Length: 9\r\n\r\n{}", FailureKind.CUT, "connection lost"),
    ],
)
async def test_answers_that_are_none(data: bytes, kind: FailureKind, words: str) -> None:
    """Each has its kind of failure and names the server."""
    caught = await failure_of(ScriptedServer([answer(data)]))

    assert caught.failure.kind is kind
    assert words in caught.failure.message
    assert caught.failure.message.startswith("127.0.0.1:")


async def test_nobody_listens() -> None:
    """Connection refused, with host and port."""
    async with ScriptedServer([answer()]).tcp() as port:
        pass
    client = HttpxKubeClient(Connection(f"http://127.0.0.1:{port}"))
    with pytest.raises(KubeError) as caught:
        await client.get("/api", {}, JSON)

    assert caught.value.failure.kind is FailureKind.CONNECT
    assert caught.value.failure.message == f"127.0.0.1:{port}: Connection refused"


async def test_a_server_is_verified_by_the_name_that_was_given() -> None:
    """`tls-server-name` on both transports; without it the address must match."""
    server = ScriptedServer([answer(whole(b"{}"))])
    async with server.tcp(server_context("kube.test")) as port:
        url = f"https://127.0.0.1:{port}"
        named = HttpxKubeClient(Connection(url, ca=ca_pem(), tls_server_name="kube.test"))
        assert (await named.get("/api", {}, JSON)).body == b"{}"
        async with named.stream("/api", {}, JSON) as stream:
            assert await stream.receive_some() == b"{}"
        await named.aclose()
        unnamed = HttpxKubeClient(Connection(url, ca=ca_pem()))
        with pytest.raises(KubeError) as of_get:
            await unnamed.get("/api", {}, JSON)
        with pytest.raises(KubeError) as of_stream:
            async with unnamed.stream("/api", {}, JSON):
                raise AssertionError

    assert of_get.value.failure == of_stream.value.failure
    assert of_get.value.failure.kind is FailureKind.TLS
    assert "certificate not verified: " in of_get.value.failure.message


def refuse_handshakes(listener: socket.socket, count: int) -> None:
    """A server that demands a certificate, with its alerts: the standard library sends them."""
    context = server_context("127.0.0.1", client_ca="clients")
    for _ in range(count):
        accepted, _ = listener.accept()
        raw = accepted.dup()
        secured = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        with raw, secured:
            with suppress(ssl.SSLError):
                secured.do_handshake()
            # Closing before the request was read would reset the alert away.
            while raw.recv(65536):
                pass


async def test_a_server_that_wants_a_certificate_says_so() -> None:
    """After the handshake as seen from here, on both transports."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, refuse_handshakes, listener, 2)
            nobody = HttpxKubeClient(Connection(f"https://127.0.0.1:{port}", ca=ca_pem()))
            with pytest.raises(KubeError) as of_get:
                await nobody.get("/api", {}, JSON)
            with pytest.raises(KubeError) as of_stream:
                async with nobody.stream("/api", {}, JSON):
                    raise AssertionError

    for caught in (of_get, of_stream):
        assert caught.value.failure.kind is FailureKind.TLS
        assert "certificate required" in caught.value.failure.message


async def test_a_server_that_wants_a_certificate_gets_ours() -> None:
    """On both transports."""
    certificate, key = client_pair()
    credentials = Credentials(certificate=ClientCertificate(certificate, key))
    server = ScriptedServer([answer(whole(b"{}"))])
    async with server.tcp(server_context("127.0.0.1", client_ca="clients")) as port:
        url = f"https://127.0.0.1:{port}"
        client = HttpxKubeClient(Connection(url, ca=ca_pem(), credentials=credentials))
        assert (await client.get("/api", {}, JSON)).body == b"{}"
        async with client.stream("/api", {}, JSON) as stream:
            assert await stream.receive_some() == b"{}"
        await client.aclose()


async def test_an_answer_over_the_cap_is_a_failure() -> None:
    """It is read to its end without being kept, so memory never holds more than the cap."""
    server = ScriptedServer([answer(CHUNKED_HEAD + chunk(b"x" * 6) * 3 + chunk(b""))])
    async with server.tcp() as port:
        connection = Connection(f"http://127.0.0.1:{port}")
        client = HttpxKubeClient(connection, body_max_bytes=10)
        with pytest.raises(KubeError) as caught:
            await client.get("/api", {}, JSON)

    assert caught.value.failure.kind is FailureKind.SERVER
    assert "a body over the 10 bytes that are taken" in caught.value.failure.message
