"""What a test has of orka: real processes with a home, a socket and an environment of their own."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.processes import (
    COMMAND_SECONDS,
    STOP_SECONDS,
    Done,
    Record,
    Running,
    Watch,
    eventually,
)
from tests.e2e.servers import Server, kubeconfig_of

BIN = Path(sys.executable).parent  # where orka is installed
START_SECONDS = 20.0  # two busy cores start fifty Pythons in half of that
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")  # the rest of the caller's environment is the caller's


class Daemon:
    """An orkad in the foreground; its log is a file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.pid = process.pid
        self._log = log

    @property
    def log(self) -> str:
        """Everything it has said so far."""
        return self._log.read_text("utf-8", "replace")

    def signal(self, number: signal.Signals) -> None:
        """Send it."""
        self.process.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit status, once it has ended."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"orkad still runs after {seconds:g} s\n{self.log}") from None

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()


class Orka:
    """What a test has of orka; leaving it ends every process that was started through it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.runtime = folder / "run"
        self.socket = self.runtime / "orka" / "orkad.sock"
        self.runtime.mkdir(mode=0o700)
        self._stack = ExitStack()
        self._logs: list[Path] = []
        self._commands: list[Done] = []

    def __enter__(self) -> Self:
        self._stack.callback(self._end_background)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def environ(self, **variables: str) -> dict[str, str]:
        """The environment of every process, and these variables."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return {
            **kept,
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "KUBECONFIG": str(self.kubeconfig),
            **variables,
        }

    def use(self, *servers: Server, current: int = 0, namespace: str = "") -> None:
        """Write the kubeconfig that the test's shell means."""
        write_atomically(
            self.kubeconfig, kubeconfig_of(*servers, current=current, namespace=namespace)
        )

    # -- orkad ---------------------------------------------------------------------------

    @contextmanager
    def daemon(self, *flags: str, **variables: str) -> Iterator[Daemon]:
        """An orkad in the foreground that answers; killed at the end if it still runs."""
        log = self.folder / f"orkad-{len(self._logs)}.log"
        self._logs.append(log)
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [BIN / "orkad", *flags],
                env=self.environ(**variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            ) as process,
        ):
            daemon = Daemon(process, log)
            try:
                eventually(lambda: self._answers(daemon), START_SECONDS, "orkad answers")
                yield daemon
            finally:
                process.kill()

    def start(self, *flags: str, **variables: str) -> Daemon:
        """The same until the end of the test."""
        return self._stack.enter_context(self.daemon(*flags, **variables))

    def _answers(self, daemon: Daemon) -> bool:
        assert daemon.process.poll() is None, f"orkad ended with {daemon.process.returncode}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.connect(str(self.socket))
            return True
        return False

    def orkad(self, *flags: str, **variables: str) -> Done:
        """An orkad that is expected to end: `--background`, or one that cannot start."""
        return self._run("orkad", flags, START_SECONDS, variables)

    def _end_background(self) -> None:
        """Kill what `--background` left, and wait until the kernel has given its lock back.

        It is no child of ours, and a container may have nobody who reaps it, so its lock says
        more than its pid does.
        """
        lock = self.socket.with_name("orkad.sock.lock")
        log = self.socket.with_suffix(".log")
        if log.exists():
            self._logs.append(log)
        if not lock.exists():
            return
        with lock.open() as held:
            if _free(held.fileno()):
                return
            with suppress(ProcessLookupError):
                os.kill(int(held.read()), signal.SIGKILL)
            eventually(lambda: _free(held.fileno()), STOP_SECONDS, "orkad is gone")

    # -- orkactl -------------------------------------------------------------------------

    def ctl(self, *args: str, seconds: float = COMMAND_SECONDS, **variables: str) -> Done:
        """Run orkactl to its end."""
        return self._run("orkactl", args, seconds, variables)

    def watch(self, *args: str, **variables: str) -> Watch:
        """Start `orkactl watch -o json`; it is killed at the end of the test."""
        argv = [str(BIN / "orkactl"), "watch", *args, "-o", "json"]
        return self._stack.enter_context(Watch(argv, self.environ(**variables)))

    def running(self, *args: str, **variables: str) -> Running:
        """Start any other orkactl that does not end by itself."""
        argv = [str(BIN / "orkactl"), *args]
        return self._stack.enter_context(Running(argv, self.environ(**variables)))

    def status(self) -> Record:
        """`orkactl status -o json`."""
        status: Record = self.ctl("status", "-o", "json").json()
        return status

    def kind(self, resource: str) -> Record:
        """What `status` says of the only kind of this name."""
        found: list[Record] = [
            kind
            for cluster in self.status()["clusters"]
            for kind in cluster["kinds"]
            if kind["resource"] == resource
        ]
        assert len(found) == 1, found
        return found[0]

    def state(self, resource: str) -> str:
        """The state that `status` gives for a kind."""
        return str(self.kind(resource)["truth"]["state"])

    def _run(
        self, program: str, args: tuple[str, ...], seconds: float, variables: Mapping[str, str]
    ) -> Done:
        argv = [str(BIN / program), *args]
        with Running(argv, self.environ(**variables)) as running:
            done = running.end(seconds)
        self._commands.append(done)
        return done

    def story(self) -> str:
        """What happened, for the report of a failed test."""
        commands = "".join(
            f"$ {done.command}  -> {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            for done in self._commands[-10:]
        )
        logs = "".join(
            f"--- {log.name}\n{log.read_text('utf-8', 'replace')[-8000:]}"
            for log in self._logs
            if log.exists()
        )
        return commands + logs


def write_atomically(path: Path, text: str) -> None:
    """As kubectl writes a kubeconfig: nobody reads half of it."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)


def _free(descriptor: int) -> bool:
    """Whether nobody holds the lock on this file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True
