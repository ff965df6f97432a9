"""What tests of orkactl share: a socket path, the client as a process and in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from orka.client.cli import main
from tests.support.client import Finished, Run


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """A path short enough for a socket, in a folder of ours."""
    with TemporaryDirectory(prefix="orka-") as folder:
        yield Path(folder) / "orkad.sock"


@pytest.fixture
def environ(socket_path: Path) -> dict[str, str]:
    """An environment of its own for the client: this socket, a home without kubeconfig."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(socket_path.parent), "ORKA_SOCKET": str(socket_path)}


@pytest.fixture
def orkactl(environ: dict[str, str]) -> Run:
    """Runs orkactl as a process of its own."""

    def run(*arguments: str) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "orka.client.cli", *arguments],
            env=environ,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def orkactl_here(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs orkactl's main in this process, which is faster and seen by coverage."""
    for name in ("KUBECONFIG", "ORKA_SOCKET", "XDG_RUNTIME_DIR", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Finished:
        status = main(list(arguments))
        captured = capsys.readouterr()
        return Finished(status, captured.out, captured.err)

    return run
