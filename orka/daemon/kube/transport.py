"""A Connection to authenticated HTTP requests: the only module that knows httpx.

Unary requests use httpx's own pooled transport. A watch or a streaming list has a connection
to itself on `StreamTransport`, which parses with httptools and drains TLS: about a fifth of
the CPU per event.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
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
from orka.daemon.kube.credentials import TokenSource
from orka.daemon.kube.dial import (
    CONNECT_SECONDS,
    SOCKET_OPTIONS,
    Dial,
    causes,
    connect,
    connect_failure,
    dial_tcp,
    lost_failure,
    tls_failure,
    where_of,
)
from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.http import ByteStream, Params, Response
from orka.daemon.kube.kubeconfig_files import Read, read_file
from orka.daemon.kube.tls import client_context

# API servers indent their JSON for names that begin like curl's or a browser's; not for this.
USER_AGENT = f"orkad/{__version__}"
CLOSE_SECONDS = 1.0  # a goodbye that cannot be sent at once is not worth waiting for
KEEPALIVE_MAX_COUNT = 16  # idle connections kept: lists are few at a time
KEEPALIVE_EXPIRY_SECONDS = 60.0  # below the 90 s after which API servers close idle ones
BODY_MAX_BYTES = 512 * 1024 * 1024  # an unpaged list of 200k objects' metadata is about 300 MB

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
        lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
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
    connection: Connection, context: ssl.SSLContext | None, _dial: Dial
) -> httpx.AsyncBaseTransport:
    """The transport that httpx brings, with its pool of idle connections; real TCP only."""
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


class HttpxKubeClient:
    """KubeClient over httpx, for one Connection; close it with `aclose`.

    Its callers count their requests, because only they know what a request was for. After
    any unary request that did not end with a whole answer (failed, or given up by its
    caller), the idle connections beside it are not used again: what hung one may have hung
    all.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        dial: Dial = dial_tcp,
        unary: UnaryTransport = pooled_transport,
        read: Read = read_file,
        body_max_bytes: int = BODY_MAX_BYTES,
    ) -> None:
        """Opens nothing yet; ConfigError for certificates or keys that cannot be used.

        `dial` connects the streams. `unary` makes the transport of all other requests: pass
        `StreamTransport` to send those through `dial` as well. `read` reads token files. A larger
        body than `body_max_bytes` is refused; streams have no such limit.
        """
        self.connection = connection
        self._where = where_of(connection)
        self._context = client_context(connection) if connection.tls else None
        self._dial = dial
        self._unary = unary
        self._body_max_bytes = body_max_bytes
        self._tokens = TokenSource(connection.credentials, read=read)
        self._streams = _client(StreamTransport(connection, self._context, dial))
        self._pool = self._new_pool()

    def __repr__(self) -> str:
        return f"<HttpxKubeClient {self.connection!r} in_flight={self._pool.in_flight}>"

    async def aclose(self) -> None:
        """Close idle connections; a request still under way closes its own when it ends."""
        self._pool.retired = True
        await self._close_if_left(self._pool)

    async def get(
        self, path: str, params: Params, accept: str, etag: str | None = None
    ) -> Response:
        """See KubeClient.

        A connection lost before the answer began is replaced once, at once, if it may have
        been an idle one that the server had closed meanwhile.
        """
        headers = self._headers(accept)
        headers["accept-encoding"] = "identity" if self.connection.disable_compression else "gzip"
        if etag is not None:
            headers["if-none-match"] = etag
        pool = self._pool
        may_be_idle = pool.answered
        try:
            return await self._get_once(pool, path, params, headers)
        except _UnansweredError:
            if not may_be_idle:
                raise
        return await self._get_once(self._pool, path, params, headers)

    @asynccontextmanager
    async def stream(self, path: str, params: Params, accept: str) -> AsyncIterator[ByteStream]:
        """See KubeClient. The connection is closed on leaving, whatever the reason."""
        headers = self._headers(accept)
        headers["accept-encoding"] = "identity"  # compression would hold events back
        headers["connection"] = "close"  # it has this one use
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

    async def _get_once(
        self, pool: _Pool, path: str, params: Params, headers: dict[str, str]
    ) -> Response:
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

    def _headers(self, accept: str) -> dict[str, str]:
        return {"accept": accept, **self._tokens.headers()}

    def _request(
        self, client: httpx.AsyncClient, path: str, params: Params, headers: dict[str, str]
    ) -> httpx.Request:
        name = self.connection.tls_server_name
        return client.build_request(
            "GET",
            self.connection.url + path,
            params=dict(params) or None,
            headers=headers,
            extensions={"sni_hostname": name} if name else None,
        )

    def _new_pool(self) -> _Pool:
        return _Pool(_client(self._unary(self.connection, self._context, self._dial)))

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
