"""Kinds of which there is nothing to show: not yet, or no longer."""

from __future__ import annotations

import time

from tests.e2e.harness import Orka
from tests.e2e.processes import eventually
from tests.e2e.servers import CERTIFICATES, CRDS, Kind, Server, fake_server, fill, new_namespace

PHANTOMS = Kind("gone.example.com", "v1", "Phantom", "phantoms")
SECONDS = 30.0


def test_promise_p1_a_list_that_is_not_synced_in_time_says_so(orka: Orka) -> None:
    """Exit 4 and `syncing` at the deadline; a watch beside it says `syncing`, then has it all."""
    with fake_server(orka.folder, "fake") as server:
        fill(server, 100, 2)
        orka.use(server)
        orka.start()
        orka.ctl("discover").ok()
        server.call(server.fake.stall, CERTIFICATES.resource, new_requests=True)
        watch = orka.watch("cert", "-A", "--initial")
        watch.state("syncing")
        began = time.monotonic()
        done = orka.ctl("ls", "cert", "-A", "--timeout", "1")
        took = time.monotonic() - began
        state = orka.state(CERTIFICATES.resource)
        server.call(server.fake.resume)
        watch.record("SYNCED")
        after = orka.ctl("ls", "cert", "-A")

    assert (done.returncode, state) == (4, "syncing")
    assert "syncing" in done.stderr
    assert 1 <= took < 5
    assert len(watch.records("ITEM")) == len(after.rows()) == 100
    assert after.stderr == ""


def test_a_server_that_answers_nothing_is_named_at_the_timeout(orka: Orka) -> None:
    """Exit 124 when not even the kind can be found; it is not orkad that is blamed."""
    with fake_server(orka.folder, "fake") as server:
        orka.use(server)
        orka.start()
        server.call(server.fake.stall, new_requests=True)
        done = [orka.ctl(command, "cert", "-A", "--timeout", "1") for command in ("ls", "watch")]
        server.call(server.fake.resume)
        orka.ctl("ls", "cert", "-A").ok()

    for one in done:
        assert (one.returncode, one.stdout) == (124, "")
        assert "the API server did not say within 1 s" in one.stderr


def test_a_kind_whose_crd_is_deleted_is_gone_and_may_come_back(orka: Orka, server: Server) -> None:
    """Its objects leave, then END with `gone` and exit 6; made anew, it is served again."""
    namespace = new_namespace(server)
    server.api.define(PHANTOMS)
    server.api.create(PHANTOMS, "web", namespace)
    orka.start()
    watch = orka.watch("phantoms", "-A", "--initial")
    watch.record("SYNCED")

    server.api.delete(CRDS, PHANTOMS.resource)
    deleted = watch.record("DEL", name="web", seconds=SECONDS)
    done = watch.end(SECONDS)
    listed = orka.ctl("ls", "phantoms", "-A")
    eventually(lambda: _defined(server), SECONDS, "the CRD can be made again")
    server.api.create(PHANTOMS, "again", namespace)
    again = eventually(
        lambda: found if (found := orka.ctl("ls", "phantoms", "-A")).returncode == 0 else None,
        SECONDS,
        "it is served",
    )

    assert deleted["uid"]
    assert done.returncode == 6
    assert watch.records()[-1]["code"] == "gone"
    assert watch.shown() == {}
    assert listed.returncode == 6
    assert [row[:2] for row in again.rows()] == [[namespace, "again"]]


def _defined(server: Server) -> bool:
    try:
        server.api.define(PHANTOMS)
    except OSError:
        return False
    return True
