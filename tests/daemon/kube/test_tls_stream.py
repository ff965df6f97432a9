"""TLS over any stream, drained."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, memory_stream_pair

from orka.daemon.kube.connection import Connection
from orka.daemon.kube.tls import client_context
from orka.daemon.kube.tls_stream import RECORD_MAX_BYTES, DrainingTlsStream
from tests.support.certificates import ca_pem, server_context

HOST = "api.test"


def contexts(ca: str = "kube") -> ssl.SSLContext:
    """The client's side."""
    return client_context(Connection(f"https://{HOST}", ca=ca_pem(ca)))


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[DrainingTlsStream, trio.SSLStream[trio.abc.Stream]]]:
    """Both ends after the handshake."""
    ours, theirs = memory_stream_pair()
    client = DrainingTlsStream(ours, contexts(), HOST)
    server = trio.SSLStream[trio.abc.Stream](
        theirs, server_context(HOST), server_side=True, https_compatible=True
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        await client.do_handshake()
    yield client, server


async def test_bytes_go_both_ways() -> None:
    """Also more than one record of them."""
    async with connected() as (client, server):
        sent = bytes(range(256)) * 1000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_all, bytearray(sent))
            received = b""
            while len(received) < len(sent):
                received += await server.receive_some()
        await client.wait_send_all_might_not_block()

        assert received == sent
        assert repr(client) == "<DrainingTlsStream api.test TLSv1.3>"


async def test_all_records_that_have_arrived_come_in_one_read() -> None:
    """What makes a busy watch cheap."""
    async with connected() as (client, server):
        for n in range(50):
            await server.send_all(b"event %d\n" % n)

        assert (await client.receive_some()).count(b"\n") == 50


async def test_a_caller_may_ask_for_less() -> None:
    """The rest is kept, and given without waiting for the network."""
    async with connected() as (client, server):
        await server.send_all(b"x" * (RECORD_MAX_BYTES + 10))

        assert len(await client.receive_some(5)) == 5
        with assert_checkpoints():
            rest = await client.receive_some()
        assert len(rest) == RECORD_MAX_BYTES + 5


async def test_plaintext_before_the_end_comes_before_the_end() -> None:
    """Data and goodbye in one read; the end may be asked for again."""
    async with connected() as (client, server):
        await server.send_all(b"last words")
        await server.aclose()

        assert await client.receive_some() == b"last words"
        assert await client.receive_some() == b""
        assert await client.receive_some() == b""


async def test_an_end_without_goodbye_reads_as_an_end() -> None:
    """The HTTP framing above knows whether anything is missing."""
    async with connected() as (client, server):
        await server.send_all(b"last words")
        await server.transport_stream.aclose()

        assert await client.receive_some() == b"last words"
        assert await client.receive_some() == b""


async def test_closing_says_goodbye() -> None:
    """So that the server does not log a broken connection."""
    async with connected() as (client, server):
        await client.aclose()

        assert await server.receive_some() == b""


async def test_closing_does_not_mind_a_dead_peer() -> None:
    """Nor a second time."""
    async with connected() as (client, server):
        await server.transport_stream.aclose()
        await client.aclose()
        await client.aclose()


async def test_a_cancelled_close_still_closes() -> None:
    """The transport is closed whatever happens to the goodbye."""
    async with connected() as (client, server):
        with trio.CancelScope() as scope:
            scope.cancel(reason="test")
            await client.aclose()

        assert await server.receive_some() == b""


async def test_a_server_that_is_not_trusted_is_told_so() -> None:
    """Our error says why, its side gets the alert."""
    ours, theirs = memory_stream_pair()
    client = DrainingTlsStream(ours, contexts("other"), HOST)
    server = trio.SSLStream(theirs, server_context(HOST), server_side=True)
    alerts: list[str] = []

    async def serve() -> None:
        try:
            await server.do_handshake()
            await server.receive_some()
        except trio.BrokenResourceError as exc:
            alerts.append(str(exc.__cause__))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.do_handshake()

    assert "alert" in alerts[0].lower()


async def test_a_server_that_hangs_up_in_the_handshake_is_an_error(
    autojump_clock: MockClock,
) -> None:
    """Not an endless wait."""
    ours, theirs = memory_stream_pair()
    await theirs.aclose()
    client = DrainingTlsStream(ours, contexts(), HOST)

    with pytest.raises((ssl.SSLError, trio.BrokenResourceError)):
        await client.do_handshake()


async def test_a_record_that_is_none_is_an_error() -> None:
    """ssl.SSLError passes through; the transport maps it."""
    async with connected() as (client, server):
        await server.transport_stream.send_all(b"plain text, not a record at all")

        with pytest.raises(ssl.SSLError):
            await client.receive_some()
