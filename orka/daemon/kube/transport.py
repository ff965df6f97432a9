"""A Connection and a TLS context to HTTP requests: the only module that knows httpx.

Unary requests use httpx's own pooled transport. A watch or a streaming list has a connection
to itself on `StreamTransport`, which parses with httptools and drains TLS: about a fifth of
the CPU per event.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Self

# httpx puts this off until its first transport is made: then it held the loop for 50 ms.
import httpcore  # noqa: F401
import httpx
import trio

from orka import __version__
from orka.daemon.kube.bodies import DecodedBody, RawBody, WholeBody
from orka.daemon.kube.connection import Connection
from orka.daemon.kube.dial import (
    CONNECT_SECONDS,
    SOCKET_OPTIONS,
    Dial,
    causes,
    connect,
    connect_failure,
    lost_failure,
    tls_failure,
    where_of,
)
from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.http import ByteStream, Params, Response
from orka.daemon.kube.tunnel import forwarding

# API servers indent their JSON for names that begin like curl's or a browser's; not for this.
USER_AGENT = f"orkad/{__version__}"
CLOSE_SECONDS = 1.0  # a goodbye that cannot be sent at once is not worth waiting for
KEEPALIVE_MAX_COUNT = 16  # idle connections kept: lists are few at a time
KEEPALIVE_EXPIRY_SECONDS = 60.0  # below the 90 s after which API servers close idle ones

Headers = Sequence[tuple[bytes, bytes]]
"""In order; a name may come more than once."""

UnaryTransport = Callable[[Connection, ssl.SSLContext | None, Dial], httpx.AsyncBaseTransport]
"""Makes the transport of all requests but streams; the context is None for http://."""


class StreamTransport(httpx.AsyncBaseTransport):
    """One connection per request, through `dial`; the response is there with its headers.

    Made for watches, and able to serve any request: given to HttpxKubeClient as its unary
    transport too, the whole client runs over `dial`, e.g. to an in-memory server. Holds
    nothing open between requests. Raises KubeError.
    """

    def __init__(self, connection: Connection, context: ssl.SSLContext | None, dial: Dial) -> None:
        self._connection = connection
        self._context = context
        self._dial = dial

    def __repr__(self) -> str:
        return f"<StreamTransport {where_of(self._connection)}>"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and wait for the head; closing the response closes its connection."""
        before_path, for_proxy = forwarding(self._connection)
        target = before_path + request.url.raw_path
        lines = [b"%s %s HTTP/1.1" % (request.method.encode(), target), *for_proxy]
        lines += [b"%s: %s" % header for header in request.headers.raw]
        head = b"\r\n".join([*lines, b"", b""])
        content = await request.aread()
        stream = await connect(self._connection, self._context, self._dial)
        raw = RawBody(stream, where_of(self._connection))
        try:
            await raw.exchange(head + content)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        body = _HttpxBody(raw)
        return httpx.Response(
            raw.parser.status, headers=raw.parser.headers, stream=body, extensions={"body": raw}
        )


class _HttpxBody(httpx.AsyncByteStream):
    """A RawBody as httpx reads and closes it; no generator, so nothing is left to a finalizer."""

    def __init__(self, raw: RawBody) -> None:
        self._raw = raw

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        data = await self._raw.receive_some()
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        await self._raw.aclose()


def pooled_transport(
    connection: Connection, context: ssl.SSLContext | None, dial: Dial
) -> httpx.AsyncBaseTransport:
    """The transport that httpx brings, with its pool of idle connections; real TCP only.

    Behind a proxy it is ours, without a pool: inside a tunnel httpx 0.28 verifies the host of
    the URL and forgets `tls-server-name`.
    """
    if connection.proxy is not None:
        return StreamTransport(connection, context, dial)
    return httpx.AsyncHTTPTransport(
        verify=context if context is not None else connection.tls,
        trust_env=False,
        http2=False,
        limits=httpx.Limits(
            max_connections=None,  # no request ever queues behind another
            max_keepalive_connections=KEEPALIVE_MAX_COUNT,
            keepalive_expiry=KEEPALIVE_EXPIRY_SECONDS,
        ),
        socket_options=SOCKET_OPTIONS,
    )


@dataclass(slots=True, eq=False)
class _Pool:
    """Unary connections that are trusted or dropped together."""

    client: httpx.AsyncClient
    in_flight: int = 0
    answered: bool = False  # so it may hold an idle connection, which may be dead
    retired: bool = False  # closed by whoever leaves it last


class _UnansweredError(KubeError):
    """The connection was lost before the first byte of an answer."""


class Wire:
    """One server over one TLS context: requests without a thought for who makes them.

    Close it with `aclose`; a stream or request under way then lives on to its own end. After any
    unary request that did not end with a whole answer (failed, or given up by its caller), the
    idle connections beside it are not used again: what hung one may have hung all.
    """

    def __init__(
        self,
        connection: Connection,
        context: ssl.SSLContext | None,
        *,
        dial: Dial,
        unary: UnaryTransport,
        body_max_bytes: int,
    ) -> None:
        """Opens nothing yet; see HttpxKubeClient for the parameters."""
        self._connection = connection
        self._where = where_of(connection)
        self._context = context
        self._dial = dial
        self._unary = unary
        self._body_max_bytes = body_max_bytes
        self._streams = _client(StreamTransport(connection, context, dial))
        self._pool = self._new_pool()

    def __repr__(self) -> str:
        return f"<Wire {self._where} in_flight={self._pool.in_flight}>"

    async def aclose(self) -> None:
        """Close idle connections; a request still under way closes its own when it ends."""
        self._pool.retired = True
        await self._close_if_left(self._pool)

    async def get(self, path: str, params: Params, headers: Headers) -> Response:
        """One GET, its body read whole.

        A connection lost before the answer began is replaced once, at once, if it may have
        been an idle one that the server had closed meanwhile.
        """
        pool = self._pool
        may_be_idle = pool.answered
        try:
            return await self._get_once(pool, path, params, headers)
        except _UnansweredError:
            if not may_be_idle:
                raise
        return await self._get_once(self._pool, path, params, headers)

    @asynccontextmanager
    async def stream(
        self, path: str, params: Params, headers: Headers
    ) -> AsyncIterator[ByteStream]:
        """One GET on a connection of its own, closed on leaving, whatever the reason."""
        with self._mapped():
            request = self._request(self._streams, path, params, headers)
            response = await self._streams.send(request, stream=True)
        try:
            raw = response.extensions["body"]
            assert isinstance(raw, RawBody)
            yield DecodedBody(raw, response.status_code, dict(response.headers))
        finally:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):
                await response.aclose()

    async def _get_once(self, pool: _Pool, path: str, params: Params, headers: Headers) -> Response:
        pool.in_flight += 1
        whole = False
        try:
            with self._mapped(lost=_UnansweredError):
                request = self._request(pool.client, path, params, headers)
                response = await pool.client.send(request, stream=True)
            try:
                encoding = response.headers.get("content-encoding", "identity")
                body = WholeBody(self._where, encoding, self._body_max_bytes)
                with self._mapped():
                    async for piece in response.aiter_raw():
                        body.feed(piece)
                content = body.finish()
            finally:
                with trio.move_on_after(CLOSE_SECONDS, shield=True):
                    await response.aclose()
            whole = pool.answered = True
            return Response(response.status_code, dict(response.headers), content)
        finally:
            pool.in_flight -= 1
            if not whole:
                self._retire(pool)
            await self._close_if_left(pool)  # noqa: ASYNC102 -- shielded and bounded inside

    def _request(
        self, client: httpx.AsyncClient, path: str, params: Params, headers: Headers
    ) -> httpx.Request:
        name = self._connection.tls_server_name
        return client.build_request(
            "GET",
            self._connection.url + path,
            params=dict(params) or None,
            headers=list(headers),
            extensions={"sni_hostname": name} if name else None,
        )

    def _new_pool(self) -> _Pool:
        return _Pool(_client(self._unary(self._connection, self._context, self._dial)))

    def _retire(self, pool: _Pool) -> None:
        if pool is self._pool and not pool.retired:
            self._pool = self._new_pool()
        pool.retired = True

    async def _close_if_left(self, pool: _Pool) -> None:
        if pool.retired and not pool.in_flight:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):
                await pool.client.aclose()

    @contextmanager
    def _mapped(self, *, lost: type[KubeError] = KubeError) -> Iterator[None]:
        """Turn httpx's errors into KubeError, a lost connection into `lost`."""
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as exc:
            failure = _failure(self._where, exc, before_answer=lost is _UnansweredError)
            error = lost if failure.kind is FailureKind.CUT else KubeError
            raise error(failure) from exc


def _client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """No environment, no redirects with our credentials, no cookies, no deadlines but connect's."""
    return httpx.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        headers={"user-agent": USER_AGENT},
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )


def _failure(where: str, exc: Exception, *, before_answer: bool) -> Failure:
    match exc:
        case httpx.TimeoutException():
            message = f"{where}: no connection within {CONNECT_SECONDS:g} s"
            return Failure(FailureKind.TIMEOUT, message)
        case httpx.ConnectError() if any(isinstance(cause, ssl.SSLError) for cause in causes(exc)):
            return tls_failure(where, exc)
        case httpx.ConnectError():
            return connect_failure(where, exc)
        case httpx.RemoteProtocolError() if before_answer and _parser_complains(exc):
            return Failure(FailureKind.NOT_KUBERNETES, f"{where}: not HTTP: {exc}")
        case httpx.NetworkError() | httpx.RemoteProtocolError():
            return lost_failure(where, exc)
    # A URL or a header that httpx will not send.
    return Failure(FailureKind.SERVER, f"{where}: request not sent: {exc}")


def _parser_complains(exc: httpx.RemoteProtocolError) -> bool:
    """Bytes that are no HTTP, and no bytes at all, are the same error in httpcore.

    Only the former has another library's error, the parser's, beneath it.
    """
    return any(not type(cause).__module__.startswith("http") for cause in causes(exc))
