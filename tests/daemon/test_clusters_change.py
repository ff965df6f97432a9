"""Clusters and kubeconfigs that change while they are watched: nothing is mixed."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.clusters import LOOK_SECONDS
from orka.daemon.kube.connection import Connection, Credentials, StaticToken
from orka.proto.errors import ConfigError
from orka.proto.messages import (
    AllNamespaces,
    Diff,
    End,
    Error,
    Fresh,
    List,
    Page,
    StateChange,
    Status,
    StatusReport,
    Synced,
    Target,
    Watch,
)
from replay.apiserver import ApiServer, definition
from tests.support.whole import TARGET, Whole, watched, whole_daemon

ALL = AllNamespaces()
CERTIFICATES = "certificates.cert-manager.io"


def cluster(*certificates: str, seed: int = 1, tokens: dict[str, str] | None = None) -> ApiServer:
    """A server with a kube-system of its own, one CRD and these objects."""
    server = ApiServer(random=Random(seed), tokens=tokens)
    server.model.create("namespaces", {"metadata": {"name": "kube-system"}})
    crd = definition("cert-manager.io", "Certificate", "certificates")
    server.model.create("customresourcedefinitions", crd)
    for name in certificates:
        create(server, name)
    return server


def create(server: ApiServer, name: str) -> None:
    """One more certificate."""
    server.model.create("certificates", {"metadata": {"namespace": "shop", "name": name}})


class Kubeconfigs:
    """What each way of asking means: a server and a user's token, or an error."""

    def __init__(self) -> None:
        self.means: dict[Target, Connection | ConfigError] = {TARGET: connection()}

    def load(self, target: Target) -> Connection:
        """See `clusters.Kubeconfigs`."""
        found = self.means[target]
        if isinstance(found, ConfigError):
            raise found
        return found


def connection(server: str = "dev", user: str = "me", token: str = "one") -> Connection:
    """The context `dev`."""
    credentials = Credentials(StaticToken(token))
    return Connection(f"http://{server}", credentials=credentials, context="dev", user=user)


async def names(whole: Whole, where: Target = TARGET) -> list[str]:
    """What `ls` shows."""
    heard = await whole.ask(List(where, "certificates", ALL, "rows")).hear_until(End, Error)
    assert isinstance(heard[-1], End), heard
    return [row.name for page in heard if isinstance(page, Page) for row in page.rows]


async def status_of(whole: Whole) -> list[dict[str, Any]]:
    """The clusters of `orkactl status`."""
    heard = await whole.ask(Status("rows")).hear_until(End)
    (report,) = [message.report for message in heard if isinstance(message, StatusReport)]
    found: Any = report["clusters"]
    return list(found)


# -- another cluster at the same address ---------------------------------------------------


@pytest.mark.parametrize("fault", ["cut", "restarted"])
async def test_another_cluster_at_the_same_address_is_a_new_lineage(
    fault: str, autojump_clock: MockClock
) -> None:
    """Its objects have the same names; the watcher is started anew and sees no mixture."""
    old, new = cluster("a", "b", "c", seed=1), cluster("b", "c", "d", seed=2)
    async with whole_daemon({"dev": old, "other": new}) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        whole.routes["dev"] = whole.routes["other"]
        if fault == "cut":
            old.cut_mid_line()
        else:
            old.restart()
        heard = await watcher.hear_until(Fresh)
        heard += await watcher.hear_until(Synced)
        shown = await names(whole)
        create(new, "e")
        diff = (await watcher.hear_until(Diff))[-1]

    assert not [message for message in heard if isinstance(message, Diff)]
    pages = [row for message in heard if isinstance(message, Page) for row in message.rows]
    assert [row.name for row in pages] == shown == ["b", "c", "d"]
    assert {row.uid for row in pages}.isdisjoint(uids(old))
    assert isinstance(diff, Diff)
    assert [change.obj.name for change in diff.changes] == ["e"]
    assert "watch" not in watched(new)[:1]  # not even once from the old resourceVersion


def uids(server: ApiServer) -> set[bytes]:
    """Of every certificate there."""
    from uuid import UUID

    found = set()
    for namespace, name in server.model.names(CERTIFICATES):
        obj = server.model.get(CERTIFICATES, name, namespace)
        assert obj is not None
        found.add(UUID(obj["metadata"]["uid"]).bytes)
    return found


async def test_every_kind_of_a_replaced_cluster_begins_anew(autojump_clock: MockClock) -> None:
    """One of them noticed; the others' watches were still open to the old one."""
    old, new = cluster("a", seed=1), cluster("z", seed=2)
    async with whole_daemon({"dev": old, "other": new}) as whole:
        certificates = whole.ask(Watch(TARGET, "certificates", ALL))
        namespaces = whole.ask(Watch(TARGET, "namespaces", ALL))
        await certificates.hear_until(Synced)
        await namespaces.hear_until(Synced)
        whole.routes["dev"] = whole.routes["other"]
        old.cut_mid_line(CERTIFICATES)
        await certificates.hear_until(Fresh)
        await namespaces.hear_until(Fresh)


async def test_the_same_cluster_after_an_outage_is_resumed(autojump_clock: MockClock) -> None:
    """One question for all kinds, and no list."""
    server = cluster("a")
    async with whole_daemon({"dev": server}) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        before = watched(server)
        server.cut_mid_line()
        create(server, "b")
        heard = await watcher.hear_until(Diff)

    assert watched(server) == [*before, "watch"]
    assert len(server.seen("get", "namespaces")) == 2
    assert not [message for message in heard if isinstance(message, Fresh)]


async def test_where_kube_system_may_not_be_read_nothing_is_claimed(
    autojump_clock: MockClock,
) -> None:
    """The watch goes on as it would without the question."""
    server = cluster("a")
    server.forbid("namespaces")
    async with whole_daemon({"dev": server}) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        server.cut_mid_line()
        create(server, "b")
        await watcher.hear_until(Diff)


async def test_a_server_that_does_not_answer_the_question_is_asked_again(
    autojump_clock: MockClock,
) -> None:
    """The watch is not resumed on trust."""
    server = cluster("a")
    async with whole_daemon({"dev": server}) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        server.delay(3600, n=1, verb="get", resource="namespaces")
        server.cut_mid_line(CERTIFICATES)
        create(server, "b")
        heard = await watcher.hear_until(Diff)

    reasons = [message.truth.reason for message in heard if isinstance(message, StateChange)]
    assert any("no answer about kube-system within 8 s" in reason for reason in reasons)


# -- another kubeconfig --------------------------------------------------------------------


async def test_new_credentials_of_the_same_user_are_adopted(autojump_clock: MockClock) -> None:
    """Within seconds and without a request: the watch stays, what follows is sent with the new."""
    tokens = {"one": "me"}
    server = cluster("a", tokens=tokens)
    files = Kubeconfigs()
    async with whole_daemon({"dev": server}, kubeconfigs=files) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        before = watched(server)
        files.means[TARGET] = connection(token="two")
        tokens.clear()
        tokens["two"] = "me"
        await trio.sleep(LOOK_SECONDS + 1)
        server.drop_watches()
        create(server, "b")
        heard = await watcher.hear_until(Diff)
        assert await names(whole) == ["a", "b"]
        (found,) = await status_of(whole)

    assert watched(server) == [*before, "watch"]
    assert not [record for record in server.requests if record.status == 401]
    assert not [message for message in heard if isinstance(message, Fresh)]
    states = {message.truth.state for message in heard if isinstance(message, StateChange)}
    assert states <= {"live"}
    assert found["auth"]["method"] == "token"
    assert "two" not in str(found)
    assert found["note"] is None


async def test_a_request_adopts_new_credentials_at_once(autojump_clock: MockClock) -> None:
    """It need not wait for the next look at the files."""
    tokens = {"one": "me", "two": "me"}
    server = cluster("a", tokens=tokens)
    files = Kubeconfigs()
    async with whole_daemon({"dev": server}, kubeconfigs=files) as whole:
        await names(whole)
        files.means[TARGET] = connection(token="two")
        await names(whole)

        assert len(await status_of(whole)) == 1
    assert watched(server) == watched(server)[:1]


@pytest.mark.parametrize(
    "changed", [connection("other"), connection(user="she", token="two")], ids=["server", "user"]
)
async def test_another_server_or_user_is_another_cluster_for_who_asks_from_now_on(
    changed: Connection, autojump_clock: MockClock
) -> None:
    """Who watches the old one stays with it; status says that the file means another now."""
    old = cluster("a", tokens={"one": "me", "two": "she"})
    servers, files = {"dev": old, "other": cluster("z", tokens={"one": "me"})}, Kubeconfigs()
    async with whole_daemon(servers, kubeconfigs=files) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        files.means[TARGET] = changed
        await trio.sleep(LOOK_SECONDS + 1)
        (before,) = await status_of(whole)
        await names(whole)
        create(old, "b")
        await watcher.hear_until(Diff)
        clusters = await status_of(whole)

    assert before["note"].startswith("the kubeconfig now means http://")
    assert len(clusters) == 2


async def test_two_files_that_call_two_users_by_one_name_stay_apart(
    autojump_clock: MockClock,
) -> None:
    """One shell's change of credentials is not forced on another shell's."""
    server = cluster("a", tokens={"one": "me", "two": "me"})
    files, shell = Kubeconfigs(), Target("env", ("/home/me/other",))
    files.means[shell] = connection()
    async with whole_daemon({"dev": server}, kubeconfigs=files) as whole:
        await names(whole)
        await names(whole, shell)
        files.means[shell] = connection(token="two")
        await trio.sleep(LOOK_SECONDS + 1)
        await names(whole, shell)

        assert len(await status_of(whole)) == 2


async def test_a_kubeconfig_that_breaks_is_told_and_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    """An editor writes in between; the watch goes on."""
    server, files = cluster("a"), Kubeconfigs()
    async with whole_daemon({"dev": server}, kubeconfigs=files) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        files.means[TARGET] = ConfigError("kubeconfig /home/me/config is not YAML")
        await trio.sleep(LOOK_SECONDS + 1)
        (broken,) = await status_of(whole)
        create(server, "b")
        await watcher.hear_until(Diff)
        files.means[TARGET] = connection()
        await trio.sleep(LOOK_SECONDS + 1)
        (healed,) = await status_of(whole)

    assert broken["note"].startswith("the kubeconfig cannot be used: kubeconfig /home/me")
    assert healed["note"] is None
