"""Users and rights: 401, 403 and their words."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from replay.apiserver import ApiServer
from tests.replay.conftest import CERTIFICATES, IN_SHOP, Dial, small_model
from tests.replay.http_client import Client


@pytest.fixture
def server() -> ApiServer:
    """A server that knows two users."""
    tokens = {"admin-token": "admin", "nobody-token": "nobody"}
    return ApiServer(small_model(), tokens=tokens, powerless=("nobody",))


@pytest.fixture
async def admin(dial: Dial) -> Client:
    """A client that may do everything."""
    return await dial("admin-token")


async def test_an_unknown_token_is_401(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Also on paths that are open to everybody."""
    client = await dial("who")

    response = await client.get(CERTIFICATES)
    ready = await client.get("/readyz")

    assert (response.status, response.json()["reason"]) == (401, "Unauthorized")
    assert ready.status == 401


async def test_without_a_token_one_is_anonymous(autojump_clock: MockClock, dial: Dial) -> None:
    """A missing token is 403 for system:anonymous, not 401; health stays open."""
    client = await dial()

    api = await client.get("/api")
    ready = await client.get("/readyz")

    assert api.status == 403
    assert api.json()["message"] == 'forbidden: User "system:anonymous" cannot get path "/api"'
    assert ready.status == 200


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            CERTIFICATES,
            (
                'certificates.cert-manager.io is forbidden: User "nobody" cannot list resource '
                '"certificates" in API group "cert-manager.io" at the cluster scope'
            ),
        ),
        (
            f"{IN_SHOP}?watch=1",
            (
                'certificates.cert-manager.io is forbidden: User "nobody" cannot watch resource '
                '"certificates" in API group "cert-manager.io" in the namespace "shop"'
            ),
        ),
        (
            f"{IN_SHOP}/web-0",
            (
                'certificates.cert-manager.io "web-0" is forbidden: User "nobody" cannot get '
                'resource "certificates" in API group "cert-manager.io" in the namespace "shop"'
            ),
        ),
        (
            "/api/v1/pods",
            (
                'pods is forbidden: User "nobody" cannot list resource "pods" in API group "" '
                "at the cluster scope"
            ),
        ),
        (
            "/apis/nope.io/v1/foos",
            (
                'foos.nope.io is forbidden: User "nobody" cannot list resource "foos" in API group '
                '"nope.io" at the cluster scope'
            ),
        ),
        ("/metrics", 'forbidden: User "nobody" cannot get path "/metrics"'),
    ],
)
async def test_a_user_without_rights_is_told_what_is_missing(
    autojump_clock: MockClock, dial: Dial, path: str, message: str
) -> None:
    """403 in the words of the real server, also where nothing is served."""
    client = await dial("nobody-token")

    response = await client.get(path)

    assert (response.status, response.json()["message"]) == (403, message)


async def test_a_user_without_rights_may_read_discovery(
    autojump_clock: MockClock, dial: Dial
) -> None:
    """Every authenticated user may."""
    client = await dial("nobody-token")

    assert (await client.get("/apis")).status == 200


async def test_rights_can_be_taken_and_given_back(
    autojump_clock: MockClock, server: ApiServer, admin: Client
) -> None:
    """Forbidding adds a row, allowing removes it."""
    server.forbid("certificates", user="admin")
    during = (await admin.get(CERTIFICATES)).status
    other = (await admin.get("/api/v1/pods")).status
    server.allow("certificates")

    assert (during, other, (await admin.get(CERTIFICATES)).status) == (403, 200, 200)


async def test_a_right_can_be_missing_for_one_verb_or_scope(
    autojump_clock: MockClock, server: ApiServer, admin: Client
) -> None:
    """Watch-only denials, and rights in single namespaces only."""
    server.forbid("certificates", verb="watch")
    listed = (await admin.get(CERTIFICATES)).status
    watched = (await admin.get(f"{CERTIFICATES}?watch=1")).status
    server.allow()
    server.forbid("certificates", cluster_wide=True)
    server.forbid("certificates", namespace="payments")
    wide = (await admin.get(CERTIFICATES)).status
    shop = (await admin.get(IN_SHOP)).status
    payments = (await admin.get(IN_SHOP.replace("shop", "payments"))).status

    assert (listed, watched) == (200, 403)
    assert (wide, shop, payments) == (403, 200, 403)


async def test_rights_can_be_any_function(autojump_clock: MockClock) -> None:
    """A callable decides by user and request."""
    server = ApiServer(small_model(), permit=lambda _user, request: request.name != "web-0")
    async with server.memory() as connect:
        client = Client(await connect())

        assert (await client.get(f"{IN_SHOP}/web-0")).status == 403
        assert (await client.get(f"{IN_SHOP}/web-1")).status == 200
