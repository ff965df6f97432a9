"""Watches that live through the rotation of what they authenticate with, on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.client import ENDED_APART_SECONDS, LOOK_SECONDS, HttpxKubeClient
from orka.daemon.kube.connection import Connection, Credentials, ExecPlugin, StaticToken, TokenFile
from orka.daemon.kube.exec_plugin import Plugins
from orka.daemon.kube.transport import StreamTransport
from orka.daemon.kube.watch import ReflectorConfig, ReflectorSource
from orka.daemon.model import Resource, UpstreamLedger
from replay.apiserver import ApiServer, definition
from tests.daemon.kube.harness import ModelSink, eventually
from tests.support.fakes import RecordingCounters, TrioClock
from tests.support.kubeconfigs import Files
from tests.support.plugins import FakeProgram, printed

KINDS = 40
PLUGIN = Credentials(plugin=ExecPlugin("/bin/sh"))


@dataclass
class Rig:
    """A server that knows tokens, forty kinds watched through one client, and its plugin."""

    server: ApiServer
    tokens: dict[str, str]
    client: HttpxKubeClient
    program: FakeProgram
    files: Files
    sinks: list[ModelSink] = field(default_factory=list)

    @property
    def states(self) -> set[str]:
        """Every state that any kind is in."""
        return {sink.state for sink in self.sinks if sink.truths}

    async def until_live(self) -> None:
        """Wait until every kind is."""
        await eventually(lambda: self.states == {"live"} and all(s.truths for s in self.sinks))

    async def until_shown(self, name: str) -> None:
        """Wait until every kind shows an object of this name."""
        await eventually(lambda: all(("shop", name) in sink.objects for sink in self.sinks))

    def create(self, name: str) -> None:
        """One more object of every kind."""
        for number in range(KINDS):
            meta = {"namespace": "shop", "name": name}
            self.server.model.create(f"things{number}", {"metadata": meta})

    def lists(self) -> int:
        """How many lists the server was asked for, of either form."""
        return len(self.server.seen("list")) + len(self.server.seen("watchlist"))

    def asked(self, status: int) -> int:
        """How many requests were answered so."""
        return sum(record.status == status for record in self.server.requests)


@asynccontextmanager
async def rig(credentials: Credentials = PLUGIN) -> AsyncIterator[Rig]:
    """All of it, running until the block ends."""
    tokens = {"t1": "me"}
    server = ApiServer(random=Random(7), tokens=tokens)
    for number in range(KINDS):
        crd = definition("example.io", f"Thing{number}", f"things{number}")
        server.model.create("customresourcedefinitions", crd)
    program = FakeProgram(seconds=1)
    files = Files({"/token": "t1"})
    plugins = Plugins({}, TrioClock(), program=program)
    async with server.memory() as connect, trio.open_nursery() as nursery:

        async def dial(_host: str, _port: int) -> trio.abc.Stream:
            return await connect()

        client = HttpxKubeClient(
            Connection("http://fake:80", user="me", credentials=credentials),
            plugins=plugins,
            dial=dial,
            unary=StreamTransport,
            read=files.read,
        )
        all_of_it = Rig(server, tokens, client, program, files)
        nursery.start_soon(plugins.run)
        nursery.start_soon(client.run)
        for number in range(KINDS):
            sink = ModelSink()
            all_of_it.sinks.append(sink)
            nursery.start_soon(source_of(client, number).run, sink)
        yield all_of_it
        nursery.cancel_scope.cancel(reason="the test is over")
        await client.aclose()


def source_of(client: HttpxKubeClient, number: int) -> ReflectorSource:
    """The reflector of one kind."""
    return ReflectorSource(
        client,
        Resource("example.io", "v1", f"Thing{number}", f"things{number}", namespaced=True),
        ReflectorConfig("dev", float("inf")),
        random=Random(number),
        ledger=UpstreamLedger(),
        counters=RecordingCounters(),
        served=_served,
    )


async def _served() -> bool:
    await trio.lowlevel.checkpoint()
    return True


async def test_forty_kinds_that_see_a_401_at_once_cost_one_plugin_run_and_no_list(
    autojump_clock: MockClock,
) -> None:
    """Every watch is reopened with the new token where it was; nobody has to wait or is told."""
    async with rig() as all_of_it:
        await all_of_it.until_live()
        assert all_of_it.program.runs == 1
        lists = all_of_it.lists()
        await trio.sleep(5)
        told = [len(sink.truths) for sink in all_of_it.sinks]
        all_of_it.tokens.clear()
        all_of_it.tokens["t2"] = "me"
        all_of_it.server.drop_watches()
        all_of_it.create("a")
        await all_of_it.until_shown("a")

        assert all_of_it.asked(401) == KINDS
        assert all_of_it.program.runs == 2
        assert all_of_it.lists() == lists
        assert [len(sink.truths) for sink in all_of_it.sinks] == told


async def test_a_401_for_ever_is_explained_and_not_hammered(autojump_clock: MockClock) -> None:
    """Stale, with what is shown kept; at most a few rounds of requests a minute for all kinds."""
    async with rig() as all_of_it:
        all_of_it.create("a")
        await all_of_it.until_shown("a")
        await trio.sleep(5)
        all_of_it.tokens.clear()
        all_of_it.server.drop_watches()
        await trio.sleep(3600)

        assert all_of_it.states == {"stale"}
        assert all(("shop", "a") in sink.objects for sink in all_of_it.sinks)
        assert any("401" in sink.truths[-1].reason for sink in all_of_it.sinks)
        assert all_of_it.program.runs <= 3 + 60
        assert all_of_it.asked(401) <= 60 * KINDS
        all_of_it.tokens[f"t{all_of_it.program.runs + 1}"] = "me"
        all_of_it.program.outputs.extend([printed(token="t")] * 100)
        all_of_it.tokens["t"] = "me"
        await all_of_it.until_live()


@pytest.mark.parametrize("broken", ["hangs", "fails"])
async def test_a_plugin_that_hangs_or_fails_makes_its_kinds_stale_in_its_own_words(
    broken: str, autojump_clock: MockClock
) -> None:
    """Few runs, whatever the number of kinds; once it works again, so does everything else."""
    async with rig() as all_of_it:
        await all_of_it.until_live()
        lists = all_of_it.lists()
        await trio.sleep(5)
        all_of_it.tokens.clear()
        all_of_it.program.stderr = b"\x1b[1mno network: token=abc\x1b[0m\n"
        if broken == "hangs":
            all_of_it.program.seconds = 1e6
        else:
            all_of_it.program.outputs = [1] * 1000
        all_of_it.server.drop_watches()
        await trio.sleep(1800)

        assert all_of_it.states == {"stale"}
        for sink in all_of_it.sinks:
            reason = sink.truths[-1].reason
            assert reason.startswith("watch failed: unauthorized: exec: ")
            assert reason.endswith(": no network: token=[cut]")
        assert all_of_it.program.runs <= 40
        all_of_it.program.outputs = [printed(token="t")] * 100
        all_of_it.program.seconds = 0
        all_of_it.tokens["t"] = "me"
        await all_of_it.until_live()
        assert all_of_it.lists() == lists


async def test_a_first_sync_without_credentials_says_why(autojump_clock: MockClock) -> None:
    """Nothing is shown yet, so the kinds are syncing; nothing was sent."""
    async with rig() as all_of_it:
        all_of_it.program.outputs = [1] * 5 + [printed(token="t1")]
        await trio.sleep(3)

        assert all_of_it.states == {"syncing"}
        assert all("exit code 1" in sink.truths[-1].reason for sink in all_of_it.sinks)
        assert not all_of_it.server.requests
        await all_of_it.until_live()


async def test_a_rotated_token_file_closes_no_watch(autojump_clock: MockClock) -> None:
    """Streams outlive their token; the next request has the new one."""
    async with rig(Credentials(TokenFile("/token"))) as all_of_it:
        await all_of_it.until_live()
        all_of_it.files.content["/token"] = "t2"
        all_of_it.tokens["t2"] = "me"
        del all_of_it.tokens["t1"]
        await trio.sleep(60)
        all_of_it.create("a")
        await all_of_it.until_shown("a")
        assert len(all_of_it.server.seen()) == KINDS
        await trio.sleep(600)

        assert all_of_it.asked(401) == 0
        assert all_of_it.lists() == KINDS


async def test_adopted_credentials_close_no_watch(autojump_clock: MockClock) -> None:
    """A new token in the kubeconfig: what runs goes on, what comes is sent with it."""
    async with rig(Credentials(StaticToken("t1"))) as all_of_it:
        await all_of_it.until_live()
        all_of_it.tokens.clear()
        all_of_it.tokens["new"] = "me"
        connection = all_of_it.client.connection
        all_of_it.client.adopt(replace(connection, credentials=Credentials(StaticToken("new"))))
        await trio.sleep(LOOK_SECONDS + ENDED_APART_SECONDS)
        assert len(all_of_it.server.seen()) == KINDS
        await trio.sleep(700)
        all_of_it.create("a")
        await all_of_it.until_shown("a")

        assert (all_of_it.asked(401), all_of_it.lists()) == (0, KINDS)
