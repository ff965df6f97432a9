"""Changes of objects as a watcher sees them, and a watch that goes on from a cursor."""

from __future__ import annotations

from tests.e2e.harness import Orka
from tests.e2e.processes import Record, Watch, replayed
from tests.e2e.servers import CERTIFICATES, Server

SECONDS = 10.0  # a change is there within milliseconds


def cursor_of(watch: Watch) -> str:
    """Where its reader has arrived."""
    return str(watch.records()[-1]["cursor"])


def kinds_of(records: list[Record]) -> list[str]:
    """Their types, without the states."""
    return [record["type"] for record in records if record["type"] != "STATE"]


def test_promise_p2_watch_tells_create_update_delete_and_recreate(
    orka: Orka, server: Server, namespace: str
) -> None:
    """ADD, MOD and DEL as they happen; another object under an old name is never a MOD."""
    orka.start()
    watch = orka.watch(CERTIFICATES.gvk, "--ns", namespace, "--initial")
    watch.record("SYNCED")

    first = server.api.create(CERTIFICATES, "web", namespace)
    added = watch.record("ADD", name="web")
    server.api.touch(CERTIFICATES, "web", namespace)
    modified = watch.record("MOD", name="web")
    server.api.delete(CERTIFICATES, "web", namespace)
    deleted = watch.record("DEL", name="web")
    server.api.create(CERTIFICATES, "api", namespace)
    watch.record("ADD", name="api")
    server.api.delete(CERTIFICATES, "api", namespace)
    second = server.api.create(CERTIFICATES, "api", namespace)
    watch.until(lambda it: second in it.shown().values(), SECONDS, "the second")

    assert [added["uid"], modified["uid"], deleted["uid"]] == [first] * 3
    assert added["resourceVersion"] != modified["resourceVersion"]
    assert watch.records("MOD", name="api") == []
    assert watch.shown() == server.api.uids(CERTIFICATES, namespace) == {(namespace, "api"): second}


def test_watch_prints_a_line_a_change(orka: Orka, server: Server, namespace: str) -> None:
    """`=` for what is there, `+`, `~` and `-` for what happens, with columns that do not drift."""
    server.api.create(CERTIFICATES, "there", namespace)
    orka.start()
    watch = orka.running("watch", "cert", "--ns", namespace, "--initial")
    watch.line("= ")

    server.api.create(CERTIFICATES, "new", namespace)
    watch.line("+ ")
    server.api.touch(CERTIFICATES, "there", namespace)
    watch.line("~ ")
    server.api.delete(CERTIFICATES, "new", namespace)
    watch.line("- ")
    done = watch.interrupt()

    cells = [line.split()[:3] for line in done.stdout.splitlines()]
    names = ("there", "new", "there", "new")
    assert cells == [[mark, namespace, name] for mark, name in zip("=+~-", names, strict=True)]
    assert len({line.rindex(" ") for line in done.stdout.splitlines()}) == 1
    assert done.returncode == 130


def test_promise_p3_a_watch_goes_on_from_a_cursor_without_gap_or_repetition(
    orka: Orka, server: Server, namespace: str
) -> None:
    """What happened while no client was there comes once, from a watch's or a list's cursor."""
    orka.start()
    server.api.create(CERTIFICATES, "kept", namespace)
    server.api.create(CERTIFICATES, "leaves", namespace)
    first = orka.watch("cert", "--ns", namespace, "--initial")
    first.record("SYNCED")
    server.api.create(CERTIFICATES, "comes", namespace)
    first.record("ADD", name="comes")
    first.interrupt()
    listed = orka.ctl("ls", "cert", "-n", namespace, "-o", "json").json()["truth"]["cursor"]

    server.api.delete(CERTIFICATES, "leaves", namespace)
    server.api.touch(CERTIFICATES, "kept", namespace)
    server.api.create(CERTIFICATES, "last", namespace)
    resumed = orka.watch("cert", "--ns", namespace, "--since", cursor_of(first))
    after_list = orka.watch("cert", "--ns", namespace, "--since", listed)

    for watch in (resumed, after_list):
        watch.record("ADD", name="last")
        assert "FRESH" not in kinds_of(watch.records())
        assert replayed(first.records() + watch.records()) == server.api.uids(
            CERTIFICATES, namespace
        )
    assert sorted(kinds_of(resumed.records())[2:]) == ["ADD", "DEL", "MOD"]


def test_promise_p3_after_a_restart_of_orkad_a_cursor_is_answered_with_fresh(
    orka: Orka, server: Server, namespace: str
) -> None:
    """One FRESH record with a reason, then everything that is there."""
    server.api.create(CERTIFICATES, "web", namespace)
    with orka.daemon() as daemon:
        first = orka.watch("cert", "--ns", namespace, "--initial")
        first.record("SYNCED")
        assert daemon.stop() == 0
    first.end()
    server.api.delete(CERTIFICATES, "web", namespace)
    server.api.create(CERTIFICATES, "api", namespace)

    orka.start()
    second = orka.watch("cert", "--ns", namespace, "--since", cursor_of(first))
    second.record("SYNCED")

    assert kinds_of(second.records()) == ["SYNC", "FRESH", "ITEM", "SYNCED"]
    assert second.record("FRESH")["reason"]
    assert replayed(first.records() + second.records()) == server.api.uids(CERTIFICATES, namespace)


def test_what_is_no_cursor_is_a_usage_error(orka: Orka, server: Server) -> None:
    """The text is named; a cursor of another kind is answered with FRESH instead."""
    orka.start()

    wrong = orka.ctl("watch", "cert", "--since", "yesterday")
    cursor = orka.ctl("ls", "issuers", "-A", "-o", "json").json()["truth"]["cursor"]
    other = orka.watch("cert", "-A", "--since", cursor)

    assert wrong.returncode == 2
    assert "yesterday" in wrong.stderr
    assert "issuers" in other.record("FRESH")["reason"]
