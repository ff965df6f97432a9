"""Real proxies on free loopback ports: tinyproxy and microsocks, as scripts/proxies has them.

Everything here blocks for some milliseconds, like starting any program.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orka.daemon.kube.connection import Basic, Proxy

START_SECONDS = 10.0
USER = Basic("proxy-user", "proxy-pass")


def _program(name: str) -> str:
    """Where it is; skips the test without it, unless ORKA_REQUIRE_PROXIES=1."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is not None:
        return path
    if os.environ.get("ORKA_REQUIRE_PROXIES") == "1":
        pytest.fail(f"{name} is not installed; run scripts/proxies as root")
    pytest.skip(f"{name} is not installed; scripts/proxies installs it")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def _running(argv: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out, stderr=out) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, f"{argv[0]} does not listen"
                time.sleep(0.01)
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def tinyproxy(folder: Path, user: Basic | None = None) -> Iterator[Proxy]:
    """An HTTP proxy; with `user` it takes nobody else."""
    program, port = _program("tinyproxy"), _free_port()
    lines = [
        f"Port {port}",
        "Listen 127.0.0.1",
        "Timeout 600",
        "MaxClients 100",
        "LogLevel Connect",
    ]
    if user is not None:
        lines.append(f"BasicAuth {user.username} {user.password}")
    config, log = folder / "tinyproxy.conf", folder / "tinyproxy.log"
    config.write_text("\n".join(lines) + "\n")
    with _running([program, "-d", "-c", str(config)], port, log):
        yield Proxy("http", "127.0.0.1", port, user)


@contextlib.contextmanager
def microsocks(folder: Path, user: Basic | None = None) -> Iterator[Proxy]:
    """A SOCKS5 proxy; with `user` it takes nobody else."""
    program, port = _program("microsocks"), _free_port()
    argv = [program, "-i", "127.0.0.1", "-p", str(port)]
    if user is not None:
        argv += ["-u", user.username, "-P", user.password]
    log = folder / "microsocks.log"
    with _running(argv, port, log):
        yield Proxy("socks5", "127.0.0.1", port, user)
