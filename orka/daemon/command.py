"""`orkad`: flags and environment to a Config, then the daemon, in the foreground or detached.

What a running daemon needs is imported after the fork, so that the parent of `--background`
starts quickly and holds nothing that must not be forked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from orka import __version__
from orka.daemon.config import Config, Given, config_from
from orka.daemon.lifecycle import Detached, listening, notify_systemd, one_daemon, prepare_directory
from orka.proto.errors import ExitCode, OrkaError, Refused

LAST_WORDS_LINES = 20  # of a daemon that died while starting: the error and what led to it

SWITCH = Parameter(negative=(), show_default=False)  # there is no --no-background

app = App(
    name="orkad",
    version=f"orkad {__version__}",
    version_format="plaintext",
    help="Keep a live, truthful view of Kubernetes kinds and serve it to orkactl.",
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


def run(arguments: Sequence[str]) -> int:
    """Parse and obey; the exit status. What is wrong is said in one line on stderr."""
    try:
        status = app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f"orkad: {error}\n  see: orkad --help", file=sys.stderr)  # noqa: T201
        return int(ExitCode.USAGE)
    except OrkaError as error:
        return complain(error)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    return int(status or ExitCode.OK)


@app.default
def serve(
    *,
    background: Annotated[bool, SWITCH] = False,
    check: Annotated[bool, SWITCH] = False,
    socket: str | None = None,
    kubeconfig: str | None = None,
    context: str | None = None,
    watch: Annotated[tuple[str, ...], SWITCH] = (),
    prefer_crd: Annotated[bool, SWITCH] = False,
    replay: str | None = None,
    queue_cap: str | None = None,
    relist_secs: str | None = None,
    idle_secs: str | None = None,
    log: str | None = None,
    log_format: Literal["text", "json"] | None = None,
) -> int:
    """Serve until stopped by SIGTERM, SIGINT or `orkactl stop`.

    Parameters
    ----------
    background
        Detach; return 0 once the socket answers.
    check
        Serve nothing: load the kubeconfig, ask the cluster once, say what was found.
    socket
        Path of the socket [env: ORKA_SOCKET].
    kubeconfig
        Serve only the cluster of this file [env: KUBECONFIG, which does not pin].
    context
        Serve only this context.
    watch
        Watch this kind from the start and never drop it; may be repeated.
    prefer_crd
        Watch the first CRD from the start, or ConfigMaps where there is none.
    replay
        Serve a file of recorded deltas instead of a cluster.
    queue_cap
        Deltas per kind that may wait to be applied (2048) [env: ORKA_QUEUE_CAP].
    relist_secs
        Seconds between audits of a kind against a fresh list (300) [env: ORKA_RELIST_SECS].
    idle_secs
        Seconds after which a kind that nobody reads is dropped (1800) [env: ORKA_IDLE_SECS].
    log
        Levels by logger, e.g. `info,orka.kube=debug` (info) [env: ORKA_LOG].
    log_format
        `text` or `json`, on stderr (text).
    """
    config = config_from(
        Given(
            socket=socket,
            kubeconfig=kubeconfig,
            context=context,
            watch=watch,
            prefer_crd=prefer_crd,
            replay=replay,
            queue_cap=queue_cap,
            relist_seconds=relist_secs,
            idle_seconds=idle_secs,
            log=log,
            log_format=log_format,
        ),
        os.environ,
        os.getuid(),
    )
    if check:
        if background or replay is not None:
            raise Refused("--check serves nothing: not with --background or --replay")
        return check_here(config, os.environ)
    return start_detached(config) if background else run_here(config, os.environ, None)


def complain(error: OrkaError) -> int:
    """One line that says what was wrong, one that says what to do; the exit status."""
    print(f"orkad: {error.message}", file=sys.stderr)  # noqa: T201
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)  # noqa: T201
    return int(error.exit_code)


def start_detached(config: Config) -> int:
    """Fork the daemon away and wait for its first word; on failure print its last ones."""
    socket_path = Path(config.socket)
    prepare_directory(socket_path.parent)
    detached = Detached(socket_path.with_suffix(".log"))
    if detached.fork():
        sys.exit(_run_child(config, detached))
    word = detached.wait()
    if word is None:
        print("orkad: the daemon did not start; its last words:", file=sys.stderr)  # noqa: T201
        for line in detached.last_words(LAST_WORDS_LINES):
            print(f"  {line}", file=sys.stderr)  # noqa: T201
        return detached.exit_code()
    print(f"orkad {word['pid']} serves {config.socket}, log {detached.log_path}")  # noqa: T201
    return 0


def _run_child(config: Config, detached: Detached) -> int:
    try:
        return run_here(config, os.environ, detached)
    except OrkaError as error:
        return complain(error)


def run_here(config: Config, environ: Mapping[str, str], detached: Detached | None) -> int:
    """Be the daemon: lock, listen, serve until stopped. Raises OrkaError if that cannot be."""
    import faulthandler  # noqa: PLC0415

    from orka.daemon import logs, wiring  # noqa: PLC0415

    faulthandler.enable()
    logs.configure(config.log, config.log_format)
    socket_path = Path(config.socket)
    prepare_directory(socket_path.parent)
    with ExitStack() as stack:
        stack.enter_context(one_daemon(socket_path))
        listener = stack.enter_context(listening(socket_path, environ))

        def ready() -> None:
            notify_systemd(environ, "READY=1")
            if detached is not None:
                detached.report(pid=os.getpid())

        try:
            wiring.serve(config, environ, listener, ready)
        except* OrkaError as group:
            raise first_leaf(group) from group
        notify_systemd(environ, "STOPPING=1")
    return 0


def check_here(config: Config, environ: Mapping[str, str]) -> int:
    """Say what the kubeconfig means and whether its cluster knows us; the exit status."""
    from orka.daemon import check, logs  # noqa: PLC0415

    # What goes well stands in the report.
    logs.configure("warning" if config.log == "info" else config.log, config.log_format)
    report = check.check(config.target, environ)
    for line in report.lines:
        print(line)  # noqa: T201
    return 0 if report.error is None else complain(report.error)


def first_leaf(group: BaseExceptionGroup[OrkaError]) -> OrkaError:
    """The first error of a group: what the user is told; the log has the rest."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error  # type: ignore[return-value]
