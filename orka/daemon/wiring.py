"""A Config to a running daemon: which clusters it has, and what every one of them is made of."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from random import SystemRandom

import trio

from orka.daemon import app
from orka.daemon.cluster import Cluster
from orka.daemon.clusters import Clusters, LiveClusters
from orka.daemon.config import Config
from orka.daemon.instruments import Instruments, StepWatch
from orka.daemon.kinds import Settings
from orka.daemon.kube.client import HttpxKubeClient
from orka.daemon.kube.connection import Connection
from orka.daemon.kube.exec_plugin import Plugins
from orka.daemon.kube.kubeconfig_cache import KubeconfigCache
from orka.daemon.model import SystemClock
from orka.daemon.recorded import CONTEXT, Recorded, RecordedCluster, read_recording

CLUSTER_ID_CHARS = 10  # of an identity hash: enough to tell a user's clusters apart in a cursor


def serve(
    config: Config,
    environ: Mapping[str, str],
    listener: socket.socket,
    ready: Callable[[], None],
) -> None:
    """Run the daemon until it is stopped; `ready` is called once the socket answers."""
    instruments = Instruments()
    clusters = _clusters(config, environ, instruments)

    async def everything() -> None:
        await app.run(
            config, clusters, instruments, listener, instance=os.urandom(8).hex(), ready=ready
        )

    trio.run(everything, instruments=[StepWatch(instruments)])


def _clusters(config: Config, environ: Mapping[str, str], instruments: Instruments) -> Clusters:
    clock, random = SystemClock(), SystemRandom()

    def settings(cluster: str, context: str) -> Settings:
        return Settings(
            cluster=cluster,
            context=context,
            queue_cap=config.queue_cap,
            idle_seconds=config.idle_seconds,
            clock=clock,
            random=random,
            instruments=instruments,
        )

    if config.replay is not None:
        recording = read_recording(Path(config.replay))
        return Recorded(RecordedCluster(recording, settings(recording.digest, CONTEXT)), clock)

    plugins = Plugins(environ, clock)

    def make(connection: Connection) -> Cluster:
        return Cluster(
            HttpxKubeClient(connection, plugins=plugins),
            settings(connection.identity[:CLUSTER_ID_CHARS], connection.context),
            relist_seconds=config.relist_seconds,
        )

    return LiveClusters(config, KubeconfigCache(environ), make, plugins, clock)
