"""The server over real TCP and TLS, and as a program."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from replay.apiserver import ApiServer, Endpoint
from tests.replay.conftest import CERTIFICATES, IN_SHOP
from tests.replay.http_client import Client, CutError

LONG_SECONDS = 10.0  # nothing here should take as long; a hang fails instead


@asynccontextmanager
async def dial_tcp(endpoint: Endpoint) -> AsyncIterator[Client]:
    """A client over TCP, or TLS where the endpoint has a CA."""
    host, _, port = endpoint.url.rpartition("/")[2].partition(":")
    stream: trio.abc.Stream = await trio.open_tcp_stream(host, int(port))
    if endpoint.ca_pem:
        context = ssl.create_default_context(cadata=endpoint.ca_pem.decode())
        stream = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        yield Client(stream)
    finally:
        await trio.aclose_forcefully(stream)


async def is_refused(endpoint: Endpoint) -> bool:
    """Whether a new connection fails."""
    try:
        async with dial_tcp(endpoint):
            return False
    except OSError:
        return True


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_lists_and_watches_work_over_sockets(
    server: ApiServer, nursery: trio.Nursery, scheme: str
) -> None:
    """With and without TLS; the CA that the endpoint names vouches for the server."""
    endpoint = await nursery.start(partial(server.serve_tcp, tls=scheme == "https"))
    with trio.fail_after(LONG_SECONDS):
        async with dial_tcp(endpoint) as client:
            rv = (await client.get(CERTIFICATES)).json()["metadata"]["resourceVersion"]
            lines = await client.watch(f"{CERTIFICATES}?watch=1&resourceVersion={rv}")
            server.model.delete("certificates", "web-0", "shop")
            deleted = await lines.names(1)
            server.drop_watches()
            ended = await lines.event()
            await client.next_cycle()
            after = (await client.get(IN_SHOP)).status
    nursery.cancel_scope.cancel()

    assert (deleted, ended, after) == ([("DELETED", "web-0")], None, 200)
    assert endpoint.url.startswith(f"{scheme}://127.0.0.1:")
    assert {record.connection for record in server.requests} == {1}


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_cut_with_reset_breaks_the_connection(
    server: ApiServer, nursery: trio.Nursery, scheme: str
) -> None:
    """The client sees its stream break, whatever of the half line arrives."""
    endpoint = await nursery.start(partial(server.serve_tcp, tls=scheme == "https"))
    with trio.fail_after(LONG_SECONDS):
        async with dial_tcp(endpoint) as client:
            lines = await client.watch(f"{CERTIFICATES}?watch=1&resourceVersion=99")
            server.cut_mid_line(reset=True)
            with pytest.raises(CutError):
                await lines.event()
    nursery.cancel_scope.cancel()


async def test_refused_connections_are_refused_by_the_kernel(
    server: ApiServer, nursery: trio.Nursery
) -> None:
    """While refusing the port is closed; accept opens the same port again."""
    endpoint = await nursery.start(server.serve_tcp)
    with trio.fail_after(LONG_SECONDS):
        async with dial_tcp(endpoint) as client:
            await client.get("/readyz")
            server.refuse()
            while not await is_refused(endpoint):
                await trio.lowlevel.checkpoint()
            open_one = (await client.get("/readyz")).status
            server.accept()
            while await is_refused(endpoint):
                await trio.lowlevel.checkpoint()
        async with dial_tcp(endpoint) as again:
            new_one = (await again.get("/readyz")).status
    nursery.cancel_scope.cancel()

    assert (open_one, new_one) == (200, 200)


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "options"), [(signal.SIGTERM, []), (signal.SIGINT, ["--tls"])])
def test_the_program_serves_until_a_signal(
    tmp_path: Path, stop: signal.Signals, options: list[str]
) -> None:
    """One JSON line when ready, a kubeconfig that works, exit 0 on a signal."""
    config = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "replay.apiserver", "--churn", "--seed", "5"]
    command += ["--kubeconfig-out", str(config), *options]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        text = config.read_text()
        process.send_signal(stop)
        assert process.wait(LONG_SECONDS) == 0

    assert ready["kubeconfig"] == str(config)
    assert f'server: "{ready["server"]}"' in text
    assert 'current-context: "demo"' in text
    assert ("certificate-authority-data: " in text) is bool(options)
    assert ("demo-token" in text) is bool(options)
    assert config.stat().st_mode & 0o777 == 0o600
    assert os.fspath(root) not in text


@pytest.mark.slow
def test_a_bad_option_is_a_usage_error() -> None:
    """The message names the option."""
    command = [sys.executable, "-m", "replay.apiserver", "--rate", "0"]

    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )

    assert done.returncode == 2
    assert "--rate must be above 0" in done.stderr
