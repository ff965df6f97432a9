"""How orkad starts in the background and how it ends: with a word to everybody."""

from __future__ import annotations

import re
import signal
import time

from tests.e2e.harness import Orka
from tests.e2e.processes import eventually
from tests.e2e.servers import CERTIFICATES, FakeServer, Server, fake_server, fill

FINAL = re.compile(
    r"final snapshot kind=\S+Certificate epoch=\d+ objects=(\d+) digest=[0-9a-f]{16}"
)


def test_promise_p3_sigterm_ends_every_stream_with_a_code(
    orka: Orka, server: Server, namespace: str
) -> None:
    """END with code shutdown and exit 8; orkad exits 0, its socket is gone, its log has the end."""
    server.api.create(CERTIFICATES, "web", namespace)
    daemon = orka.start()
    watches = [orka.watch("cert", "--ns", namespace, "--initial") for _ in range(3)]
    for watch in watches:
        watch.record("SYNCED")
    people = orka.running("watch", "cert", "--ns", namespace, "--initial")
    people.line("web")

    daemon.signal(signal.SIGTERM)
    ended = [one.end() for one in (*watches, people)]
    returncode = daemon.wait()

    assert [one.returncode for one in ended] == [8, 8, 8, 8]
    assert {watch.records()[-1]["code"] for watch in watches} == {"shutdown"}
    assert ended[-1].stderr.endswith("orkactl: orkad is shutting down\n")
    assert returncode == 0
    assert not orka.socket.exists()
    final = FINAL.search(daemon.log)
    assert final is not None, daemon.log
    assert int(final[1]) >= 1
    assert "stopped" in daemon.log.splitlines()[-1]
    assert orka.ctl("ls", "cert").returncode == 7


def test_sigint_is_as_graceful(orka: Orka) -> None:
    """Ctrl-C in the terminal where orkad runs."""
    with fake_server(orka.folder, "fake") as server:
        orka.use(server)
        daemon = orka.start()
        watch = orka.watch("cert", "-A")
        watch.record("SYNCED")

        daemon.signal(signal.SIGINT)
        ended, returncode = watch.end(), daemon.wait()

    assert (ended.returncode, returncode) == (8, 0)
    assert watch.records()[-1]["code"] == "shutdown"
    assert not orka.socket.exists()


def test_background_returns_once_it_answers_and_stop_once_it_is_gone(
    orka: Orka, server: Server
) -> None:
    """One line with pid, socket and log; `stop` waits for the end and exits 0."""
    started = orka.orkad("--background", "--watch", CERTIFICATES.gvk)
    status = orka.status()
    watch = orka.watch("cert", "-A")
    watch.record("SYNCED")
    stopped = orka.ctl("stop")

    log = orka.socket.with_suffix(".log")
    pid = status["daemon"]["pid"]
    assert started.ok().stdout == f"orkad {pid} serves {orka.socket}, log {log}\n"
    assert started.stderr == ""
    assert status["daemon"]["socket"] == str(orka.socket)
    assert stopped.ok().stdout == ""
    assert not orka.socket.exists()
    assert watch.end().returncode == 8
    assert watch.records()[-1]["code"] == "shutdown"
    assert FINAL.search(log.read_text())
    assert orka.ctl("stop").returncode == 7


def test_a_second_orkad_on_the_socket_is_refused(orka: Orka) -> None:
    """It names the first one's pid and exits 1; the first one is not disturbed."""
    daemon = orka.start()

    foreground = orka.orkad()
    background = orka.orkad("--background")

    for done in (foreground, background):
        assert done.returncode == 1
        assert done.stdout == ""
        assert f"another orkad (pid {daemon.pid}) serves {orka.socket}" in done.stderr
    assert "last words" in background.stderr
    assert orka.status()["daemon"]["pid"] == daemon.pid


def test_background_that_fails_prints_its_last_words(orka: Orka, server: Server) -> None:
    """The daemon's own error and its exit status come from the command that started it."""
    done = orka.orkad("--background", "--watch", "nosuchkind")

    assert done.returncode == 6
    assert "last words" in done.stderr
    assert '"nosuchkind"' in done.stderr
    assert not orka.socket.exists()


def test_a_request_under_way_is_finished_at_shutdown(orka: Orka) -> None:
    """An `ls` that was asked before the signal is answered whole."""
    with fake_server(orka.folder, "fake") as server:
        fill(server, 20_000, 20)
        orka.use(server)
        daemon = orka.start()
        orka.ctl("ls", "cert", "-A").ok()
        asking = orka.running("ls", "cert", "-A", "-o", "json")
        eventually(lambda: asking.lines, 10, "the answer has begun")
        daemon.signal(signal.SIGTERM)
        done = asking.end()

        assert daemon.wait() == 0
    assert len(done.json()["items"]) == 20_000


def test_a_second_signal_ends_at_once(orka: Orka) -> None:
    """The first waits for a request under way, the second does not."""
    with fake_server(orka.folder, "fake") as server:
        assert isinstance(server, FakeServer)
        orka.use(server)
        daemon = orka.start()
        orka.ctl("ls", "cert", "-A").ok()
        server.call(server.fake.stall, new_requests=True)
        waiting = orka.running("ls", "issuers", "-A")
        eventually(
            lambda: any(c["asks"] == "ls issuers" for c in orka.status()["clients"]), 5, "it waits"
        )

        daemon.signal(signal.SIGTERM)
        eventually(lambda: "stopping" in daemon.log, 5, "it stops")
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        daemon.wait()
        took = time.monotonic() - began
        done = waiting.end()

    assert took < 2
    assert "second signal" in daemon.log
    assert done.returncode == 8
    assert not orka.socket.exists()


def test_sigusr1_dumps_the_tasks_to_the_log(orka: Orka, server: Server) -> None:
    """Every task with where it waits; orkad goes on."""
    daemon = orka.start()
    watch = orka.watch("cert", "-A")
    watch.record("SYNCED")

    daemon.signal(signal.SIGUSR1)
    kind = CERTIFICATES.resource
    tasks = ["clusters", "accept", "signals", f"hub {kind}", f"ingest {kind}", f"source {kind}"]
    tasks.append(f"session {watch.process.pid}")
    eventually(lambda: all(f" {task} " in daemon.log for task in tasks), 5, f"the dump of {tasks}")

    orka.status()
    assert watch.process.poll() is None
