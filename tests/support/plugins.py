"""Credential plugins: real scripts in a folder, and one that exists in memory only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from orka.daemon.kube.connection import ExecPlugin
from orka.daemon.kube.programs import Said

V1 = "client.authentication.k8s.io/v1"


def printed(api_version: str = V1, **status: str) -> str:
    """The ExecCredential that a plugin prints."""
    return json.dumps({"apiVersion": api_version, "kind": "ExecCredential", "status": status})


def script(folder: Path, body: str, name: str = "login") -> ExecPlugin:
    """A plugin that is this shell script."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return ExecPlugin(str(path))


@dataclass
class FakeProgram:
    """A `RunProgram` that prints what the test says, when it says so; the n-th run gives `t<n>`.

    `outputs` come first, each a whole stdout or an exit code; `gate`, while it is set, is waited
    for by every run.
    """

    outputs: list[str | int] = field(default_factory=list)
    stderr: bytes = b""
    seconds: float = 0.0
    runs: int = 0
    running: int = 0
    argv: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)  # beside the token

    async def __call__(
        self, _path: str, argv: Sequence[str], environ: Mapping[str, str], said: Said
    ) -> int:
        """See `RunProgram`."""
        self.runs += 1
        self.running += 1
        self.argv, self.environ = argv, environ
        said.stderr += self.stderr
        try:
            await trio.sleep(self.seconds)
        finally:
            self.running -= 1
        output = self.outputs.pop(0) if self.outputs else None
        if isinstance(output, int):
            return output
        said.stdout += (output or printed(token=f"t{self.runs}", **self.status)).encode()
        return 0
