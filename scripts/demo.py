"""The demo: a bundled API server, an orkad in front of it, and what orkactl shows of it.

Everything lives in a temporary directory and is stopped at the end. Exit 0 only if every step
did what it should.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

WATCH_SECONDS = 10
STEP_SECONDS = 30  # a step that takes longer has failed
BIN = Path(sys.executable).parent


class Demo:
    """Runs commands with an environment of their own and shows them as a person would type them."""

    def __init__(self, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        mine = ("ORKA_", "KUBE", "XDG_RUNTIME_DIR", "HOME")
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(mine)}
        self.environ |= {
            "HOME": str(folder),
            "KUBECONFIG": str(self.kubeconfig),
            "XDG_RUNTIME_DIR": str(folder),
        }

    def show(self, *command: str, expect: str) -> None:
        """Run a command to its end; its output must contain `expect`."""
        print(f"\n$ {' '.join(command)}", flush=True)
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            env=self.environ,
            stdout=subprocess.PIPE,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )
        print(done.stdout, end="", flush=True)
        if done.returncode:
            sys.exit(f"demo: {command[0]} ended with {done.returncode}")
        if expect not in done.stdout:
            sys.exit(f"demo: {' '.join(command)} did not say {expect!r}")

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command whose output is read while it runs."""
        return subprocess.Popen(
            [BIN / command[0], *command[1:]], env=self.environ, stdout=subprocess.PIPE, text=True
        )

    def watch_together(self, *kinds: str) -> None:
        """Watch several kinds at once for a while; each must have brought a change."""
        commands = [("orkactl", "watch", kind, "-A") for kind in kinds]
        print(f"\n$ {' & '.join(' '.join(command) for command in commands)}", flush=True)
        watches = [self.start(*command) for command in commands]
        time.sleep(WATCH_SECONDS)
        for kind, watch in zip(kinds, watches, strict=True):
            watch.send_signal(signal.SIGINT)
            lines = watch.communicate(timeout=STEP_SECONDS)[0].splitlines()
            for line in lines[:12]:
                print(line)
            print(f"({len(lines)} changes of {kind} in {WATCH_SECONDS} s)", flush=True)
            if watch.returncode != 130 or not lines:
                sys.exit(f"demo: watch {kind}: {len(lines)} changes, exit {watch.returncode}")


def main() -> None:
    """Walk through the steps."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orka-demo-")))
        demo = Demo(folder)
        server = demo.start(
            *("python", "-m", "replay.apiserver", "--tls", "--churn", "--seed", "7"),
            *("--kubeconfig-out", str(demo.kubeconfig)),
        )
        stack.callback(_end, server)
        assert server.stdout is not None
        print(f"a made-up cluster at {json.loads(server.stdout.readline())['server']}")
        demo.show("orkad", "--background", expect="serves")
        stack.callback(
            subprocess.run, [BIN / "orkactl", "stop"], env=demo.environ, capture_output=True
        )
        demo.show("orkactl", "discover", expect="Certificate")
        demo.show("orkactl", "ls", "certificates", "-A", expect="NAMESPACE")
        demo.watch_together("pods", "certificates")
        demo.show("orkactl", "status", expect="live")
        demo.show("orkactl", "stop", expect="")
    print("\ndemo: everything did what it should")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(STEP_SECONDS)


if __name__ == "__main__":
    main()
