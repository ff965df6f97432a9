"""What is said to a proxy, and what is made of its answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from trio.testing import memory_stream_pair

from orka.daemon.kube.connection import Basic, Connection, Proxy
from orka.daemon.kube.tunnel import (
    HEAD_MAX_BYTES,
    ProxyRefused,
    forwarding,
    forwards,
    open_tunnel,
)

USER = Basic("u", "p")
HTTP = Proxy("http", "proxy.test", 3128)
SOCKS = Proxy("socks5", "proxy.test", 1080)
OFFER, OFFER_USER = b"\x05\x01\x00", b"\x05\x02\x00\x02"
NO_AUTH, USER_AUTH = b"\x05\x00", b"\x05\x02"
CONNECT_NAME = b"\x05\x01\x00\x03\x08api.test\x19\x2b"
BOUND_V4 = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


async def tunnelled(
    proxy: Proxy,
    talk: Sequence[tuple[bytes, bytes]],
    *,
    host: str = "api.test",
    hang_up: bool = False,
) -> bytes:
    """Open one through a proxy that expects and answers as `talk` has it, one byte at a time.

    What the server would then say first, "hello", is returned.
    """
    ours, theirs = memory_stream_pair()

    async def serve() -> None:
        for expected, answer in talk:
            said = b""
            while len(said) < len(expected):
                said += await theirs.receive_some(1)
            assert said == expected
            for index in range(len(answer)):
                await theirs.send_all(answer[index : index + 1])
        if hang_up:
            await theirs.aclose()
            return
        await trio.testing.wait_all_tasks_blocked()
        await theirs.send_all(b"hello")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await open_tunnel(ours, proxy, host, 6443)
        return bytes(await ours.receive_some())


async def refused(
    proxy: Proxy, talk: Sequence[tuple[bytes, bytes]], *, host: str = "api.test"
) -> str:
    """The words of the refusal."""
    with pytest.RaisesGroup(ProxyRefused) as caught:
        await tunnelled(proxy, talk, host=host, hang_up=True)
    return str(caught.value.exceptions[0])


CONNECT = b"CONNECT api.test:6443 HTTP/1.1\r\nHost: api.test:6443\r\n"


async def test_an_http_proxy_is_asked_to_connect() -> None:
    """The answer's headers are read and no byte behind them."""
    talk = [(CONNECT + b"\r\n", b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n")]

    assert await tunnelled(HTTP, talk) == b"hello"


async def test_an_http_proxy_is_told_who_we_are() -> None:
    """With Basic; the address of a server in brackets, a name as DNS has it."""
    asked = b"CONNECT [fd00::1]:6443 HTTP/1.1\r\nHost: [fd00::1]:6443\r\n"
    asked += b"Proxy-Authorization: Basic dTpw\r\n\r\n"
    proxy = Proxy("https", "proxy.test", 443, USER)
    assert await tunnelled(proxy, [(asked, b"HTTP/1.1 200\r\n\r\n")], host="fd00::1") == b"hello"

    asked = CONNECT.replace(b"api.test", b"xn--bcher-kva.test") + b"\r\n"
    assert await tunnelled(HTTP, [(asked, b"HTTP/1.1 200 OK\r\n\r\n")], host="bücher.test")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 403 Filtered\x1b[2J\r\n\r\n", "403 Filtered?[2J"),
        (b"HTTP/1.1 407\r\n\r\n", "407"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "204 No Content"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not an HTTP proxy"),
        (b"", "hung up without an answer to CONNECT"),
        (b"HTTP/1.1 200", "hung up without an answer to CONNECT"),
    ],
)
async def test_an_http_proxy_that_does_not_connect(answer: bytes, words: str) -> None:
    """Its own status line, without what would move a terminal's cursor."""
    assert await refused(HTTP, [(CONNECT + b"\r\n", answer)]) == words


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "sent more than its answer to CONNECT"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * HEAD_MAX_BYTES, "over 16384 bytes of headers"),
    ],
)
async def test_an_http_proxy_that_says_too_much(answer: bytes, words: str) -> None:
    """Headers are bounded; and no server speaks first."""
    ours, theirs = memory_stream_pair()
    await theirs.send_all(answer)
    with pytest.raises(ProxyRefused, match=words):
        await open_tunnel(ours, HTTP, "api.test", 6443)


@pytest.mark.parametrize(
    "bound",
    [
        BOUND_V4,
        b"\x05\x00\x00\x04" + bytes(18),
        b"\x05\x00\x00\x03\x04host\x00\x50",
    ],
)
async def test_a_socks_proxy_is_given_the_name(bound: bytes) -> None:
    """Only the proxy looks it up; where it connects from does not matter."""
    assert await tunnelled(SOCKS, [(OFFER, NO_AUTH), (CONNECT_NAME, bound)]) == b"hello"


@pytest.mark.parametrize(
    ("host", "address"),
    [("10.0.0.1", b"\x01\x0a\x00\x00\x01"), ("fd00::1", b"\x04\xfd\x00" + bytes(13) + b"\x01")],
)
async def test_a_socks_proxy_is_given_an_address(host: str, address: bytes) -> None:
    """As the bytes it is."""
    asked = b"\x05\x01\x00" + address + b"\x19\x2b"

    assert await tunnelled(SOCKS, [(OFFER, NO_AUTH), (asked, BOUND_V4)], host=host) == b"hello"


async def test_a_socks_proxy_is_told_who_we_are_if_it_wants_to_know() -> None:
    """By name and password."""
    proxy = Proxy("socks5h", "proxy.test", 1080, USER)
    with_user = [(OFFER_USER, USER_AUTH), (b"\x01\x01u\x01p", b"\x01\x00")]

    assert await tunnelled(proxy, [*with_user, (CONNECT_NAME, BOUND_V4)]) == b"hello"
    assert await tunnelled(proxy, [(OFFER_USER, NO_AUTH), (CONNECT_NAME, BOUND_V4)]) == b"hello"


@pytest.mark.parametrize(
    ("basic", "talk", "words"),
    [
        (None, [(OFFER, b"\x05\xff")], "wants another authentication than we have"),
        (None, [(OFFER, USER_AUTH)], "wants another authentication than we have"),
        (None, [(OFFER, b"\x05\x09")], "not SOCKS5"),
        (None, [(OFFER, b"\x05")], "hung up during the SOCKS5 handshake"),
        (
            USER,
            [(OFFER_USER, USER_AUTH), (b"\x01\x01u\x01p", b"\x01\x01")],
            "refused the user name or password",
        ),
        (
            None,
            [(OFFER, NO_AUTH), (CONNECT_NAME, b"\x05\x05\x00\x01" + bytes(6))],
            "connection refused",
        ),
        (
            None,
            [(OFFER, NO_AUTH), (CONNECT_NAME, b"\x05\x02\x00\x01" + bytes(6))],
            "connection not allowed by ruleset",
        ),
        (None, [(OFFER, NO_AUTH), (CONNECT_NAME, b"\x05\x77\x00\x01" + bytes(6))], "not SOCKS5"),
        (None, [(OFFER, NO_AUTH), (CONNECT_NAME, b"HTTP/1.1")], "not SOCKS5"),
    ],
)
async def test_a_socks_proxy_that_does_not_connect(
    basic: Basic | None, talk: Sequence[tuple[bytes, bytes]], words: str
) -> None:
    """Its reason in words."""
    assert await refused(Proxy("socks5", "proxy.test", 1080, basic), talk) == words


async def test_what_socks_cannot_say_is_not_sent() -> None:
    """Its lengths are one byte."""
    assert await refused(SOCKS, [], host="a" * 256) == "a name or password over 255 bytes"


@pytest.mark.parametrize(
    ("server", "proxy", "prefix", "lines"),
    [
        ("http://a:1", None, b"", []),
        ("https://a:1", HTTP, b"", []),
        ("http://a:1", SOCKS, b"", []),
        ("http://a:1", HTTP, b"http://a:1", []),
        (
            "http://a:1",
            Proxy("https", "p", 1, USER),
            b"http://a:1",
            [b"Proxy-Authorization: Basic dTpw"],
        ),
    ],
)
def test_requests_themselves_go_to_http_proxies_of_http_servers(
    server: str, proxy: Proxy | None, prefix: bytes, lines: list[bytes]
) -> None:
    """All else goes through a tunnel, and the proxy's password to nobody but the proxy."""
    connection = Connection(server, proxy=proxy)

    assert forwarding(connection) == (prefix, lines)
    assert forwards(connection) is bool(prefix)
