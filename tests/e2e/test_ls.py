"""`orkactl ls` beside `kubectl get`, and what it does when it may not or must not print."""

from __future__ import annotations

import time
from functools import partial

import pytest

from tests.e2e.harness import Orka
from tests.e2e.servers import (
    CERTIFICATES,
    Server,
    fake_server,
    new_namespace,
)


def test_ls_in_json_and_as_names_has_the_same_objects(
    orka: Orka, server: Server, namespace: str
) -> None:
    """The three formats differ in form alone, and the columns are as wide as the whole needs."""
    names = ["a", "b" * 60, "c"]
    for name in names:
        server.api.create(CERTIFICATES, name, namespace)
    orka.start()
    ls = partial(orka.ctl, "ls", "cert", "-n", namespace)

    table, plain, document = ls(), ls("-o", "name"), ls("-o", "json").json()

    assert [row[:2] for row in table.rows()] == [[namespace, name] for name in names]
    assert len({line.rstrip().rfind(" ") for line in table.stdout.splitlines()}) == 1
    assert [line.rpartition("/")[2] for line in plain.ok().stdout.splitlines()] == names
    assert {
        (item["namespace"], item["name"]): item["uid"] for item in document["items"]
    } == server.api.uids(CERTIFICATES, namespace)
    assert document["truth"]["state"] == "live"


def test_the_namespace_is_the_contexts_unless_a_flag_names_one(orka: Orka, server: Server) -> None:
    """As kubectl has it: the context's own, those that are named, or all."""
    mine, other = new_namespace(server), new_namespace(server)
    server.api.create(CERTIFICATES, "mine", mine)
    server.api.create(CERTIFICATES, "other", other)
    orka.use(server, namespace=mine)
    orka.start()

    default = orka.ctl("ls", "cert", "-o", "name").ok().stdout
    named = orka.ctl("ls", "cert", "--ns", other, "-o", "name").ok().stdout
    both = orka.ctl("ls", "cert", "--ns", other, "-n", mine, "-o", "name").ok().stdout
    contrary = orka.ctl("ls", "cert", "--ns", other, "-A")

    assert ("mine" in default, "other" in default) == (True, False)
    assert ("mine" in named, "other" in named) == (False, True)
    assert len(both.splitlines()) == 2
    assert contrary.returncode == 2


def test_a_user_without_rights_gets_exit_5_and_the_command_to_ask_with(
    orka: Orka, server: Server
) -> None:
    """Nothing on stdout but the end; stderr names `kubectl auth can-i list RESOURCE`."""
    orka.kubeconfig.write_bytes(server.nobody_kubeconfig.read_bytes())
    orka.start()

    began = time.monotonic()
    done = [
        orka.ctl("ls", "cert", "-A"),
        orka.ctl("watch", "cert", "-A"),
        orka.ctl("watch", "cert", "-A", "-o", "json"),
    ]
    took = time.monotonic() - began

    assert [one.returncode for one in done] == [5, 5, 5]
    for one in done:
        assert "forbidden" in one.stderr
        assert f"kubectl auth can-i list {CERTIFICATES.resource}" in one.stderr
    assert [one.stdout for one in done[:2]] == ["", ""]
    assert '"code":"forbidden"' in done[2].stdout
    assert "SYNCED" not in done[2].stdout
    assert took < 5


def test_promise_p7_what_one_user_may_not_see_troubles_no_other(
    orka: Orka, server: Server, namespace: str
) -> None:
    """One daemon, two users of one server: one is refused, the other's kind lives."""
    uid = server.api.create(CERTIFICATES, "web", namespace)
    orka.start()
    watch = orka.watch("cert", "--ns", namespace, "--initial")
    watch.record("ITEM", name="web")

    refused = orka.ctl("ls", "cert", "-A", KUBECONFIG=str(server.nobody_kubeconfig))
    server.api.touch(CERTIFICATES, "web", namespace)

    assert refused.returncode == 5
    assert watch.record("MOD", name="web")["uid"] == uid


@pytest.mark.parametrize("form", ["table", "json", "name"])
def test_promise_p8_names_never_reach_the_terminal_raw(orka: Orka, form: str) -> None:
    """Control characters of names are escaped in lists, watches, errors and JSON."""
    evil = "a\x1b[2Jb\rc\u202ed\x9bm"
    with fake_server(orka.folder, "fake") as server:
        meta = {"name": evil, "namespace": evil}
        server.call(server.fake.model.create, CERTIFICATES.resource, {"metadata": meta})
        orka.use(server)
        orka.start()
        watch = orka.running("watch", "cert", "-A", "--initial", "-o", form.replace("name", "json"))
        texts = [watch.line("[2J")]
        done = [orka.ctl("ls", "cert", "-A", "-o", form), orka.ctl("ls", evil)]

    texts += [text for one in done for text in (one.stdout, one.stderr)]
    assert done[0].returncode == 0
    assert "[2J" in done[0].stdout
    assert "[2J" in done[1].stderr
    for text in texts:
        assert [char for char in text if not char.isprintable() and char != "\n"] == []
