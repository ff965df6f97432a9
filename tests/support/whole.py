"""The whole daemon in one process and in memory: fake API servers below it, test clients above.

Real HTTP between orka and the fake servers, real frames between orka and its clients; no sockets
and no files, so the mock clock rules everything.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import trio

from orka.daemon.app import Daemon
from orka.daemon.cluster import Cluster
from orka.daemon.clusters import Kubeconfigs, LiveClusters
from orka.daemon.config import Config, Given, config_from
from orka.daemon.instruments import Instruments
from orka.daemon.kinds import Settings
from orka.daemon.kube.client import HttpxKubeClient
from orka.daemon.kube.connection import Connection
from orka.daemon.kube.exec_plugin import Plugins
from orka.daemon.kube.kubeconfig_cache import KubeconfigCache, Stamp
from orka.daemon.kube.transport import StreamTransport
from orka.daemon.serve.server import Server
from orka.proto.messages import ClientMessage, Target
from replay.apiserver import ApiServer
from tests.support.fakes import TrioClock
from tests.support.serving import MemoryWire, TestClient

Connect = Callable[[], Awaitable[trio.abc.Stream]]


def kubeconfig(*contexts: tuple[str, str], current: str = "") -> bytes:
    """A file of contexts as (name, host): each with a cluster and a user of its own."""
    parts = [f"current-context: {current or contexts[0][0]}", "clusters:"]
    parts += [
        f"- {{name: {name}, cluster: {{server: 'http://{host}'}}}}" for name, host in contexts
    ]
    parts += ["users:", *(f"- {{name: {name}, user: {{}}}}" for name, _ in contexts), "contexts:"]
    parts += [
        f"- {{name: {name}, context: {{cluster: {name}, user: {name}}}}}" for name, _ in contexts
    ]
    return "\n".join(parts).encode()


@dataclass
class Files:
    """The user's files, in memory; a change is seen by its stamp."""

    contents: dict[str, bytes] = field(default_factory=dict)

    def read(self, path: str) -> bytes:
        """The content, or FileNotFoundError."""
        if path not in self.contents:
            raise FileNotFoundError(path)
        return self.contents[path]

    def stamp(self, path: str) -> Stamp:
        """Another one for another content."""
        content = self.contents.get(path)
        return None if content is None else (hash(content), len(content), 1)


class Whole:
    """A running daemon and the fake servers it can reach by host name."""

    def __init__(
        self,
        servers: Mapping[str, ApiServer],
        files: Files,
        daemon: Daemon,
        clusters: LiveClusters,
        nursery: trio.Nursery,
        *,
        routes: dict[str, Connect],
    ) -> None:
        self.servers = servers
        self.routes = routes  # by host name; a test may turn one to another server
        self.files = files
        self.daemon = daemon
        self.clusters = clusters
        self.server = Server(daemon, instance="i1")
        self.shutdown = trio.Event()
        self._nursery = nursery

    def connect(self, capacity_bytes: float = math.inf) -> TestClient:
        """A client that has greeted."""
        wire = MemoryWire(capacity_bytes)
        self._nursery.start_soon(self.server.serve, wire, 4711, self.shutdown)
        client = TestClient(wire)
        client.greet()
        return client

    def ask(self, request: ClientMessage, capacity_bytes: float = math.inf) -> TestClient:
        """A client that has asked one thing."""
        client = self.connect(capacity_bytes)
        client.say(request)
        return client


KUBECONFIG = "/home/me/.kube/config"
TARGET = Target("default", (KUBECONFIG,))


def target(context: str) -> Target:
    """The default files, one context."""
    return Target("default", (KUBECONFIG,), context)


@asynccontextmanager
async def whole_daemon(
    servers: Mapping[str, ApiServer],
    *,
    given: Given | None = None,
    environ: Mapping[str, str] | None = None,
    kubeconfigs: Kubeconfigs | None = None,
) -> AsyncIterator[Whole]:
    """A daemon whose kubeconfig has one context per server, the first one current.

    `kubeconfigs` stands for other files: over http:// those give no credentials.
    """
    files = Files({KUBECONFIG: kubeconfig(*((name, name) for name in servers))})
    instruments = Instruments()
    config = config_from(given or Given(), {"HOME": "/home/me", **(environ or {})}, 1000)
    async with AsyncExitStack() as stack:
        routes = {name: await stack.enter_async_context(s.memory()) for name, s in servers.items()}

        async def dial(host: str, port: int) -> trio.abc.Stream:
            del port
            return await routes[host]()

        plugins = Plugins({}, TrioClock())

        def make(connection: Connection) -> Cluster:
            return Cluster(
                HttpxKubeClient(
                    connection,
                    plugins=plugins,
                    dial=dial,
                    unary=StreamTransport,
                    read=files.read,
                ),
                settings_of(config, connection, instruments),
                relist_seconds=config.relist_seconds,
            )

        cache = KubeconfigCache({}, read=files.read, stamp=files.stamp)
        clusters = LiveClusters(config, kubeconfigs or cache, make, plugins, TrioClock())
        daemon = Daemon(config, clusters, instruments)
        nursery = await stack.enter_async_context(trio.open_nursery())
        nursery.start_soon(clusters.run)
        yield Whole(servers, files, daemon, clusters, nursery, routes=routes)
        nursery.cancel_scope.cancel()


def settings_of(config: Config, connection: Connection, instruments: Instruments) -> Settings:
    """As wiring has it, with the mock clock and a seeded Random."""
    return Settings(
        cluster=connection.identity[:8],
        context=connection.context,
        queue_cap=config.queue_cap,
        idle_seconds=config.idle_seconds,
        clock=TrioClock(),
        random=Random(7),
        instruments=instruments,
    )


def watched(server: ApiServer, resource: str = "certificates.cert-manager.io") -> list[str]:
    """The verbs of every request for objects of this resource that the server has seen."""
    return [record.verb for record in server.requests if record.resource == resource]
