"""Connecting, and what is said when that fails."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from orka.daemon.kube.connection import Connection
from orka.daemon.kube.dial import (
    CONNECT_SECONDS,
    TLS_SECONDS,
    connect,
    dial_tcp,
    lost_failure,
    where_of,
)
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.kube.tls import client_context
from tests.support.certificates import ca_pem, server_context
from tests.support.scripted_http import Dial, ScriptedServer, answer

PLAIN = Connection("http://api.test:8080")
SECURE = Connection("https://api.test:6443", ca=ca_pem())


def failing(error: BaseException) -> Dial:
    """A dial that raises."""

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise error

    return dial


async def refusal(connection: Connection, dial: Dial) -> KubeError:
    """What connecting raises."""
    context = client_context(connection) if connection.tls else None
    with pytest.raises(KubeError) as caught:
        await connect(connection, context, dial)
    return caught.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "api.test:8080: Connection refused"),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "api.test:8080: name not resolved: Name or service not known",
        ),
        (UnicodeError("label too long"), "api.test:8080: label too long"),
        (trio.BrokenResourceError("tunnel closed"), "api.test:8080: tunnel closed"),
    ],
)
async def test_no_connection(error: BaseException, words: str) -> None:
    """The system's reason, and who was not reached."""
    caught = await refusal(PLAIN, failing(error))

    assert caught.failure.kind is FailureKind.CONNECT
    assert caught.failure.message == words


async def test_the_reason_is_found_below_many_attempts() -> None:
    """A name with several addresses fails once per address."""
    error = OSError("all attempts failed")
    error.__cause__ = ExceptionGroup(
        "", [OSError(errno.EHOSTUNREACH, "x"), OSError(errno.ECONNREFUSED, "x")]
    )
    caught = await refusal(PLAIN, failing(error))

    assert caught.failure.message == "api.test:8080: No route to host"


async def test_a_connection_that_does_not_come(autojump_clock: MockClock) -> None:
    """Given up after the deadline of connecting."""

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    caught = await refusal(PLAIN, dial)

    assert trio.current_time() == CONNECT_SECONDS
    assert caught.failure.kind is FailureKind.TIMEOUT
    assert caught.failure.message == "api.test:8080: no connection within 10 s"


async def test_a_handshake_that_does_not_end(autojump_clock: MockClock) -> None:
    """Given up after its deadline, and the connection is closed."""
    ours, theirs = memory_stream_pair()

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return ours

    caught = await refusal(SECURE, dial)

    assert trio.current_time() == TLS_SECONDS
    assert caught.failure.message == "api.test:6443: no TLS handshake within 10 s"
    while await theirs.receive_some():
        pass


async def test_a_cancelled_handshake_closes_the_connection() -> None:
    """Whoever cancels it."""
    ours, theirs = memory_stream_pair()

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return ours

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connect, SECURE, client_context(SECURE), dial)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel(reason="test")

    while await theirs.receive_some():
        pass


async def test_a_server_is_verified_by_its_name() -> None:
    """The failure says what is wrong and with whom."""
    server = ScriptedServer([answer()])
    async with server.tcp(server_context("api.test")) as port:
        wrong_name = await refusal(Connection(f"https://127.0.0.1:{port}", ca=ca_pem()), dial_tcp)
        wrong_ca = await refusal(
            Connection(f"https://127.0.0.1:{port}", ca=ca_pem("other"), tls_server_name="api.test"),
            dial_tcp,
        )
        named = Connection(f"https://127.0.0.1:{port}", ca=ca_pem(), tls_server_name="api.test")
        stream = await connect(named, client_context(named), dial_tcp)
        await stream.aclose()

    assert wrong_name.failure.kind is wrong_ca.failure.kind is FailureKind.TLS
    assert f"127.0.0.1:{port}: certificate not verified: " in wrong_name.failure.message
    assert "mismatch" in wrong_name.failure.message
    assert "unable to get local issuer certificate" in wrong_ca.failure.message


async def test_plain_http_behind_https() -> None:
    """OpenSSL's reason in words."""

    async def plain(_server: ScriptedServer, stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with ScriptedServer([plain]).memory() as dial:
        caught = await refusal(SECURE, dial)

    assert caught.failure.kind is FailureKind.TLS
    assert caught.failure.message == "api.test:6443: TLS: wrong version number"


async def test_a_server_that_hangs_up_in_the_handshake() -> None:
    """A load balancer without a backend."""

    async def hang_up(_server: ScriptedServer, stream: trio.abc.Stream) -> None:
        await stream.receive_some()

    async with ScriptedServer([hang_up]).memory() as dial:
        caught = await refusal(SECURE, dial)

    assert caught.failure.kind is FailureKind.TLS
    assert caught.failure.message.endswith("hung up during the TLS handshake")


async def test_real_connections_are_watched() -> None:
    """A peer that vanished is found within a minute, though TCP alone would take hours."""
    async with ScriptedServer([answer()]).tcp() as port:
        stream = await dial_tcp("127.0.0.1", port)
        assert isinstance(stream, trio.SocketStream)
        options = [
            stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
            stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
            stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
            stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        ]
        await stream.aclose()

    assert options == [1, 30, 10, 3, 30_000]


def test_a_connection_that_breaks_is_cut_unless_tls_says_why() -> None:
    """A reset, an end; or an alert about our certificate."""
    broken = trio.BrokenResourceError("socket connection broken")
    broken.__cause__ = ConnectionResetError(errno.ECONNRESET, "x")
    alert = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] x")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"

    assert str(lost_failure("a:1", broken)) == "cut: a:1: connection lost: Connection reset by peer"
    assert str(lost_failure("a:1", alert)) == "tls: a:1: TLS: tlsv13 alert certificate required"
    assert lost_failure("a:1", ssl.SSLEOFError(8, "EOF")).kind is FailureKind.CUT


def test_addresses_are_written_with_brackets() -> None:
    """As in URLs."""
    assert where_of(Connection("https://[fd00::1]")) == "[fd00::1]:443"
