"""The server itself: streams of any kind served, in memory, over TCP, with and without TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import trio
from trio.testing import memory_stream_pair

from .connection import Connection
from .conversation import converse
from .verbs import FaultVerbs

LOOPBACK = "127.0.0.1"
POLITE_CLOSE_SECONDS = 2.0  # a peer that does not take part in closing TLS is left behind

Connect = Callable[[], Awaitable[trio.abc.Stream]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens, and the CA that vouches for it (PEM; empty without TLS)."""

    url: str
    ca_pem: bytes = b""


class ApiServer(FaultVerbs):
    """A scriptable Kubernetes API server. The package docstring shows how to use it."""

    async def serve_connection(self, stream: trio.abc.Stream) -> None:
        """Serve one stream to its end and close it. A client's mistakes raise nothing."""
        self.connections_made += 1
        connection = Connection(stream, self.connections_made)
        self.connections[connection] = None
        try:
            with connection.scope:
                await converse(self, connection)
                with trio.move_on_after(POLITE_CLOSE_SECONDS):
                    await stream.aclose()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client went away in the middle, which is its right
        finally:
            del self.connections[connection]
            await trio.aclose_forcefully(stream)

    @asynccontextmanager
    async def memory(self) -> AsyncIterator[Connect]:
        """Give `connect`: each call makes an in-memory stream that is served until the block ends.

        `connect` raises ConnectionRefusedError while the server refuses.
        """
        async with trio.open_nursery() as nursery:
            yield partial(self._connect, nursery)
            nursery.cancel_scope.cancel(reason="the memory network closed")

    async def serve_tcp(
        self,
        port: int = 0,
        *,
        tls: bool = False,
        task_status: trio.TaskStatus[Endpoint] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen on loopback until cancelled; starts with the Endpoint.

        `refuse` closes the listener, so that clients see a refused connection; `accept` opens it
        again on the same port.
        """
        context, ca_pem = None, b""
        if tls:
            from .tls import make_server_tls  # noqa: PLC0415 - trustme is needed for TLS only

            context, ca_pem = make_server_tls(LOOPBACK)
        async with trio.open_nursery() as nursery:
            while True:
                await self.accepting.wait_open()
                listeners = await trio.open_tcp_listeners(port, host=LOOPBACK)
                port = listeners[0].socket.getsockname()[1]
                task_status.started(
                    Endpoint(f"{'https' if tls else 'http'}://{LOOPBACK}:{port}", ca_pem)
                )
                task_status = trio.TASK_STATUS_IGNORED
                await self._accept_until_refused(listeners, nursery, context)

    async def _connect(self, nursery: trio.Nursery) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if not self.accepting.is_open:
            raise ConnectionRefusedError("the server refuses connections")
        ours, theirs = memory_stream_pair()
        nursery.start_soon(self.serve_connection, ours, name="connection")
        return theirs

    async def _accept_until_refused(
        self,
        listeners: list[trio.SocketListener],
        connections: trio.Nursery,
        context: ssl.SSLContext | None,
    ) -> None:
        async with trio.open_nursery() as nursery:
            serve = partial(self._serve_socket, context=context)
            nursery.start_soon(
                partial(trio.serve_listeners, serve, listeners, handler_nursery=connections),
                name="accept",
            )
            await self.accepting.wait_shut()
            # Cancelled, trio closes the listeners: from now on the kernel refuses.
            nursery.cancel_scope.cancel(reason="the server refuses connections")

    async def _serve_socket(
        self, stream: trio.SocketStream, *, context: ssl.SSLContext | None
    ) -> None:
        if context is None:
            await self.serve_connection(stream)
        else:
            secured = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
            await self.serve_connection(secured)
