"""An orkad that dies without a word."""

from __future__ import annotations

import signal

from tests.e2e.harness import Orka
from tests.e2e.load import churn
from tests.e2e.servers import CERTIFICATES, Server


def test_sigkill_under_churn_ends_watches_with_exit_8_and_leaves_a_socket_that_heals(
    orka: Orka, server: Server, namespace: str
) -> None:
    """Each watcher says in one line what it lost; the next orkad takes the stale socket over."""
    names = ["a", "b", "c"]
    for name in names:
        server.api.create(CERTIFICATES, name, namespace)
    daemon = orka.start()
    orka.ctl("ls", "cert", "-A").ok()
    with churn(server, CERTIFICATES, namespace, names):
        watch = orka.watch("cert", "--ns", namespace)
        watch.record("MOD")
        people = [orka.running("watch", "cert", "--ns", namespace) for _ in range(2)]
        for one in people:
            one.line("~ ")
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        ended = [one.end() for one in (watch, *people)]
        left = orka.ctl("ls", "cert", "-n", namespace)
        stale = orka.socket.exists()

        orka.start()
        orka.ctl("ls", "cert", "-A").ok()
        again = orka.watch("cert", "--ns", namespace, "--initial")
        again.record("MOD")

    assert [one.returncode for one in ended] == [8, 8, 8]
    assert [one.stderr.count("\n") for one in ended] == [1, 1, 1], ended
    assert all("lost orkad" in one.stderr for one in ended)
    assert watch.records()[-1]["type"] == "END"
    assert (watch.records()[-1]["code"], watch.records()[-1]["exit_code"]) == ("lost", 8)
    assert stale
    assert left.returncode == 7
    assert "leftover" in left.stderr
    assert "orkad --background" in left.stderr
    again.until(
        lambda it: it.shown() == server.api.uids(CERTIFICATES, namespace), 10, "what there is"
    )
