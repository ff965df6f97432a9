"""List and watch through a real HTTP proxy and a real SOCKS5 proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio

from orka.daemon.kube.client import HttpxKubeClient
from orka.daemon.kube.connection import Basic, Connection, Credentials, Proxy, StaticToken
from orka.daemon.kube.dial import dial_tcp
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.kube.http import METADATA_LIST_ACCEPT, METADATA_WATCH_ACCEPT
from replay.apiserver import ApiServer, definition
from tests.controlplane.fixture import ADMIN_TOKEN, binaries, control_plane
from tests.support.certificates import ca_pem, server_context
from tests.support.proxies import USER, microsocks, tinyproxy

CERTIFICATES = "/apis/cert-manager.io/v1/certificates"
NAME = "kube.test"  # in the server's certificate, and in no DNS
Start = Callable[[Path, Basic | None], AbstractContextManager[Proxy]]
PROXIES = [tinyproxy, microsocks]


def api_server() -> ApiServer:
    """Certificates, and one of them."""
    server = ApiServer(random=Random(7))
    crd = definition("cert-manager.io", "Certificate", "certificates")
    server.model.create("customresourcedefinitions", crd)
    create(server, "web")
    return server


def create(server: ApiServer, name: str) -> None:
    """One more."""
    meta = {"namespace": "shop", "name": name}
    server.model.create("certificates", {"metadata": meta, "spec": {}})


@asynccontextmanager
async def served(server: ApiServer, *, tls: bool) -> AsyncIterator[int]:
    """Its port on loopback; over TLS it is NAME and nobody else."""

    async def serve(stream: trio.abc.Stream) -> None:
        if tls:
            context = server_context(NAME)
            stream = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        with suppress(trio.BrokenResourceError):  # a client that does not trust us
            await server.serve_connection(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel(reason="the test is over")


class Dialled:
    """Connects, and keeps whereto."""

    def __init__(self) -> None:
        self.ports: set[int] = set()

    async def __call__(self, host: str, port: int) -> trio.abc.Stream:
        """A `Dial`."""
        self.ports.add(port)
        return await dial_tcp(host, port)


async def list_and_watch(connection: Connection, change: Callable[[], None]) -> set[int]:
    """Both, with a change in between; the ports that were connected to."""
    dialled = Dialled()
    client = HttpxKubeClient(connection, dial=dialled)
    listed = await client.get(CERTIFICATES, {}, METADATA_LIST_ACCEPT)
    assert b'"web"' in listed.body
    params = {"watch": "1", "resourceVersion": "0"}
    with trio.fail_after(10):
        async with client.stream(CERTIFICATES, params, METADATA_WATCH_ACCEPT) as stream:
            change()
            data = b""
            while b'"api"' not in data:
                piece = await stream.receive_some()
                assert piece, data
                data += piece
    await client.aclose()
    return dialled.ports


@pytest.mark.parametrize("user", [None, USER])
@pytest.mark.parametrize("start", PROXIES)
async def test_list_and_watch_over_tls_under_another_name(
    start: Start, user: Basic | None, tmp_path: Path
) -> None:
    """`tls-server-name` is the name inside the tunnel; nothing goes around the proxy."""
    server = api_server()
    async with served(server, tls=True) as port:
        with start(tmp_path, user) as proxy:
            connection = Connection(
                f"https://localhost:{port}",
                ca=ca_pem(),
                tls_server_name=NAME,
                proxy=proxy,
            )
            ports = await list_and_watch(connection, partial(create, server, "api"))

    assert ports == {proxy.port}


@pytest.mark.parametrize("start", PROXIES)
async def test_the_server_is_verified_inside_the_tunnel(start: Start, tmp_path: Path) -> None:
    """By the name in its URL, where it has no other; for both kinds of requests."""
    async with served(api_server(), tls=True) as port:
        with start(tmp_path, None) as proxy:
            connection = Connection(f"https://localhost:{port}", ca=ca_pem(), proxy=proxy)
            client = HttpxKubeClient(connection)
            with pytest.raises(KubeError) as unary:
                await client.get(CERTIFICATES, {}, METADATA_LIST_ACCEPT)
            with pytest.raises(KubeError) as watched:
                async with client.stream(CERTIFICATES, {}, METADATA_WATCH_ACCEPT):
                    pass
            await client.aclose()

    for caught in (unary, watched):
        assert caught.value.failure.kind is FailureKind.TLS
        assert f"localhost:{port}: certificate not verified" in caught.value.failure.message


@pytest.mark.parametrize("user", [None, USER])
@pytest.mark.parametrize("start", PROXIES)
async def test_list_and_watch_over_plain_http(
    start: Start, user: Basic | None, tmp_path: Path
) -> None:
    """An HTTP proxy is given the requests themselves, a SOCKS5 proxy a connection."""
    server = api_server()
    async with served(server, tls=False) as port:
        with start(tmp_path, user) as proxy:
            connection = Connection(f"http://localhost:{port}", proxy=proxy)
            ports = await list_and_watch(connection, partial(create, server, "api"))

    assert ports == {proxy.port}


@pytest.mark.parametrize(
    ("start", "words"),
    [(tinyproxy, "407 Proxy Authentication Required"), (microsocks, "authentication")],
)
async def test_a_proxy_that_refuses_us(start: Start, words: str, tmp_path: Path) -> None:
    """The failure names the proxy, not the server, and not the password."""
    with start(tmp_path, USER) as proxy:
        unknown = replace(proxy, basic=None)
        client = HttpxKubeClient(Connection("https://kube.test", ca=ca_pem(), proxy=unknown))
        with pytest.raises(KubeError) as caught:
            await client.get(CERTIFICATES, {}, METADATA_LIST_ACCEPT)
        await client.aclose()

    assert caught.value.failure.kind is FailureKind.CONNECT
    assert caught.value.failure.message.startswith(f"proxy 127.0.0.1:{proxy.port}: ")
    assert words in caught.value.failure.message


@pytest.mark.parametrize("start", PROXIES)
async def test_a_server_that_the_proxy_does_not_reach(start: Start, tmp_path: Path) -> None:
    """Its own words for it."""
    with start(tmp_path, None) as proxy:
        connection = Connection("https://127.0.0.1:1", ca=ca_pem(), proxy=proxy)
        client = HttpxKubeClient(connection)
        with pytest.raises(KubeError) as caught:
            await client.get(CERTIFICATES, {}, METADATA_LIST_ACCEPT)
        await client.aclose()

    message = caught.value.failure.message
    assert message.startswith(f"proxy 127.0.0.1:{proxy.port}: ")
    assert "refused" in message or "500" in message


@pytest.mark.e2e
@pytest.mark.parametrize("start", PROXIES)
async def test_a_real_api_server_behind_a_proxy(start: Start, tmp_path: Path) -> None:
    """List and watch of namespaces."""
    if await trio.to_thread.run_sync(binaries) is None:
        pytest.skip("no Go toolchain")
    plane_of = control_plane(tmp_path / "plane")
    plane = await trio.to_thread.run_sync(plane_of.__enter__)
    try:
        with start(tmp_path, USER) as proxy:
            connection = Connection(
                plane.server,
                ca=plane.ca.read_bytes(),
                credentials=Credentials(StaticToken(ADMIN_TOKEN)),
                tls_server_name="kubernetes.default.svc",
                proxy=proxy,
            )
            dialled = Dialled()
            client = HttpxKubeClient(connection, dial=dialled)
            path, params = "/api/v1/namespaces", {"watch": "1", "timeoutSeconds": "20"}
            listed = await client.get(path, {}, METADATA_LIST_ACCEPT)
            assert (listed.status, b'"default"' in listed.body) == (200, True)
            with trio.fail_after(30):
                async with client.stream(path, params, METADATA_WATCH_ACCEPT) as stream:
                    data = b""
                    while b'"kube-system"' not in data:
                        piece = await stream.receive_some()
                        assert piece, data
                        data += piece
            await client.aclose()
    finally:
        await trio.to_thread.run_sync(plane_of.__exit__, None, None, None)

    assert dialled.ports == {proxy.port}
