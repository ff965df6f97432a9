"""Command-line options turned into a running server; see `python -m replay.apiserver --help`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random

import trio

from .churn import EVENTS_PER_SECOND, Churn
from .clusters import demo
from .kubeconfig import kubeconfig
from .model import Model
from .server import ApiServer, Endpoint

TOKENS = {"demo-token": "demo-admin", "nobody-token": "nobody"}
POWERLESS = ("nobody",)


def empty(_model: Model) -> None:
    """No objects at all."""


CLUSTERS: dict[str, Callable[[Model], None]] = {"demo": demo, "empty": empty}


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed command line; exits with 2 and a message on a bad one."""
    parser = argparse.ArgumentParser(
        prog="python -m replay.apiserver",
        description="A fake Kubernetes API server on loopback, with a small made-up cluster.",
    )
    parser.add_argument("--port", type=int, default=0, help="TCP port; 0 takes a free one")
    parser.add_argument("--cluster", choices=sorted(CLUSTERS), default="demo")
    parser.add_argument("--churn", action="store_true", help="keep changing objects")
    parser.add_argument("--rate", type=float, default=EVENTS_PER_SECOND, help="changes a second")
    parser.add_argument("--kubeconfig-out", type=Path, metavar="FILE")
    parser.add_argument("--context", default="demo", help="name of the kubeconfig's context")
    parser.add_argument("--tls", action="store_true", help="HTTPS (needs trustme)")
    parser.add_argument("--seed", type=int, default=0)
    found = parser.parse_args(argv)
    if found.rate <= 0:
        parser.error("--rate must be above 0")
    return found


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    # Each its own Random, so that who asks what changes nothing in the cluster.
    model = Model(random=Random(options.seed), wall_clock=time.time)
    CLUSTERS[options.cluster](model)
    # Clients of Kubernetes send no token over plain HTTP, so there everybody may do everything.
    tokens = TOKENS if options.tls else None
    server = ApiServer(model, random=Random(options.seed), tokens=tokens, powerless=POWERLESS)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            serve = partial(server.serve_tcp, options.port, tls=options.tls)
            endpoint: Endpoint = await nursery.start(serve, name="apiserver")
            await announce(endpoint, options)
            if options.churn:
                nursery.start_soon(Churn(model).run, options.rate, name="churn")
            async for _ in signals:
                break
            nursery.cancel_scope.cancel(reason="asked to stop by a signal")


async def announce(endpoint: Endpoint, options: argparse.Namespace) -> None:
    """Write the kubeconfig, then the one line that says the server is ready."""
    written: str | None = None
    if options.kubeconfig_out is not None:
        path = await trio.Path(options.kubeconfig_out).absolute()
        token = next(iter(TOKENS)) if options.tls else ""
        text = kubeconfig(endpoint, context=options.context, token=token)
        await path.write_text(text)
        await path.chmod(0o600)
        written = str(path)
    ready = {"server": endpoint.url, "kubeconfig": written}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the program."""
    trio.run(run, arguments(sys.argv[1:]))


if __name__ == "__main__":
    main()
