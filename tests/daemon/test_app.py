"""The nursery tree over a real Unix socket: it serves, it stops in order, it says what it does."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
import trio
from trio.testing import MockClock

from orka.daemon import app
from orka.daemon.config import Given, config_from
from orka.daemon.instruments import SLOW_STEP_SECONDS, Instruments, StepWatch
from orka.daemon.kinds import Settings
from orka.daemon.lifecycle import listening
from orka.daemon.model import SystemClock
from orka.daemon.recorded import Recorded, RecordedCluster, read_recording
from orka.proto.errors import Refused
from orka.proto.frames import FrameReader, frame
from orka.proto.handshake import CAPABILITIES
from orka.proto.messages import (
    AllNamespaces,
    ClientMessage,
    End,
    Hello,
    ServerMessage,
    Status,
    StatusReport,
    Stop,
    Synced,
    Target,
    Watch,
    decode_server,
    encode,
)
from orka.proto.names import CLIENT_FRAME_MAX_BYTES, PROTOCOL, SERVER_FRAME_MAX_BYTES
from replay.apiserver import ApiServer
from tests.support.whole import TARGET, whole_daemon

CORPUS = Path(__file__).parents[2] / "replay" / "corpus" / "tiny.ndjson"
SECONDS = 10  # a real daemon on a busy machine


class Talk:
    """A client on a real socket."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._reader = FrameReader(SERVER_FRAME_MAX_BYTES)
        self._heard: list[ServerMessage] = []

    async def say(self, *messages: ClientMessage) -> None:
        """Send hello and these."""
        hello = Hello(PROTOCOL, "test", CAPABILITIES)
        for message in (hello, *messages):
            await self._stream.send_all(frame(encode(message), CLIENT_FRAME_MAX_BYTES))

    async def until(self, kind: type[ServerMessage]) -> ServerMessage:
        """The first message of this type."""
        with trio.fail_after(SECONDS):
            while True:
                while self._heard:
                    message = self._heard.pop(0)
                    if isinstance(message, kind):
                        return message
                data = await self._stream.receive_some()
                assert data, "the daemon closed"
                for payload in self._reader.receive_data(data):
                    decoded = decode_server(payload)
                    assert decoded is not None
                    self._heard.append(decoded)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[str]:
    """A daemon over the tiny recording; gives its socket's path, and its end must be in order."""
    path = folder / "o.sock"
    config = config_from(
        Given(socket=str(path), replay=str(CORPUS)), {"HOME": str(folder)}, os.getuid()
    )
    instruments = Instruments()
    settings = Settings("c1", "replay", 2048, 60, SystemClock(), Random(1), instruments)
    clusters = Recorded(RecordedCluster(read_recording(CORPUS), settings), SystemClock())
    answering = trio.Event()
    with listening(path, {}) as listener:
        async with trio.open_nursery() as nursery:

            async def daemon() -> None:
                await app.run(
                    config, clusters, instruments, listener, instance="i1", ready=answering.set
                )

            nursery.start_soon(daemon)
            with trio.fail_after(SECONDS):
                await answering.wait()
            yield str(path)
    assert not path.exists()


@asynccontextmanager
async def talk(path: str) -> AsyncIterator[Talk]:
    """A connection for as long as the context lasts."""
    async with await trio.open_unix_socket(path) as stream:
        yield Talk(stream)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short path: sun_path has 108 bytes."""
    return tmp_path_factory.mktemp("a")


WATCH = Watch(Target("default", ("/nowhere",)), "certificates", AllNamespaces())


async def test_p3_stop_ends_every_watch_with_a_word(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A client asks to stop; another one's watch gets its END; the final snapshot is logged."""
    caplog.set_level("INFO", "orka")
    async with running(folder) as path, talk(path) as watcher, talk(path) as other:
        await watcher.say(WATCH)
        await watcher.until(Synced)
        await other.say(Stop())
        await other.until(End)
        end = await watcher.until(End)

    assert end == End("shutdown", 8, "orkad is shutting down")
    assert "final snapshot kind=cert-manager.io/v1/Certificate" in caplog.text
    assert caplog.messages[-1] == "stopped"


async def test_a_first_signal_is_graceful_and_a_second_is_immediate(folder: Path) -> None:
    """A client that never reads holds the first one up; the second one waits for nobody."""
    async with running(folder) as path, talk(path):
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)


async def test_sigusr1_dumps_every_task(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Names, and where each waits."""
    async with running(folder) as path, talk(path) as client:
        os.kill(os.getpid(), signal.SIGUSR1)
        await client.say(Status("rows"))
        report = await client.until(StatusReport)
        os.kill(os.getpid(), signal.SIGTERM)

    assert isinstance(report, StatusReport)
    assert set(report.report) == {"daemon", "clusters", "clients"}
    dump = capfd.readouterr().err
    assert "ingest certificates.cert-manager.io" in dump
    assert "accept" in dump


async def test_p8_a_connection_of_another_user_is_refused(folder: Path) -> None:
    """The kernel says whose process it is."""
    if os.getuid():
        pytest.skip("only root can become somebody else")
    async with running(folder) as path:
        os.chmod(path, 0o666)  # noqa: PTH101 -- no Path in async code
        for above in (folder, folder.parent, folder.parent.parent):
            os.chmod(above, 0o755)  # noqa: PTH101
        child = os.fork()
        if not child:
            os.setuid(12345)
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(path)
                os._exit(0 if stranger.recv(1) == b"" else 1)
        status = await trio.to_thread.run_sync(os.waitpid, child, 0)
        os.kill(os.getpid(), signal.SIGTERM)

    assert os.waitstatus_to_exitcode(status[1]) == 0


async def test_pinned_kinds_are_asked_for_again_until_the_server_answers(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An API server that boots beside orkad is no reason to give up."""
    server = ApiServer(random=Random(1))
    server.refuse()
    given = Given(watch=("pods",), prefer_crd=True)
    async with whole_daemon({"dev": server}, given=given) as whole:
        async with trio.open_nursery() as later:
            await whole.daemon.pin_kinds(later)
            await trio.sleep(12)
            server.accept()
        kinds = [kind for cluster in whole.clusters for kind in cluster.kinds]

    assert [kind.resource.gvk for kind in kinds] == ["v1/ConfigMap", "v1/Pod"]
    assert all(kind.pinned for kind in kinds)
    assert "cannot start the pinned kinds yet" in caplog.text


async def test_a_pinned_kind_that_does_not_exist_is_the_users_to_know(
    autojump_clock: MockClock,
) -> None:
    """At once, not in a log."""
    given = Given(watch=("nonsense",))
    servers = {"dev": ApiServer(random=Random(1))}
    async with whole_daemon(servers, given=given) as whole, trio.open_nursery() as later:
        with pytest.raises(Refused, match="nonsense"):
            await whole.daemon.pin_kinds(later)


async def test_nothing_is_started_that_nobody_asked_for(autojump_clock: MockClock) -> None:
    """Without flags no cluster is spoken to."""
    server = ApiServer(random=Random(1))
    async with whole_daemon({"dev": server}) as whole, trio.open_nursery() as later:
        await whole.daemon.pin_kinds(later)

    assert not server.requests
    assert TARGET.source == "default"


def test_a_step_that_holds_the_loop_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """And named in the log."""
    caplog.set_level("INFO", "orka")
    instruments = Instruments()

    async def hog() -> None:
        end = trio.current_time() + SLOW_STEP_SECONDS * 1.5
        while trio.current_time() < end:
            pass
        await trio.lowlevel.checkpoint()

    trio.run(hog, instruments=[StepWatch(instruments)])

    assert b"slow_steps_total 1.0" in instruments.text()
    assert "slow step task=" in caplog.text
