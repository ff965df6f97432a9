"""A stream to a proxy to one that ends at the server: HTTP CONNECT, or SOCKS5.

Names are never looked up here: where a proxy is needed, only the proxy may know them.
"""

from __future__ import annotations

import re
from base64 import b64encode

import trio
from socksio.exceptions import SOCKSError
from socksio.socks5 import (
    SOCKS5AType,
    SOCKS5AuthMethod,
    SOCKS5AuthMethodsRequest,
    SOCKS5AuthReply,
    SOCKS5Command,
    SOCKS5CommandRequest,
    SOCKS5Connection,
    SOCKS5Reply,
    SOCKS5ReplyCode,
    SOCKS5UsernamePasswordReply,
    SOCKS5UsernamePasswordRequest,
)

from orka.daemon.kube.connection import Basic, Connection, Proxy
from orka.daemon.kube.urls import ascii_host

HEAD_MAX_BYTES = 16 * 1024  # of a CONNECT's answer; API servers' own heads are below 2 KiB
STATUS_MAX_CHARS = 200  # of a proxy's own words in ours
SOCKS_TEXT_MAX_BYTES = 255  # its lengths are one byte
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (?P<code>[0-9]{3})(?: (?P<words>[^\r\n]*))?\r?\n")
_LENGTHS = {SOCKS5AType.IPV4_ADDRESS: 4, SOCKS5AType.IPV6_ADDRESS: 16}


class ProxyRefused(Exception):  # noqa: N818 -- an answer of no, not a fault
    """The proxy did not make the connection; the text has its own words."""


def forwards(connection: Connection) -> bool:
    """Whether each request itself goes to the proxy: http:// servers behind HTTP proxies.

    Proxies allow CONNECT to few ports, and port 80 is seldom one of them.
    """
    proxy = connection.proxy
    return proxy is not None and proxy.scheme in ("http", "https") and not connection.tls


def forwarding(connection: Connection) -> tuple[bytes, list[bytes]]:
    """What such a request has before its path, and its header lines for the proxy."""
    proxy = connection.proxy
    if proxy is None or not forwards(connection):
        return b"", []
    return connection.server.encode("ascii"), _authorization(proxy)


async def open_tunnel(stream: trio.abc.Stream, proxy: Proxy, host: str, port: int) -> None:
    """Have the proxy at the other end connect `stream` to `host`; the caller closes it.

    Raises ProxyRefused, and what the stream raises.
    """
    host = ascii_host(host)
    if proxy.scheme in ("http", "https"):
        await _http_connect(stream, proxy, host, port)
        return
    try:
        await _socks5(stream, proxy.basic, host, port)
    except (SOCKSError, ValueError) as exc:
        raise ProxyRefused("not SOCKS5") from exc


async def _http_connect(stream: trio.abc.Stream, proxy: Proxy, host: str, port: int) -> None:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1".encode(), f"Host: {target}".encode()]
    await stream.send_all(b"\r\n".join([*lines, *_authorization(proxy), b"", b""]))
    head = b""
    while b"\r\n\r\n" not in head:
        data = await stream.receive_some(HEAD_MAX_BYTES)
        if not data:
            raise ProxyRefused("hung up without an answer to CONNECT")
        head += data
        if len(head) > HEAD_MAX_BYTES:
            raise ProxyRefused(f"answered CONNECT with over {HEAD_MAX_BYTES} bytes of headers")
    status = _STATUS_LINE.match(head)
    if status is None:
        raise ProxyRefused("not an HTTP proxy")
    if status["code"] != b"200":
        words = f"{status['code'].decode()} {(status['words'] or b'').decode('latin-1')}"
        shown = "".join(c if c.isprintable() else "?" for c in words[:STATUS_MAX_CHARS])
        raise ProxyRefused(shown.strip())
    if not head.endswith(b"\r\n\r\n"):
        # A server waits for us to begin, in TLS and in HTTP.
        raise ProxyRefused("sent more than its answer to CONNECT")


def _authorization(proxy: Proxy) -> list[bytes]:
    if proxy.basic is None:
        return []
    pair = f"{proxy.basic.username}:{proxy.basic.password}".encode()
    return [b"Proxy-Authorization: Basic " + b64encode(pair)]


async def _socks5(stream: trio.abc.Stream, basic: Basic | None, host: str, port: int) -> None:
    for text in (host, basic.username if basic else "", basic.password if basic else ""):
        if len(text.encode()) > SOCKS_TEXT_MAX_BYTES:
            raise ProxyRefused(f"a name or password over {SOCKS_TEXT_MAX_BYTES} bytes")
    socks = SOCKS5Connection()
    methods = [SOCKS5AuthMethod.NO_AUTH_REQUIRED]
    if basic is not None:
        methods.append(SOCKS5AuthMethod.USERNAME_PASSWORD)
    socks.send(SOCKS5AuthMethodsRequest(methods))
    await stream.send_all(socks.data_to_send())
    reply = socks.receive_data(await _exactly(stream, 2))
    assert isinstance(reply, SOCKS5AuthReply)
    if reply.method not in methods:
        raise ProxyRefused("wants another authentication than we have")
    if basic is not None and reply.method == SOCKS5AuthMethod.USERNAME_PASSWORD:
        pair = (basic.username.encode(), basic.password.encode())
        socks.send(SOCKS5UsernamePasswordRequest(*pair))
        await stream.send_all(socks.data_to_send())
        accepted = socks.receive_data(await _exactly(stream, 2))
        assert isinstance(accepted, SOCKS5UsernamePasswordReply)
        if not accepted.success:
            raise ProxyRefused("refused the user name or password")
    socks.send(SOCKS5CommandRequest.from_address(SOCKS5Command.CONNECT, (host, port)))
    await stream.send_all(socks.data_to_send())
    answer = socks.receive_data(await _socks5_reply(stream))
    assert isinstance(answer, SOCKS5Reply)
    if answer.reply_code != SOCKS5ReplyCode.SUCCEEDED:
        raise ProxyRefused(answer.reply_code.name.replace("_", " ").lower())


async def _socks5_reply(stream: trio.abc.Stream) -> bytes:
    """One reply and not a byte more: what follows is the server's."""
    head = await _exactly(stream, 4)
    kind = SOCKS5AType(head[3:4])
    if kind is SOCKS5AType.DOMAIN_NAME:
        # socksio takes the length for a part of the name, which nobody looks at.
        size = await _exactly(stream, 1)
        return head + size + await _exactly(stream, size[0] + 2)
    return head + await _exactly(stream, _LENGTHS[kind] + 2)


async def _exactly(stream: trio.abc.Stream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = await stream.receive_some(count - len(data))
        if not more:
            raise ProxyRefused("hung up during the SOCKS5 handshake")
        data += more
    return data
