"""A Connection to an open byte stream to its server, or to a KubeError that says what failed.

The one place where errors of sockets, of TLS and of trio's streams become failures.
"""

from __future__ import annotations

import functools
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator

import trio

from orka.daemon.kube.connection import Connection, Proxy
from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.tls import client_context
from orka.daemon.kube.tls_stream import DrainingTlsStream
from orka.daemon.kube.tunnel import ProxyRefused, forwards, open_tunnel

CONNECT_SECONDS = 10.0  # a server further away than that is not reachable for a live view
TLS_SECONDS = 10.0  # client-go's handshake limit
PROXY_SECONDS = 10.0  # from the proxy's connection to the server's; a proxy dials for us

KEEPALIVE_IDLE_SECONDS = 30  # a half-open connection is found after 30 + 3 * 10 s of silence
KEEPALIVE_INTERVAL_SECONDS = 10
KEEPALIVE_PROBES_COUNT = 3
UNACKNOWLEDGED_MAX_MILLISECONDS = 30_000  # the same when something of ours is on its way

SOCKET_OPTIONS: tuple[tuple[int, int, int], ...] = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES_COUNT),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MAX_MILLISECONDS),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)

Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Host and port to a connected stream; OSError where that cannot be had."""


async def dial_tcp(host: str, port: int) -> trio.abc.Stream:
    """TCP to whichever of the host's addresses answers first, watched by keepalives."""
    stream = await trio.open_tcp_stream(host, port)
    for level, option, value in SOCKET_OPTIONS:
        stream.setsockopt(level, option, value)
    return stream


async def connect(
    connection: Connection, context: ssl.SSLContext | None, dial: Dial
) -> trio.abc.Stream:
    """A stream on which HTTP can be spoken with the server; the caller closes it.

    `context` is None for an http:// server. Raises KubeError: CONNECT, TLS or TIMEOUT.
    """
    where = where_of(connection)
    if connection.proxy is None:
        stream = await _dialled(dial, connection.host, connection.port, where)
    else:
        stream = await _through(connection.proxy, connection, dial)
    if context is None:
        return stream
    return await _secured(stream, context, connection.verified_name, where)


async def _dialled(dial: Dial, host: str, port: int, where: str) -> trio.abc.Stream:
    try:
        with trio.fail_after(CONNECT_SECONDS):
            return await dial(host, port)
    except trio.TooSlowError as exc:
        raise KubeError(_too_slow(where, "connection", CONNECT_SECONDS)) from exc
    except (OSError, UnicodeError, trio.BrokenResourceError) as exc:
        raise KubeError(connect_failure(where, exc)) from exc


async def _through(proxy: Proxy, connection: Connection, dial: Dial) -> trio.abc.Stream:
    """A stream that ends at the server; at the proxy, where requests are sent to that."""
    where = f"proxy {_host_and_port(proxy.host, proxy.port)}"
    stream = await _dialled(dial, proxy.host, proxy.port, where)
    if proxy.scheme == "https":
        variables = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        roots = _proxy_roots(connection.ca, *variables)
        stream = await _secured(stream, roots, proxy.host, where)
    if forwards(connection):
        return stream
    try:
        await _have_connected(stream, proxy, connection, where)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


async def _have_connected(
    stream: trio.abc.Stream, proxy: Proxy, connection: Connection, where: str
) -> None:
    try:
        with trio.fail_after(PROXY_SECONDS):
            await open_tunnel(stream, proxy, connection.host, connection.port)
    except trio.TooSlowError as exc:
        raise KubeError(_too_slow(where, "answer", PROXY_SECONDS)) from exc
    except (ProxyRefused, OSError, trio.BrokenResourceError) as exc:
        raise KubeError(connect_failure(where, exc)) from exc


@functools.lru_cache(maxsize=16)  # contexts; each holds every root of the system
def _proxy_roots(ca: bytes | None, _file: str | None, _folder: str | None) -> ssl.SSLContext:
    """The system's roots, which OpenSSL finds by two variables, and the cluster's.

    Kubectl knows but the latter where there are any. The client certificate is not shown.
    """
    context = client_context(Connection("https://proxy"))
    if ca is not None:
        context.load_verify_locations(
            cadata=ca.decode("latin-1").encode("ascii", "replace").decode()
        )
    return context


async def _secured(
    stream: trio.abc.Stream, context: ssl.SSLContext, name: str, where: str
) -> trio.abc.Stream:
    secured = DrainingTlsStream(stream, context, name)
    try:
        await _shake_hands(secured, where)
    except BaseException:
        await trio.aclose_forcefully(secured)
        raise
    return secured


async def _shake_hands(secured: DrainingTlsStream, where: str) -> None:
    try:
        with trio.fail_after(TLS_SECONDS):
            await secured.do_handshake()
    except trio.TooSlowError as exc:
        raise KubeError(_too_slow(where, "TLS handshake", TLS_SECONDS)) from exc
    except (ssl.SSLError, OSError, trio.BrokenResourceError) as exc:
        raise KubeError(tls_failure(where, exc)) from exc


def where_of(connection: Connection) -> str:
    """`host:port`, as messages name the server."""
    return _host_and_port(connection.host, connection.port)


def _host_and_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def connect_failure(where: str, exc: BaseException) -> Failure:
    """No connection: the system's first reason, e.g. `Connection refused`."""
    return Failure(FailureKind.CONNECT, f"{where}: {_reason(exc)}")


def tls_failure(where: str, exc: BaseException) -> Failure:
    """No trust: what the verification or the handshake says."""
    error = next((cause for cause in causes(exc) if isinstance(cause, ssl.SSLError)), None)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure(
            FailureKind.TLS, f"{where}: certificate not verified: {error.verify_message}"
        )
    if error is None or isinstance(error, ssl.SSLEOFError):
        return Failure(FailureKind.TLS, f"{where}: the server hung up during the TLS handshake")
    return Failure(FailureKind.TLS, f"{where}: TLS: {_tls_words(error)}")


def lost_failure(where: str, exc: BaseException) -> Failure:
    """An open connection broke: CUT, or TLS where the other side refused our certificate."""
    for cause in causes(exc):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return Failure(FailureKind.TLS, f"{where}: TLS: {_tls_words(cause)}")
    return Failure(FailureKind.CUT, f"{where}: connection lost: {_reason(exc)}")


def causes(exc: BaseException) -> Iterator[BaseException]:
    """The exception and whatever it was raised from, leaves of groups included."""
    seen: BaseException | None = exc
    while seen is not None:
        yield seen
        if isinstance(seen, BaseExceptionGroup):
            for part in seen.exceptions:
                yield from causes(part)
        seen = seen.__cause__ or seen.__context__


def _reason(exc: BaseException) -> str:
    for cause in causes(exc):
        if isinstance(cause, OSError) and cause.errno is not None:
            # Name resolution numbers its errors apart from errno.
            if isinstance(cause, socket.gaierror):
                return f"name not resolved: {cause.strerror}"
            return os.strerror(cause.errno)
    return str(exc) or type(exc).__name__


def _tls_words(error: ssl.SSLError) -> str:
    """OpenSSL's reason without its bookkeeping: `WRONG_VERSION_NUMBER` as words."""
    return (error.reason or str(error)).replace("_", " ").lower()


def _too_slow(where: str, what: str, seconds: float) -> Failure:
    return Failure(FailureKind.TIMEOUT, f"{where}: no {what} within {seconds:g} s")
