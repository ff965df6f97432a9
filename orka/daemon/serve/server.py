"""A listening Unix socket to sessions: accepts, checks whose process it is, counts who is here."""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct

import trio

from orka.daemon.serve.answers import error_message
from orka.daemon.serve.client import Client, ClientLeft, SocketWire, Wire
from orka.daemon.serve.hub import framed
from orka.daemon.serve.service import Service
from orka.daemon.serve.session import Session
from orka.proto.errors import OrkaError

ACCEPT_PAUSE_SECONDS = 0.1  # out of descriptors: sessions that end give some back
_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_UCRED = struct.Struct("3i")  # pid, uid, gid

logger = logging.getLogger("orka.serve")


class Server:
    """All clients of one daemon."""

    def __init__(self, service: Service, *, instance: str) -> None:
        self._service = service
        self._instance = instance
        self._clients: set[Client] = set()

    def clients(self) -> list[dict[str, object]]:
        """Who is connected, what each asks, and who does not read."""
        now = trio.current_time()
        return [
            {
                "pid": client.pid,
                "asks": client.asks,
                "sent_bytes": client.sent_bytes,
                "lagging": client.lagging(now),
            }
            for client in sorted(self._clients, key=lambda client: client.pid)
        ]

    def __len__(self) -> int:
        return len(self._clients)

    async def accept(
        self, listener: socket.socket, sessions: trio.Nursery, shutdown: trio.Event
    ) -> None:
        """Start a session in `sessions` for every connection, until cancelled.

        The listener stays the caller's to close. Connections of other users are refused.
        """
        listener.setblocking(False)
        while True:
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                await trio.lowlevel.wait_readable(listener)
                continue
            except OSError as exc:
                if exc.errno not in _OUT_OF_RESOURCES:
                    raise
                logger.error("accept failed error=%s", exc)  # noqa: TRY400 -- expected, no trace
                await trio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            pid, uid = peer_of(connection)
            if uid != os.getuid():
                logger.warning("refused a connection of uid=%d pid=%d", uid, pid)
                connection.close()
                continue
            sessions.start_soon(
                self.serve, SocketWire(connection), pid, shutdown, name=f"session {pid}"
            )
            await trio.lowlevel.checkpoint()

    async def serve(self, wire: Wire, pid: int, shutdown: trio.Event) -> None:
        """One client from hello to goodbye; whatever goes wrong in it ends here."""
        client = Client(wire, pid=pid)
        self._clients.add(client)
        session = Session(
            client,
            self._service,
            instance=self._instance,
            pid=os.getpid(),
            shutdown=shutdown,
            clients=self.clients,
        )
        try:
            await session.run()
        except Exception as exc:
            # The one place that catches everything: a bug met by one client must not take
            # the others down. It is logged whole, and the client is told.
            logger.exception("session failed client=%r", client)
            await _apologise(client, exc)
        finally:
            self._clients.discard(client)
            client.close()


async def _apologise(client: Client, exc: Exception) -> None:
    with trio.move_on_after(1):
        try:
            await client.send(
                framed(error_message(OrkaError(f"bug in orkad: {type(exc).__name__}; see its log")))
            )
        except ClientLeft:
            logger.debug("left client=%r", client)


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """The pid and uid of the process at the other end, as the kernel knows them."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(raw)
    return pid, uid
