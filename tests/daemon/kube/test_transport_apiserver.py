"""The client and discovery against the bundled API server: in memory, over TCP, over TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import msgspec
import pytest
import trio

from orka.daemon.kube.client import HttpxKubeClient
from orka.daemon.kube.connection import Connection
from orka.daemon.kube.discovery import fetch
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.kube.http import (
    METADATA_LIST_ACCEPT,
    METADATA_WATCH_ACCEPT,
    ByteStream,
)
from orka.daemon.kube.transport import StreamTransport
from orka.daemon.model import UpstreamLedger
from replay.apiserver import ApiServer, definition

NETWORKS = ["memory", "tcp", "tls"]
CERTIFICATES = "/apis/cert-manager.io/v1/certificates"


def api_server() -> ApiServer:
    """Certificates, and one of them."""
    server = ApiServer(random=Random(7))
    crd = definition("cert-manager.io", "Certificate", "certificates", short_names=("cert",))
    server.model.create("customresourcedefinitions", crd)
    server.model.create(
        "certificates", {"metadata": {"namespace": "shop", "name": "web"}, "spec": {}}
    )
    return server


@asynccontextmanager
async def client_of(server: ApiServer, network: str) -> AsyncIterator[HttpxKubeClient]:
    """A client over one of the networks."""
    async with trio.open_nursery() as nursery, server.memory() as connect:

        async def dial(_host: str, _port: int) -> trio.abc.Stream:
            return await connect()

        if network == "memory":
            client = HttpxKubeClient(Connection("http://api"), dial=dial, unary=StreamTransport)
        else:
            serve = partial(server.serve_tcp, tls=network == "tls")
            endpoint = await nursery.start(serve)
            client = HttpxKubeClient(Connection(endpoint.url, ca=endpoint.ca_pem or None))
        yield client
        await client.aclose()
        nursery.cancel_scope.cancel(reason="the test is over")


async def until(stream: ByteStream, words: bytes) -> bytes:
    """Read until the words have arrived."""
    data = b""
    while words not in data:
        piece = await stream.receive_some()
        assert piece, data
        data += piece
    return data


async def rest_of(stream: ByteStream) -> bytes:
    """Read to the end."""
    data = b""
    while piece := await stream.receive_some():
        data += piece
    return data


async def listed_rv(client: HttpxKubeClient) -> str:
    """The resourceVersion of a list."""
    answer = await client.get(CERTIFICATES, {"limit": "500"}, METADATA_LIST_ACCEPT)
    assert answer.status == 200
    document = msgspec.json.decode(answer.body)
    assert document["kind"] == "PartialObjectMetadataList"
    assert [item["metadata"]["name"] for item in document["items"]] == ["web"]
    return str(document["metadata"]["resourceVersion"])


@pytest.mark.parametrize("network", NETWORKS)
async def test_discover_list_and_watch(network: str) -> None:
    """The main road; the server sees one watch, and it ends when we leave."""
    server = api_server()
    async with client_of(server, network) as client:
        catalog = await fetch(client, None, ledger=UpstreamLedger())
        resource = catalog.resolve("cert")
        assert catalog.first_crd() == resource
        assert await fetch(client, catalog, ledger=UpstreamLedger()) is catalog
        params = {"watch": "1", "resourceVersion": await listed_rv(client)}
        async with client.stream(resource.path, params, METADATA_WATCH_ACCEPT) as stream:
            assert stream.status == 200
            server.model.delete("certificates", "web", "shop")
            assert b'"PartialObjectMetadata"' in await until(stream, b'"DELETED"')

    assert [record.status for record in server.seen("watch", "certificates")] == [200]


@pytest.mark.parametrize("network", NETWORKS)
async def test_a_watch_that_ends_has_its_proper_end(network: str) -> None:
    """Then it is resumed without a word."""
    server = api_server()
    async with client_of(server, network) as client:
        params = {"watch": "1", "resourceVersion": await listed_rv(client)}
        async with client.stream(CERTIFICATES, params, METADATA_WATCH_ACCEPT) as stream:
            server.drop_watches()

            assert await rest_of(stream) == b""


@pytest.mark.parametrize("network", NETWORKS)
async def test_a_watch_that_is_cut_is_no_watch_that_ends(network: str) -> None:
    """Half a line must never pass for a whole one."""
    server = api_server()
    async with client_of(server, network) as client:
        params = {"watch": "1", "resourceVersion": await listed_rv(client)}
        async with client.stream(CERTIFICATES, params, METADATA_WATCH_ACCEPT) as stream:
            server.cut_mid_line()
            with pytest.raises(KubeError) as caught:
                await rest_of(stream)

    assert caught.value.failure.kind is FailureKind.CUT


@pytest.mark.parametrize("network", NETWORKS)
async def test_a_page_that_is_cut_is_no_page(network: str) -> None:
    """Unary answers as well."""
    server = api_server()
    server.cut_page()
    async with client_of(server, network) as client:
        with pytest.raises(KubeError) as caught:
            await client.get(CERTIFICATES, {}, METADATA_LIST_ACCEPT)
        await listed_rv(client)

    assert caught.value.failure.kind is FailureKind.CUT


@pytest.mark.parametrize("network", NETWORKS)
async def test_a_restarted_server_is_found_again(network: str) -> None:
    """Every connection was cut; the next request does not trip over a dead one."""
    server = api_server()
    async with client_of(server, network) as client:
        await listed_rv(client)
        server.restart()
        await listed_rv(client)


@pytest.mark.parametrize("network", NETWORKS)
async def test_an_unreachable_group_is_not_gone(network: str) -> None:
    """Aggregated discovery says stale; what was known of the group stays."""
    server = api_server()
    async with client_of(server, network) as client:
        catalog = await fetch(client, None, ledger=UpstreamLedger())
        server.stale_group("cert-manager.io")
        later = await fetch(client, catalog, ledger=UpstreamLedger())

    assert list(later.failed) == ["cert-manager.io/v1"]
    assert later.resolve("cert").gvk == "cert-manager.io/v1/Certificate"


async def test_crds_that_may_not_be_listed_are_guessed() -> None:
    """A user without rights still gets a catalog."""
    server = api_server()
    server.forbid("customresourcedefinitions")
    async with client_of(server, "memory") as client:
        catalog = await fetch(client, None, ledger=UpstreamLedger())

    assert catalog.crds is None
    assert catalog.first_crd().gvk == "cert-manager.io/v1/Certificate"


async def test_a_server_that_refuses_connections() -> None:
    """Over real TCP, on both transports."""
    server = api_server()
    async with client_of(server, "tcp") as client:
        server.refuse()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(KubeError) as of_get:
            await client.get(CERTIFICATES, {}, METADATA_LIST_ACCEPT)
        with pytest.raises(KubeError) as of_stream:
            async with client.stream(CERTIFICATES, {}, METADATA_WATCH_ACCEPT):
                raise AssertionError

    assert of_get.value.failure.kind is of_stream.value.failure.kind is FailureKind.CONNECT
    assert of_get.value.failure.message.endswith(": Connection refused")
