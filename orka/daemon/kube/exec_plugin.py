"""A kubeconfig's credential plugin to its credentials: run once for all who wait, kept till expiry.

Runs belong to `Plugins.run`, not to whoever asked: a request that gives up does not kill a login
that somebody is completing in a browser, and forty that wait share one run.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field

import trio

from orka.daemon.kube.connection import ExecPlugin
from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.exec_credential import (
    BadPluginError,
    Credential,
    MissingPluginError,
    credential_in,
    environment,
)
from orka.daemon.kube.kubeconfig_files import why_unreadable
from orka.daemon.kube.last_words import (
    SECRET_MIN_CHARS,
    escaped,
    last_words,
    plain,
    words_of,
)
from orka.daemon.kube.programs import STDOUT_MAX_BYTES, RunProgram, Said, run_program
from orka.daemon.kube.tls import why_no_pair
from orka.daemon.model import Clock

PLUGIN_SECONDS = 60.0  # a login in a browser takes tens of seconds; kubectl would wait for ever
# Below every deadline that a request has for its headers, so that the plugin is named as the
# reason and not the server.
PATIENCE_SECONDS = 8.0
# Credentials that expire as soon as they are printed are used for so long nevertheless: kinds
# that open their watches one after the other must not each run the program.
USED_AT_LEAST_SECONDS = 5.0
# A 401 for credentials that a 401 has just asked for will not be cured by a third run.
RENEWED_RECENTLY_SECONDS = 30.0
RETRY_SECONDS = 5.0  # after a failure, doubling
RETRY_CAP_SECONDS = 60.0
PLUGINS_MAX_COUNT = 64  # users of kubeconfigs at a time; a forgotten one is run again
RUNS_AHEAD = 1024  # asked for in one instant

log = logging.getLogger("orka.kube.credentials")


@dataclass(frozen=True, slots=True)
class Issued:
    """Credentials of one run."""

    credential: Credential
    number: int  # of the run
    at: float  # monotonic
    at_wall: float
    renewed: bool  # asked for because the server had refused those before


@dataclass(slots=True, eq=False)
class _Run:
    """One run under way, and what came of it."""

    renews: bool
    said: Said = field(default_factory=Said)
    done: trio.Event = field(default_factory=trio.Event)
    issued: Issued | None = None
    failure: KubeError | None = None

    def result(self) -> Issued:
        if self.failure is not None:
            raise KubeError(self.failure.failure, hint=self.failure.hint)
        assert self.issued is not None
        return self.issued


class Plugin:
    """One program's credentials; made by `Plugins.of`."""

    def __init__(self, plugin: ExecPlugin, plugins: Plugins) -> None:
        self.plugin = plugin
        self.shown = plain(plugin.command)
        self.name = self.shown.rpartition("/")[2]
        self.issued: Issued | None = None
        self.runs = 0
        self.last_failure: str | None = None  # of the last run; None once one succeeds
        self._plugins = plugins
        self._run: _Run | None = None
        self._failures = 0  # in a row
        self._retry_at = float("-inf")
        self._refusal: KubeError | None = None  # what the last run failed with, till the next

    def __repr__(self) -> str:
        return f"<Plugin {self.name} runs={self.runs} running={self._run is not None}>"

    @property
    def running(self) -> bool:
        """Whether the program is at work, or about to be."""
        return self._run is not None

    async def credentials(self, *, refused: int | None = None) -> Issued:
        """Credentials to be used now, those of run `refused` not being good enough.

        Raises KubeError (UNAUTHORIZED) with the program's own last words when it fails, and when it
        takes longer than a request waits for it; it is then still waited for by the next one.
        """
        await trio.lowlevel.checkpoint()
        issued = self.issued
        if issued is not None and not self._outdated(issued, refused):
            return issued
        if self._run is None:
            self._raise_if_resting()
            self._run = _Run(renews=refused is not None)
            self._plugins.start(self)
        run = self._run
        with trio.move_on_after(PATIENCE_SECONDS):
            await run.done.wait()
        if not run.done.is_set():
            raise _error(f"exec: {self.shown} has given no answer yet", self._words(run.said))
        return run.result()

    def recently_renewed(self, number: int) -> bool:
        """Whether the credentials of this run are a 401's fresh ones: there are no better."""
        issued = self.issued
        return (
            issued is not None
            and issued.number == number
            and issued.renewed
            and trio.current_time() - issued.at < RENEWED_RECENTLY_SECONDS
        )

    def _outdated(self, issued: Issued, refused: int | None) -> bool:
        if issued.number == refused:
            return True
        expires = issued.credential.expires_at
        if expires is None or self._plugins.clock.wall() <= expires:
            return False
        return trio.current_time() - issued.at >= USED_AT_LEAST_SECONDS

    def _raise_if_resting(self) -> None:
        left = self._retry_at - trio.current_time()
        if self._refusal is not None and left > 0:
            failure = self._refusal.failure
            raise KubeError(
                Failure(failure.kind, failure.message, retry_after_seconds=left),
                hint=self._refusal.hint,
            )

    async def perform(self) -> None:
        """The run that was asked for, from its start to its result; never raises for a failure."""
        run = self._run
        assert run is not None
        self.runs += 1
        try:
            credential = await self._once(run.said)
        except BadPluginError as exc:
            missing = isinstance(exc, MissingPluginError)
            self._failed(run, f"exec: {exc}", self.plugin.install_hint if missing else "")
        else:
            now, wall = trio.current_time(), self._plugins.clock.wall()
            run.issued = self.issued = Issued(credential, self.runs, now, wall, run.renews)
            self._failures, self._refusal, self.last_failure = 0, None, None
            log.info("plugin-ran name=%s run=%d", self.name, self.runs)
        self._run = None
        run.done.set()

    def _failed(self, run: _Run, why: str, hint: str) -> None:
        seconds = min(RETRY_SECONDS * 2 ** min(self._failures, 16), RETRY_CAP_SECONDS)
        self._failures += 1
        self._retry_at = trio.current_time() + seconds
        self._refusal = run.failure = _error(why, self._words(run.said), escaped(hint))
        self.last_failure = run.failure.failure.message
        level = logging.WARNING if self._failures == 1 else logging.INFO
        log.log(level, "plugin-failed name=%s why=%r", self.name, self.last_failure)

    def _words(self, said: Said) -> str:
        """What it last said on stderr, without what it was given or gave in confidence."""
        given = {value for _, value in self.plugin.env if len(value) >= SECRET_MIN_CHARS}
        return last_words(bytes(said.stderr), words_of(bytes(said.stdout)) | given)

    async def _once(self, said: Said) -> Credential:
        """One run; BadPluginError for whatever is wrong with it."""
        plugin = self.plugin
        name = f"executable {self.shown}"
        environ = environment(plugin, self._plugins.environ)
        path = _lookup(plugin.command, self._plugins.environ.get("PATH", ""))
        if path is None:
            raise MissingPluginError(f"{name} not found")
        argv = (plugin.command, *plugin.args)
        try:
            with trio.fail_after(PLUGIN_SECONDS):
                code = await self._plugins.program(path, argv, environ, said)
        except trio.TooSlowError:
            raise BadPluginError(f"{name} gave no answer within {PLUGIN_SECONDS:g} s") from None
        except OSError as exc:
            raise BadPluginError(f"{name}: {why_unreadable(exc)}") from None
        except ValueError:  # its text quotes the environment
            raise BadPluginError(f"{name}: its args or env cannot be passed on") from None
        if said.too_much:
            raise BadPluginError(f"{name} printed over {STDOUT_MAX_BYTES} bytes")
        if code:
            ended = f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}"
            raise BadPluginError(f"{name} {ended}")
        try:
            return _usable(credential_in(plugin, bytes(said.stdout)))
        except BadPluginError as exc:
            raise BadPluginError(f"{name}: {exc}") from None


class Plugins:
    """Every credential plugin of the process; `run` owns the programs.

    `environ` is what the programs get beside their entries: orkad's own environment, since it is
    orkad that starts them. `program` runs one.
    """

    def __init__(
        self, environ: Mapping[str, str], clock: Clock, *, program: RunProgram = run_program
    ) -> None:
        self.environ = environ
        self.clock = clock
        self.program = program
        self._plugins: dict[ExecPlugin, Plugin] = {}
        self._starts, self._to_start = trio.open_memory_channel[Plugin](RUNS_AHEAD)

    def __repr__(self) -> str:
        return f"<Plugins {list(self._plugins.values())}>"

    def of(self, plugin: ExecPlugin) -> Plugin:
        """The one that all users of this entry share."""
        known = self._plugins.get(plugin)
        if known is None:
            while len(self._plugins) >= PLUGINS_MAX_COUNT:
                del self._plugins[next(iter(self._plugins))]
            known = self._plugins[plugin] = Plugin(plugin, self)
        return known

    def start(self, plugin: Plugin) -> None:
        """Run it soon."""
        self._starts.send_nowait(plugin)

    async def run(self) -> None:
        """Own the programs until cancelled; they are killed then."""
        async with trio.open_nursery() as nursery:
            async for plugin in self._to_start:
                nursery.start_soon(plugin.perform, name=f"exec {plugin.name}")


def _lookup(command: str, path: str) -> str | None:
    """Where the program is; never in whatever folder orkad happened to be started in."""
    if "/" in command:
        return command if os.path.exists(command) else None  # noqa: PTH110 -- of any text
    folders = [folder for folder in path.split(":") if folder.startswith("/")]
    return shutil.which(command, path=":".join(folders))


def _usable(credential: Credential) -> Credential:
    if credential.certificate is not None:
        why = why_no_pair(credential.certificate)
        if why:
            raise BadPluginError(f"its certificate and key: {why}")
    return credential


def _error(message: str, words: str, hint: str = "") -> KubeError:
    said = f"{message}: {words}" if words else message
    return KubeError(Failure(FailureKind.UNAUTHORIZED, said), hint=hint or None)
