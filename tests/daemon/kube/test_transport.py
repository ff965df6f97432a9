"""The client over its own transport, in memory."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orka.daemon.kube.client import HttpxKubeClient
from orka.daemon.kube.connection import Connection, Credentials, StaticToken, TokenFile
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.kube.http import METADATA_WATCH_ACCEPT
from orka.daemon.kube.transport import CLOSE_SECONDS, StreamTransport
from orka.proto.errors import ConfigError
from tests.support.kubeconfigs import Files
from tests.support.scripted_http import (
    CHUNKED_HEAD,
    Dial,
    ScriptedServer,
    answer,
    answer_and_hold,
    chunk,
    whole,
)

API = Connection("http://api.test:8080", credentials=Credentials(StaticToken("t0ken")))


def client_over(
    dial: Dial, connection: Connection = API, files: Files | None = None
) -> HttpxKubeClient:
    """Every request through `dial`."""
    read = (files or Files({})).read
    return HttpxKubeClient(connection, dial=dial, unary=StreamTransport, read=read)


def head_of(request: bytes) -> tuple[str, dict[str, str]]:
    """Request line and headers."""
    line, *rest = request.decode().removesuffix("\r\n\r\n").split("\r\n")
    pairs = (header.split(": ", 1) for header in rest)
    return line, {name.lower(): value for name, value in pairs}


async def test_a_get_is_one_whole_answer() -> None:
    """Status, lower-case headers, body; and what the server was asked."""
    server = ScriptedServer(
        [answer(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 2\r\n\r\n{}')]
    )
    async with server.memory() as dial:
        client = client_over(dial, replace(API, path_prefix="/k8s"))
        response = await client.get("/api/v1/pods", {"limit": "500"}, "application/json")
        await client.aclose()
    line, headers = head_of(server.requests[0])

    assert (response.status, response.headers["etag"], response.body) == (200, '"x"', b"{}")
    assert line == "GET /k8s/api/v1/pods?limit=500 HTTP/1.1"
    assert headers["host"] == "api.test:8080"
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "gzip"
    assert headers["authorization"] == "Bearer t0ken"
    assert headers["user-agent"].startswith("orkad/")
    assert "if-none-match" not in headers
    assert server.open == 0


async def test_an_etag_is_asked_with() -> None:
    """And 304 is an answer like any other."""
    server = ScriptedServer([answer(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n')])
    async with server.memory() as dial:
        response = await client_over(dial).get("/apis", {}, "application/json", etag='"x"')

    assert (response.status, response.body) == (304, b"")
    assert head_of(server.requests[0])[1]["if-none-match"] == '"x"'


async def test_compression_can_be_switched_off() -> None:
    """`disable-compression` in the kubeconfig."""
    server = ScriptedServer([answer(whole(b"{}"))])
    async with server.memory() as dial:
        client = client_over(dial, replace(API, disable_compression=True))
        await client.get("/api", {}, "application/json")

    assert head_of(server.requests[0])[1]["accept-encoding"] == "identity"


async def test_an_error_status_is_an_answer_and_redirects_are_not_followed() -> None:
    """Our credentials go to the one server that they are for."""
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\nContent-Length: 0\r\n\r\n"
    server = ScriptedServer([answer(redirect), answer(whole(b"no", b"HTTP/1.1 403 Forbidden\r\n"))])
    async with server.memory() as dial:
        client = client_over(dial)
        statuses = [(await client.get("/api", {}, "application/json")).status for _ in range(2)]

    assert statuses == [302, 403]
    assert server.connections == 2


async def test_cookies_are_not_kept() -> None:
    """Nothing but the kubeconfig says who we are."""
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\n"
    server = ScriptedServer([answer(whole(b"", cookie))])
    async with server.memory() as dial:
        client = client_over(dial)
        for _ in range(2):
            await client.get("/api", {}, "application/json")

    assert "cookie" not in head_of(server.requests[1])[1]


async def test_each_request_has_the_token_of_its_moment(autojump_clock: MockClock) -> None:
    """A rotated token file is used without a new client."""
    server = ScriptedServer([answer(whole(b"{}"))])
    files = Files({"/token": "one"})
    connection = replace(API, credentials=Credentials(TokenFile("/token")))
    async with server.memory() as dial:
        client = client_over(dial, connection, files)
        await client.get("/api", {}, "application/json")
        files.content["/token"] = "two"
        await trio.sleep(60)
        await client.get("/api", {}, "application/json")

    tokens = [head_of(request)[1]["authorization"] for request in server.requests]
    assert tokens == ["Bearer one", "Bearer two"]


async def test_without_a_token_nothing_is_sent() -> None:
    """Neither as a get nor as a stream."""
    connection = replace(API, credentials=Credentials(TokenFile("/gone")))
    server = ScriptedServer([answer(whole(b"{}"))])
    async with server.memory() as dial:
        client = client_over(dial, connection)
        with pytest.raises(KubeError, match="token file /gone"):
            await client.get("/api", {}, "application/json")
        with pytest.raises(KubeError, match="token file /gone"):
            async with client.stream("/api", {}, "application/json"):
                raise AssertionError

    assert server.connections == 0


async def test_a_stream_is_there_with_its_headers() -> None:
    """Before the first event; then each read gives what has arrived."""
    server = ScriptedServer([answer_and_hold(CHUNKED_HEAD, chunk(b"a\n"), chunk(b"b\n"))])
    async with server.memory() as dial:
        client = client_over(dial)
        async with client.stream("/api/v1/pods", {"watch": "1"}, METADATA_WATCH_ACCEPT) as stream:
            assert stream.status == 200
            assert stream.headers["content-type"] == "application/json"
            reads = [await stream.receive_some(), await stream.receive_some()]
    line, headers = head_of(server.requests[0])

    assert reads == [b"a\n", b"b\n"]
    assert line == "GET /api/v1/pods?watch=1 HTTP/1.1"
    assert headers["accept"] == METADATA_WATCH_ACCEPT
    assert headers["accept-encoding"] == "identity"
    assert headers["connection"] == "close"
    assert headers["authorization"] == "Bearer t0ken"
    assert server.open == 0


@pytest.mark.parametrize("why", ["left", "failed", "cancelled"])
async def test_leaving_a_stream_closes_its_connection(why: str) -> None:
    """Whatever the reason."""
    server = ScriptedServer([answer_and_hold(CHUNKED_HEAD)])
    async with server.memory() as dial:
        client = client_over(dial)

        async def watch() -> None:
            async with client.stream("/api/v1/pods", {}, "application/json") as stream:
                if why == "failed":
                    raise ZeroDivisionError
                if why == "cancelled":
                    await stream.receive_some()

        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(swallow_zero_division, watch)
                await wait_all_tasks_blocked()
                scope.cancel(reason="test")
        await server.left()

        assert server.connections == 1


async def swallow_zero_division(watch: object) -> None:
    """Run a task that fails on purpose."""
    assert callable(watch)
    try:
        await watch()
    except ZeroDivisionError:
        await trio.lowlevel.checkpoint()


async def test_a_request_given_up_leaves_nothing_open(autojump_clock: MockClock) -> None:
    """Cancelled at each place where it waits: dialling, sending, the head, the body."""

    async def silent(server: ScriptedServer, stream: trio.abc.Stream) -> None:
        await server.request(stream)
        while await stream.receive_some():
            pass

    for script in (silent, answer_and_hold(CHUNKED_HEAD + chunk(b"x"))):
        server = ScriptedServer([script])
        async with server.memory() as dial:

            async def slow_dial(host: str, port: int, dial: Dial = dial) -> trio.abc.Stream:
                await trio.sleep(5)
                return await dial(host, port)

            for seconds in (1, 7):
                client = client_over(slow_dial)
                with trio.move_on_after(seconds) as scope:
                    await client.get("/api", {}, "application/json")
                assert scope.cancelled_caught
                with trio.move_on_after(seconds) as scope:
                    async with client.stream("/api", {}, "application/json") as stream:
                        while await stream.receive_some():
                            pass
                assert scope.cancelled_caught
                await client.aclose()
            await server.left()

            assert server.connections == 2


async def test_a_goodbye_that_cannot_be_sent_is_not_waited_for(autojump_clock: MockClock) -> None:
    """A hung peer does not hold up the one who leaves."""

    class HungSender(trio.abc.SendStream):
        def __init__(self, stream: trio.abc.Stream) -> None:
            self.stream = stream

        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            await self.stream.send_all(data)

        async def wait_send_all_might_not_block(self) -> None:
            await self.stream.wait_send_all_might_not_block()

        async def aclose(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                await self.stream.aclose()

    server = ScriptedServer([answer_and_hold(CHUNKED_HEAD)])
    async with server.memory() as dial:

        async def hung_dial(host: str, port: int) -> trio.abc.Stream:
            stream = await dial(host, port)
            return trio.StapledStream(HungSender(stream), stream)

        async with client_over(hung_dial).stream("/api", {}, "application/json"):
            started = trio.current_time()

        assert trio.current_time() - started == CLOSE_SECONDS


async def test_an_encoding_that_cannot_be_undone_closes_the_stream() -> None:
    """Raised on opening, with nothing left open."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n"
    server = ScriptedServer([answer_and_hold(head)])
    async with server.memory() as dial:
        with pytest.raises(KubeError) as caught:
            async with client_over(dial).stream("/api", {}, "application/json"):
                raise AssertionError
        await server.left()

    assert caught.value.failure.kind is FailureKind.NOT_KUBERNETES


async def test_a_lost_connection_of_its_own_is_not_retried() -> None:
    """It was new, so it says something about the server."""
    server = ScriptedServer([answer()])
    async with server.memory() as dial:
        with pytest.raises(KubeError) as caught:
            await client_over(dial).get("/api", {}, "application/json")

    assert caught.value.failure.kind is FailureKind.CUT
    assert server.connections == 1


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (httpx.ConnectTimeout("slow"), FailureKind.TIMEOUT, "no connection within 10 s"),
        (httpx.LocalProtocolError("bad header"), FailureKind.SERVER, "request not sent"),
        (httpx.CloseError("gone"), FailureKind.CUT, "connection lost: gone"),
    ],
)
async def test_no_error_of_httpx_gets_out(error: Exception, kind: FailureKind, words: str) -> None:
    """Those that the other tests cannot bring about on real connections."""

    async def fail(_request: httpx.Request) -> httpx.Response:
        await trio.lowlevel.checkpoint()
        raise error

    client = HttpxKubeClient(API, unary=lambda *_: httpx.MockTransport(fail))
    with pytest.raises(KubeError) as caught:
        await client.get("/api", {}, "application/json")

    assert caught.value.failure.kind is kind
    assert caught.value.failure.message.startswith(f"api.test:8080: {words}")


async def test_a_path_that_cannot_be_sent_is_a_failure() -> None:
    """A hostile name in a discovery document, not a crash."""
    async with ScriptedServer([answer()]).memory() as dial:
        with pytest.raises(KubeError, match="request not sent") as caught:
            await client_over(dial).get("/api/v1/x\n", {}, "application/json")

    assert caught.value.failure.kind is FailureKind.SERVER


def test_tls_material_is_checked_before_anything_is_opened() -> None:
    """A broken CA is the user's to repair, not a reason to retry."""
    with pytest.raises(ConfigError):
        HttpxKubeClient(Connection("https://api.test", ca=b"broken"))


def test_no_repr_shows_a_secret() -> None:
    """Logs may print a client."""
    client = HttpxKubeClient(API)

    assert "t0ken" not in repr(client)
    assert "http://api.test:8080" in repr(client)
    assert (
        repr(StreamTransport(API, None, trio.open_tcp_stream)) == "<StreamTransport api.test:8080>"
    )
