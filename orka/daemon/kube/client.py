"""A Connection to authenticated requests that survive the rotation of every credential.

What each request is sent with comes from the Authenticator. A 401 is answered with fresh
credentials and asked once more. A client certificate that changed means new connections: idle ones
are dropped, and live streams are ended so that their readers resume them under the new one.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from orka.daemon.kube.connection import ClientCertificate, Connection
from orka.daemon.kube.credentials import Authenticator, Header, Presented
from orka.daemon.kube.dial import Dial, dial_tcp
from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.exec_plugin import Plugins
from orka.daemon.kube.http import ByteStream, Params, Response
from orka.daemon.kube.kubeconfig_files import Read, read_file
from orka.daemon.kube.tls import Contexts
from orka.daemon.kube.transport import UnaryTransport, Wire, pooled_transport
from orka.proto.errors import ConfigError

BODY_MAX_BYTES = 512 * 1024 * 1024  # an unpaged list of 200k objects' metadata is about 300 MB
# How soon a renewed certificate file is noticed when nothing is asked; two small reads.
LOOK_SECONDS = 10.0
# Streams are not ended more often than this: a certificate that is renewed faster than forty
# kinds can reopen their watches would leave them no time to watch.
ENDED_APART_SECONDS = 30.0

log = logging.getLogger("orka.kube.credentials")


class HttpxKubeClient:
    """KubeClient over httpx, for one Connection; close it with `aclose`.

    Its callers count their requests, because only they know what a request was for. While `run`
    runs, renewed certificates are noticed without a request, and streams are moved to them.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        plugins: Plugins | None = None,
        dial: Dial = dial_tcp,
        unary: UnaryTransport = pooled_transport,
        read: Read = read_file,
        body_max_bytes: int = BODY_MAX_BYTES,
    ) -> None:
        """Opens nothing yet; ConfigError for certificates or keys that cannot be used.

        `plugins` runs credential plugins. `dial` connects the streams. `unary` makes the transport
        of all other requests: pass `StreamTransport` to send those through `dial` as well. `read`
        reads token, certificate and CA files. A larger body than `body_max_bytes` is refused;
        streams have no such limit.
        """
        self._plugins = plugins
        self._dial = dial
        self._unary = unary
        self._read = read
        self._body_max_bytes = body_max_bytes
        self._live: set[_LiveStream] = set()
        self._outdated = trio.Event()  # a stream has another certificate than new ones would
        self._retired: list[Wire] = []
        self._use(connection)

    def __repr__(self) -> str:
        return f"<HttpxKubeClient {self.connection!r} {self._wire!r} streams={len(self._live)}>"

    def adopt(self, connection: Connection) -> None:
        """The same server and user, with other credentials or trust: from now on these.

        Streams stay open unless the client certificate is another one. Raises ConfigError, and
        changes nothing, for what cannot be used.
        """
        before = self._wire
        self._use(connection)
        self._retired.append(before)
        self._outdated.set()

    async def run(self) -> None:
        """Follow renewed certificates until cancelled."""
        while True:
            self._outdated = trio.Event()
            with trio.move_on_after(LOOK_SECONDS):
                await self._outdated.wait()
            with trio.move_on_after(1):
                await self._close_retired()
            try:
                self._wire_for(self.authenticator.certificate)
            except KubeError as exc:
                log.warning("certificate-unusable why=%s", exc.message)
            if self._end_outdated():
                await trio.sleep(ENDED_APART_SECONDS)

    async def aclose(self) -> None:
        """Close idle connections; a request still under way closes its own when it ends."""
        self._retired.append(self._wire)
        await self._close_retired()

    async def get(
        self, path: str, params: Params, accept: str, etag: str | None = None
    ) -> Response:
        """See KubeClient. Asked once more after a 401 if there are other credentials by then."""
        encoding = b"identity" if self.connection.disable_compression else b"gzip"
        asked = [(b"accept", accept.encode()), (b"accept-encoding", encoding)]
        if etag is not None:
            asked.append((b"if-none-match", etag.encode()))
        used = await self.authenticator.headers()
        response = await self._wire_of(used).get(path, params, [*asked, *used.headers])
        if response.status == 401 and await self.authenticator.rejected(used):
            used = await self.authenticator.headers()
            response = await self._wire_of(used).get(path, params, [*asked, *used.headers])
            if response.status == 401:
                await self.authenticator.rejected(used)
        if response.status != 401:
            self.authenticator.accepted(used)
        return response

    @asynccontextmanager
    async def stream(self, path: str, params: Params, accept: str) -> AsyncIterator[ByteStream]:
        """See KubeClient. The connection is closed on leaving, whatever the reason."""
        asked = [
            (b"accept", accept.encode()),
            (b"accept-encoding", b"identity"),  # compression would hold events back
            (b"connection", b"close"),  # it has this one use
        ]
        used = await self.authenticator.headers()
        again = False
        async with self._open(path, params, asked, used) as stream:
            if stream.status == 401:
                again = await self.authenticator.rejected(used)
            if not again:
                yield stream
                return
        used = await self.authenticator.headers()
        async with self._open(path, params, asked, used) as stream:
            if stream.status == 401:
                await self.authenticator.rejected(used)
            yield stream

    # -- private ---------------------------------------------------------------------------

    @asynccontextmanager
    async def _open(
        self, path: str, params: Params, asked: Sequence[Header], used: Presented
    ) -> AsyncIterator[_LiveStream]:
        wire = self._wire_of(used)
        async with wire.stream(path, params, [*asked, *used.headers]) as body:
            if body.status != 401:
                self.authenticator.accepted(used)
            live = _LiveStream(body, used.certificate)
            if used.certificate != self._certificate:  # it changed while the headers came
                self._outdated.set()
            self._live.add(live)
            try:
                yield live
            finally:
                self._live.discard(live)

    def _use(self, connection: Connection) -> None:
        authenticator = Authenticator(connection, plugins=self._plugins, read=self._read)
        certificate = authenticator.certificate
        contexts = None
        if connection.tls:
            contexts = Contexts(connection, certificate, read=self._read, now=trio.current_time)
        self._context = contexts.current(certificate) if contexts is not None else None
        self.connection = connection
        self.authenticator = authenticator
        self._contexts = contexts
        self._certificate = certificate
        self._wire = self._new_wire()

    def _new_wire(self) -> Wire:
        return Wire(
            self.connection,
            self._context,
            dial=self._dial,
            unary=self._unary,
            body_max_bytes=self._body_max_bytes,
        )

    def _wire_of(self, used: Presented) -> Wire:
        return self._wire_for(used.certificate)

    def _wire_for(self, certificate: ClientCertificate | None) -> Wire:
        """The wire on which this certificate is shown; the one before it is retired."""
        if self._contexts is None:
            return self._wire
        try:
            context = self._contexts.current(certificate)
        except ConfigError as exc:
            raise KubeError(Failure(FailureKind.TLS, exc.message), hint=exc.hint) from exc
        if context is not self._context:
            self._retired.append(self._wire)
            self._context = context
            self._wire = self._new_wire()
        if certificate != self._certificate:
            self._certificate = certificate
            self._outdated.set()
            log.info("certificate-changed server=%s", self.connection.server)
        return self._wire

    def _end_outdated(self) -> int:
        """End the streams that were opened under another certificate; how many."""
        outdated = [live for live in self._live if live.certificate != self._certificate]
        for live in outdated:
            live.end()
        return len(outdated)

    async def _close_retired(self) -> None:
        retired, self._retired = self._retired, []
        for wire in retired:
            await wire.aclose()


class _LiveStream:
    """A ByteStream that its client can end; its reader then hears FailureKind.RENEWED."""

    def __init__(self, body: ByteStream, certificate: ClientCertificate | None) -> None:
        self.status: int = body.status
        self.headers: Mapping[str, str] = body.headers
        self.certificate = certificate
        self._body = body
        self._ended = False
        self._reading = trio.CancelScope()

    def __repr__(self) -> str:
        return f"<_LiveStream ended={self._ended} {self._body!r}>"

    def end(self) -> None:
        """Give the reader no more, whether it waits now or comes later."""
        self._ended = True
        self._reading.cancel(reason="the client certificate changed")

    async def receive_some(self) -> bytes:
        """See ByteStream."""
        if not self._ended:
            with trio.CancelScope() as self._reading:
                return await self._body.receive_some()
        await trio.lowlevel.checkpoint()
        message = "the client certificate changed, so this connection was ended"
        raise KubeError(Failure(FailureKind.RENEWED, message))
