"""A small server with twelve certificates, and clients that reach it in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest

from replay.apiserver import ApiServer, Model, definition
from tests.replay.http_client import Client, Lines

Dial = Callable[..., Awaitable[Client]]
CERTIFICATES = "/apis/cert-manager.io/v1/certificates"
IN_SHOP = "/apis/cert-manager.io/v1/namespaces/shop/certificates"
STREAMING = (
    f"{CERTIFICATES}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    "&allowWatchBookmarks=true&timeoutSeconds=300"
)


def small_model(history_limit: int = 1000) -> Model:
    """Twelve certificates: web-0 … web-5 in each of two namespaces."""
    model = Model(random=Random(7), history_limit=history_limit)
    crd = definition(
        "cert-manager.io",
        "Certificate",
        "certificates",
        versions=("v1", "v1beta1"),
        short_names=("cert",),
    )
    model.create("customresourcedefinitions", crd)
    for namespace in ("shop", "payments"):
        model.create("namespaces", {"metadata": {"name": namespace}})
        for index in range(6):
            meta = {"namespace": namespace, "name": f"web-{index}"}
            model.create("certificates", {"metadata": meta, "spec": {"index": index}})
    return model


@pytest.fixture
def server() -> ApiServer:
    """The server; a test asks for the mock clock itself, or runs in real time."""
    return ApiServer(small_model(), random=Random(7))


@pytest.fixture
async def dial(server: ApiServer) -> AsyncIterator[Dial]:
    """Give a new client of `server` at each call."""
    async with server.memory() as connect:

        async def make(token: str = "") -> Client:
            return Client(await connect(), token)

        yield make


async def watching(server: ApiServer, dial: Dial, path: str = CERTIFICATES) -> Lines:
    """A watch from now on a connection of its own."""
    rv = server.model.store.rv
    client = await dial()
    more = "&timeoutSeconds=300&allowWatchBookmarks=true"
    return await client.watch(f"{path}?watch=1&resourceVersion={rv}{more}")
