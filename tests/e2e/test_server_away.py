"""An API server that goes away and comes back."""

from __future__ import annotations

from tests.e2e.harness import Orka
from tests.e2e.processes import eventually
from tests.e2e.servers import CERTIFICATES, Server, fake_server, new_namespace

AWAY_SECONDS = 10.0
BACK_SECONDS = 60.0  # the backoff that has built up meanwhile


def test_promise_p1_a_killed_server_makes_the_kind_stale_until_it_is_back(
    orka: Orka, mortal_server: Server
) -> None:
    """Stale data is served and says so everywhere; then it is live again, and nothing is lost."""
    server = mortal_server
    namespace = new_namespace(server)
    for name in ("leaves", "stays"):
        server.api.create(CERTIFICATES, name, namespace)
    orka.start()
    watch = orka.watch("cert", "--ns", namespace, "--initial")
    watch.record("SYNCED")
    people = orka.running("watch", "cert", "--ns", namespace, "--show-cursor")
    people.line("# cursor")
    ls = ("ls", "cert", "-n", namespace)
    orka.ctl(*ls, "--max-age", "3600").ok()

    server.kill()
    try:
        stale = watch.state("stale", AWAY_SECONDS)
        noted = people.error_line("is stale", AWAY_SECONDS)
        eventually(
            lambda: orka.kind(CERTIFICATES.resource)["truth"]["age_seconds"] > 0.5, 5, "it is old"
        )
        listed = orka.ctl(*ls)
        too_old = orka.ctl(*ls, "--max-age", "0.5")
        document = orka.ctl(*ls, "-o", "json").json()
        state = orka.state(CERTIFICATES.resource)
    finally:
        server.start()
    server.api.delete(CERTIFICATES, "leaves", namespace)
    server.api.create(CERTIFICATES, "comes", namespace)
    seen = len(watch.records())
    watch.state("live", BACK_SECONDS, after=watch.records().index(stale))
    watch.until(
        lambda it: it.shown() == server.api.uids(CERTIFICATES, namespace), BACK_SECONDS, "the truth"
    )
    people.error_line("is live", BACK_SECONDS)
    later = server.api.create(CERTIFICATES, "later", namespace)

    assert stale["truth"]["reason"]
    assert "last proof of life" in noted
    assert [row[1] for row in listed.rows()] == ["leaves", "stays"]
    assert listed.stderr.count("\n") == 1
    assert "stale" in listed.stderr
    assert too_old.returncode == 4
    assert "allowed" in too_old.stderr
    assert document["truth"]["state"] == state == "stale"
    assert watch.record("ADD", name="later", seconds=AWAY_SECONDS)["uid"] == later
    assert watch.records("FRESH", "LAGGED", "END") == []
    assert seen <= len(watch.records())
    assert orka.ctl(*ls, "--max-age", "60").ok().stderr == ""


def test_a_server_that_is_not_there_yet_is_waited_for(orka: Orka) -> None:
    """A request fails with exit 1 and the server's address; the same one works when it is up."""
    with fake_server(orka.folder, "fake") as server:
        orka.use(server)
        server.kill()
        orka.start("--watch", CERTIFICATES.gvk)
        refused = orka.ctl("ls", "cert", "-A")
        server.start()

        assert refused.returncode == 1
        assert server.url.removeprefix("https://") in refused.stderr
        orka.ctl("ls", "cert", "-A").ok()
        eventually(
            lambda: orka.kind(CERTIFICATES.resource)["pinned"], BACK_SECONDS, "the pinned kind runs"
        )
