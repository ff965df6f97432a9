"""Orders on stdin, a JSON line each, to new objects on watches, and when each was sent.

    {"count": 300, "per_second": 50}   ->   {"fed-0": NANOSECONDS, ...}

The bundled API server over TLS in a process of its own, so that it takes no time from the reader.
Times are CLOCK_MONOTONIC, the same for every process of the machine. Ends with its stdin.
"""

from __future__ import annotations

import json
import re
import sys
import time
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

import trio

from replay.apiserver import ApiServer, Endpoint, Model, definition
from replay.apiserver.clusters import populate
from replay.apiserver.kubeconfig import kubeconfig
from replay.apiserver.tls import make_server_tls
from scripts.benchmark.rig import CERTIFICATES, FEW_NAMESPACE, NAMESPACES, OBJECTS

HOST = "127.0.0.1"
NAME = re.compile(rb'"name":"(fed-\d+)"')


class Sent:
    """When the line with each fed object was handed to a watch's socket."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._changed = trio.Event()

    def note(self, data: bytes) -> None:
        """These bytes are being sent now."""
        now = time.monotonic_ns()
        for name in NAME.findall(data):
            self._times.setdefault(name.decode(), now)
        self._changed.set()

    async def take(self, names: set[str]) -> dict[str, int]:
        """The times of these, once all were sent; the rest is forgotten."""
        while not names <= self._times.keys():
            self._changed = trio.Event()
            await self._changed.wait()
        taken, self._times = {name: self._times[name] for name in names}, {}
        return taken


class NotingStream(trio.abc.Stream):
    """Passes everything through and notes what is sent, before it is encrypted."""

    def __init__(self, inner: trio.abc.Stream, sent: Sent) -> None:
        self._inner = inner
        self._sent = sent

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See trio."""
        self._sent.note(bytes(data))
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """See trio."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """See trio."""
        return await self._inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        """See trio."""
        await self._inner.aclose()


async def serve(server: ApiServer, sent: Sent, kubeconfig_path: Path) -> None:
    """Listen until cancelled; say so on stdout once the kubeconfig is written."""
    context, ca_pem = make_server_tls(HOST)

    async def one(stream: trio.SocketStream) -> None:
        secured = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        await server.serve_connection(NotingStream(secured, sent))

    listeners = await trio.open_tcp_listeners(0, host=HOST)
    port = listeners[0].socket.getsockname()[1]
    text = kubeconfig(Endpoint(f"https://{HOST}:{port}", ca_pem), context="fed")
    kubeconfig_path.write_text(text)  # noqa: ASYNC240 -- nobody is served yet
    print("{}", flush=True)
    await trio.serve_listeners(one, listeners)


async def feed(model: Model, names: list[str], per_second: float) -> None:
    """Create Certificates of these names at a steady rate."""
    began = trio.current_time()
    for index, name in enumerate(names):
        await trio.sleep_until(began + index / per_second)
        meta = {"namespace": FEW_NAMESPACE, "name": name}
        model.create(CERTIFICATES, {"metadata": meta, "spec": {}})


async def run(kubeconfig_path: Path) -> None:
    """Obey orders until there are no more."""
    random = Random(7)  # noqa: S311 -- one seed, one cluster
    model = Model(random=random, wall_clock=time.time)
    crd = definition("cert-manager.io", "Certificate", "certificates")
    model.create("customresourcedefinitions", crd)
    populate(model, CERTIFICATES, OBJECTS, namespaces=NAMESPACES, managers=2)
    server, sent, numbers = ApiServer(model, random=random), Sent(), count()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve, server, sent, kubeconfig_path))
        async for line in trio.wrap_file(sys.stdin):
            order = json.loads(line)
            names = [f"fed-{next(numbers)}" for _ in range(order["count"])]
            await feed(model, names, order["per_second"])
            print(json.dumps(await sent.take(set(names))), flush=True)
        nursery.cancel_scope.cancel(reason="no more orders")


if __name__ == "__main__":
    trio.run(run, Path(sys.argv[1]))
