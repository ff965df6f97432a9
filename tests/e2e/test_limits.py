"""Under pressure: a queue that overflows, a reader that does not read, kinds that nobody reads."""

from __future__ import annotations

import re
import signal

from tests.e2e.harness import Orka
from tests.e2e.processes import eventually
from tests.e2e.servers import CERTIFICATES, CONFIGMAPS, FakeServer, Server, fake_server, fill

SECONDS = 20.0


def metric(orka: Orka, name: str, *labels: str) -> float:
    """The sum of a metric's series that have all these labels."""
    lines = orka.ctl("metrics").ok().stdout.splitlines()
    found = [line for line in lines if re.match(rf"{name}[{{ ]", line)]
    return sum(float(line.split()[-1]) for line in found if all(label in line for label in labels))


def change_all(server: FakeServer, names: list[tuple[str, str]], number: int) -> None:
    """Change every object, in the server's own thread."""
    for namespace, name in names:
        change = {"metadata": {"labels": {"round": str(number)}}}
        server.fake.model.patch(CERTIFICATES.resource, name, change, namespace)


def test_promise_p4_a_full_queue_is_counted_and_healed_by_a_relist(orka: Orka) -> None:
    """With room for four deltas a burst of hundreds drops some, and nothing is lost by it."""
    with fake_server(orka.folder, "fake") as server:
        orka.use(server)
        orka.start("--queue-cap", "4")
        watch = orka.watch("cert", "-A", "--initial")
        watch.record("SYNCED")

        fill(server, 500, 5)
        truth = server.api.uids(CERTIFICATES)
        watch.until(lambda it: it.shown() == truth, SECONDS, "the truth")
        eventually(lambda: orka.state(CERTIFICATES.resource) == "live", SECONDS, "live again")
        dropped = metric(orka, "coalescer_dropped_total")
        told = orka.ctl("ls", "cert", "-A", "-o", "json").json()["truth"]["dropped"]
        overflows = metric(orka, "relist_total", 'reason="overflow"')

    assert len(truth) == 500
    assert dropped == told > 0
    assert overflows >= 1
    assert watch.records("FRESH", "LAGGED", "END") == []


def test_promise_p5_a_reader_that_does_not_read_holds_up_nobody(orka: Orka) -> None:
    """Another watcher has every change meanwhile; the sleeper is then led to the same end."""
    with fake_server(orka.folder, "fake") as server:
        fill(server, 1000, 5, prefix="long-" * 30)  # more than any buffer on the way holds
        orka.use(server)
        orka.start()
        sleeper = orka.watch("cert", "-A", "--initial")
        awake = orka.watch("cert", "-A", "--initial")
        for watch in (sleeper, awake):
            watch.record("SYNCED")

        sleeper.process.send_signal(signal.SIGSTOP)
        names = server.call(server.fake.model.names, CERTIFICATES.resource)
        for number in range(10):
            server.call(change_all, server, names, number)
            probe = {"metadata": {"name": f"probe-{number}", "namespace": "ns-0"}}
            server.call(server.fake.model.create, CERTIFICATES.resource, probe)
            awake.record("ADD", name=f"probe-{number}", seconds=SECONDS)
        sleeper.process.send_signal(signal.SIGCONT)
        truth = server.api.uids(CERTIFICATES)
        for watch in (sleeper, awake):
            watch.until(lambda it: it.shown() == truth, SECONDS, "the truth")

    assert len(truth) == 1010
    assert any(record["folded"] for record in sleeper.records("MOD"))
    assert awake.records("LAGGED", "FRESH", "END") == []


def test_an_audit_that_finds_nothing_prints_nothing(
    orka: Orka, server: Server, namespace: str
) -> None:
    """Lists against the watch's word, every second: no record comes of it, and the state stays."""
    server.api.create(CONFIGMAPS, "web", namespace)
    orka.start(ORKA_RELIST_SECS="1")
    orka.ctl("ls", "cm", "-A").ok()
    watch = orka.watch("cm", "--ns", namespace, "--initial")
    watch.record("SYNCED")
    before = len(watch.records())

    eventually(lambda: metric(orka, "relist_total", 'reason="audit"') >= 2, SECONDS, "two audits")
    server.api.delete(CONFIGMAPS, "web", namespace)
    deleted = watch.record("DEL", name="web")

    assert [record["type"] for record in watch.records()[before:]] == ["DEL"]
    assert deleted["uid"]
    assert watch.process.poll() is None


def test_a_kind_that_nobody_reads_is_dropped_and_its_watch_closed(
    orka: Orka, server: Server
) -> None:
    """After the idle time the API server has one watch less; a pinned kind stays."""
    before = server.api.requests(CERTIFICATES)["open", "WATCH"]
    orka.start("--watch", CONFIGMAPS.gvk, ORKA_IDLE_SECS="0.5")
    watch = orka.watch("cert", "-A")
    watch.record("SYNCED")
    during = server.api.requests(CERTIFICATES)["open", "WATCH"]

    watch.interrupt()
    eventually(
        lambda: [kind["gvk"] for kind in orka.status()["clusters"][0]["kinds"]] == [CONFIGMAPS.gvk],
        SECONDS,
        "the kind is dropped",
    )
    eventually(
        lambda: server.api.requests(CERTIFICATES)["open", "WATCH"] == before, SECONDS, "it closes"
    )

    assert during == before + 1
    orka.ctl("ls", "cert", "-A").ok()


def test_prefer_crd_watches_the_kind_that_discover_names(orka: Orka, server: Server) -> None:
    """The daemon's flag and the client's select the same first CRD."""
    orka.start("--prefer-crd")

    (kind,) = orka.status()["clusters"][0]["kinds"]
    (named,) = orka.ctl("discover", "--prefer-crd", "-o", "json").json()["resources"]

    assert kind["gvk"] == named["gvk"]
    assert (kind["pinned"], named["crd"]) == (True, True)
