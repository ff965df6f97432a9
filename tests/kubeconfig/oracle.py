"""client-go as a process: setups that are laid out go in, what it makes of them comes out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.controlplane.fixture import Binaries
from tests.kubeconfig.setups import Setup

STOP_SECONDS = 10.0
# client-go has the path of a pod's service account built in. A mount namespace of its own gives
# the oracle one that it may write to, without root where the system lets users have namespaces.
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")
MOUNT = 'mount -t tmpfs tmpfs /var/run && exec "$0" "$@"'


class Problem(msgspec.Struct, frozen=True):
    """One field of a selected entry that cannot be used, as kubeconfigs spell it."""

    field: str
    text: str = ""


class Failure(msgspec.Struct, frozen=True):
    """Why there is no config; tests/controlplane/cmd/kubeconfig-oracle lists the classes."""

    class_: str = msgspec.field(name="class")
    files: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    text: str = ""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A config, perhaps with what a first request would trip over, or a failure."""

    config: dict[str, object] | None = None
    later: Problem | None = None
    error: Failure | None = None


_decoder = msgspec.json.Decoder(Answer)


def can_unshare() -> bool:
    """Whether this machine lets us have a mount namespace."""
    command = [*UNSHARE, "sh", "-c", MOUNT, "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Oracle:
    """The process, for the time of a `with` block; `pods` tells whether it can play one."""

    def __init__(self, binaries: Binaries) -> None:
        self.pods = can_unshare()
        command = [str(binaries.kubeconfig_oracle)]
        if self.pods:
            command = [*UNSHARE, "sh", "-c", MOUNT, *command, "--link-service-account"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __repr__(self) -> str:
        return f"<Oracle pid={self._process.pid} pods={self.pods}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise

    def ask(self, setup: Setup, root: Path) -> Answer:
        """What client-go makes of `setup`, as `Setup.lay_out` returned it, in `root`.

        AssertionError if the process has died; its stderr says why.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        flags = msgspec.to_builtins(setup.flags)
        line = json.dumps({"root": str(root), "env": setup.env, "flags": flags})
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, f"{self!r} has died of {setup!r}"
        return _decoder.decode(answer.replace(json.dumps(str(root))[1:-1].encode(), b"$ROOT"))
