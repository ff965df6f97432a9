"""The whole daemon over fake API servers: one upstream watch, several clusters, nothing mixed."""

from __future__ import annotations

from random import Random
from typing import Any, TypeVar

import trio
from trio.testing import MockClock

from orka.daemon.config import Given
from orka.proto.messages import (
    AllNamespaces,
    ClientMessage,
    Diff,
    Discover,
    End,
    Error,
    List,
    Metrics,
    Page,
    Resources,
    ServerMessage,
    StateChange,
    Status,
    StatusReport,
    Synced,
    Target,
    Text,
    Truth,
    Watch,
)
from replay.apiserver import ApiServer, definition
from tests.support.whole import KUBECONFIG, TARGET, Whole, kubeconfig, target, watched, whole_daemon

M = TypeVar("M", bound=ServerMessage)
ALL = AllNamespaces()


def cluster(*certificates: str, seed: int = 1) -> ApiServer:
    """A server with one CRD and these objects in it."""
    server = ApiServer(random=Random(seed))
    server.model.create(
        "customresourcedefinitions",
        definition("cert-manager.io", "Certificate", "certificates", short_names=("cert",)),
    )
    for name in certificates:
        create(server, name)
    return server


def create(server: ApiServer, name: str) -> None:
    """One more certificate."""
    server.model.create("certificates", {"metadata": {"namespace": "shop", "name": name}})


def one(kind: type[M], heard: list[ServerMessage]) -> M:
    """The only message of this type."""
    (found,) = [message for message in heard if isinstance(message, kind)]
    return found


async def answer(whole: Whole, request: ClientMessage) -> list[ServerMessage]:
    """Everything up to the end."""
    return await whole.ask(request).hear_until(End, Error)


async def names(whole: Whole, where: Target = TARGET) -> list[str]:
    """What `ls` shows."""
    heard = await answer(whole, List(where, "certificates", ALL, "rows"))
    assert isinstance(heard[-1], End), heard
    return [row.name for page in heard if isinstance(page, Page) for row in page.rows]


async def test_p6_many_readers_cost_one_watch(autojump_clock: MockClock) -> None:
    """Fifty watchers and a hundred lists: the API server sees one list and watch."""
    server = cluster("a", "b")
    async with whole_daemon({"dev": server}) as whole:
        watchers = [whole.ask(Watch(TARGET, "certificates", ALL)) for _ in range(50)]
        for watcher in watchers:
            await watcher.hear_until(Synced)
        for _ in range(100):
            assert await names(whole) == ["a", "b"]
        create(server, "c")
        diffs = [(await watcher.hear_until(Diff))[-1] for watcher in watchers]
        report = one(StatusReport, await answer(whole, Status("rows"))).report

    assert all(isinstance(diff, Diff) and diff.changes[0].obj.name == "c" for diff in diffs)
    assert watched(server) in (["watchlist"], ["list", "watch"])
    clusters: Any = report["clusters"]
    assert [kind["watchers"] for kind in clusters[0]["kinds"]] == [50]
    assert clusters[0]["upstream"]["watchlist"] == {"certificates.cert-manager.io": 1}


async def test_each_context_is_answered_from_its_own_cluster(autojump_clock: MockClock) -> None:
    """One daemon, two servers; every truth names its context."""
    async with whole_daemon({"dev": cluster("a"), "prod": cluster("z")}) as whole:
        dev = await names(whole, target("dev"))
        heard = await answer(whole, List(target("prod"), "certificates", ALL, "rows"))

    assert dev == ["a"]
    assert one(Truth, heard).context == "prod"
    assert [row.name for row in one(Page, heard).rows] == ["z"]


async def test_a_changed_current_context_is_followed_and_running_watches_stay(
    autojump_clock: MockClock,
) -> None:
    """As kubectl in the same shell would; whoever asked before keeps what it asked for."""
    dev = cluster("a")
    async with whole_daemon({"dev": dev, "prod": cluster("z")}) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        contexts = (("dev", "dev"), ("prod", "prod"))
        whole.files.contents[KUBECONFIG] = kubeconfig(*contexts, current="prod")
        after = await names(whole)
        create(dev, "b")
        diff = (await watcher.hear_until(Diff))[-1]

    assert after == ["z"]
    assert isinstance(diff, Diff)
    assert diff.changes[0].obj.name == "b"


async def test_two_contexts_that_mean_the_same_share_one_cluster(
    autojump_clock: MockClock,
) -> None:
    """Same server, same user: one watch, and each answer in the words of its asker."""
    server = cluster("a")
    async with whole_daemon({"dev": server}) as whole:
        whole.files.contents[KUBECONFIG] = kubeconfig(("dev", "dev"), ("alias", "dev"))
        first = await answer(whole, List(target("dev"), "certificates", ALL, "rows"))
        second = await answer(whole, List(target("alias"), "certificates", ALL, "rows"))

    assert one(Truth, first).context == "dev"
    assert one(Truth, second).context == "alias"
    assert one(Truth, first).cursor == one(Truth, second).cursor
    assert len(watched(server)) <= 2


async def test_a_pinned_daemon_refuses_another_cluster(autojump_clock: MockClock) -> None:
    """It says which one it serves; who asks for nothing in particular gets that one."""
    servers = {"dev": cluster("a"), "prod": cluster("z")}
    async with whole_daemon(servers, given=Given(context="prod")) as whole:
        default = await names(whole)
        same = await names(whole, target("prod"))
        other = await answer(whole, List(target("dev"), "certificates", ALL, "rows"))

    assert default == same == ["z"]
    assert one(Error, other).code == "pinned"
    assert one(Error, other).exit_code == 2
    assert "'prod'" in one(Error, other).message


async def test_an_unknown_kind_is_looked_up_afresh_before_it_is_refused(
    autojump_clock: MockClock,
) -> None:
    """A CRD that was made a second ago is found; a mistyped name gets near ones."""
    server = cluster("a")
    async with whole_daemon({"dev": server}) as whole:
        assert await names(whole) == ["a"]
        await trio.sleep(5)
        server.model.create(
            "customresourcedefinitions", definition("example.com", "Widget", "widgets")
        )
        found = await answer(whole, List(TARGET, "widgets", ALL, "rows"))
        await trio.sleep(5)
        wrong = await answer(whole, List(TARGET, "certificats", ALL, "rows"))

    assert isinstance(found[-1], End)
    assert one(Error, wrong).exit_code == 6
    assert "certificates" in (one(Error, wrong).hint or "")


async def test_discover_lists_what_is_served(autojump_clock: MockClock) -> None:
    """And with prefer_crd the one kind that the daemon's flag would select."""
    async with whole_daemon({"dev": cluster()}) as whole:
        everything = one(Resources, await answer(whole, Discover(TARGET, "rows")))
        crd = one(Resources, await answer(whole, Discover(TARGET, "rows", prefer_crd=True)))

    assert "pods" in [kind.resource for kind in everything.resources]
    assert [kind.kind for kind in crd.resources] == ["Certificate"]


async def test_a_kind_nobody_reads_is_dropped_and_comes_back_for_the_next_reader(
    autojump_clock: MockClock,
) -> None:
    """After the idle time its watch is closed and its memory freed; pinned kinds stay."""
    server = cluster("a")
    given = Given(idle_seconds="60", watch=("pods",))
    async with whole_daemon({"dev": server}, given=given) as whole:
        async with trio.open_nursery() as later:
            await whole.daemon.pin_kinds(later)
        assert await names(whole) == ["a"]
        held = whole.ask(Watch(TARGET, "certificates", ALL))
        await held.hear_until(Synced)
        await trio.sleep(120)
        while_read = kinds_of(whole)
        held.wire.write(b"")
        await trio.sleep(61)
        after = kinds_of(whole)
        again = await names(whole)

    assert while_read == ["cert-manager.io/v1/Certificate", "v1/Pod"]
    assert after == ["v1/Pod"]
    assert again == ["a"]


def kinds_of(whole: Whole) -> list[str]:
    """The kinds being watched."""
    return [kind.resource.gvk for found in whole.clusters for kind in found.kinds]


async def test_p1_a_dead_server_makes_the_kind_stale_and_its_return_live(
    autojump_clock: MockClock,
) -> None:
    """The data is still served in between, with its age; nothing made meanwhile is missed."""
    server = cluster("a")
    async with whole_daemon({"dev": server}) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        await watcher.hear_until(StateChange)
        server.refuse()
        server.cut_connections()
        stale = (await watcher.hear_until(StateChange))[-1]
        await trio.sleep(20)
        old = await answer(whole, List(TARGET, "certificates", ALL, "rows", max_age_seconds=5))
        create(server, "b")
        server.accept()
        heard = await watcher.hear_until(Diff)

    assert isinstance(stale, StateChange)
    assert stale.truth.state == "stale"
    assert [row.name for row in one(Page, old).rows] == ["a"]
    assert one(End, old).exit_code == 4
    assert isinstance(heard[-1], Diff)
    assert heard[-1].changes[0].obj.name == "b"


async def test_p7_one_kinds_trouble_stays_there(autojump_clock: MockClock) -> None:
    """A forbidden kind exits 5 while another one is served."""
    server = cluster("a")
    server.forbid("pods")
    async with whole_daemon({"dev": server}) as whole:
        pods = await answer(whole, List(TARGET, "pods", ALL, "rows"))
        certificates = await names(whole)

    assert one(Error, pods).exit_code == 5
    assert "kubectl auth can-i list pods" in (one(Error, pods).hint or "")
    assert certificates == ["a"]


async def test_p7_a_malformed_object_is_quarantined_and_the_rest_lives(
    autojump_clock: MockClock,
) -> None:
    """Counted in the truth and in the metrics."""
    server = cluster("a")
    async with whole_daemon({"dev": server}) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        server.inject_line(
            b'{"type":"ADDED","object":{"kind":"PartialObjectMetadata",'
            b'"metadata":{"resourceVersion":"99","uid":"x"}}}\n',
            "certificates",
        )
        create(server, "b")
        await watcher.hear_until(Diff)
        heard = await answer(whole, List(TARGET, "certificates", ALL, "rows"))
        metrics = one(Text, await answer(whole, Metrics()))

    assert one(Truth, heard).quarantined == 1
    assert [row.name for row in one(Page, heard).rows] == ["a", "b"]
    assert b"quarantined_total" in metrics.data


async def test_metrics_show_the_coalescer_by_kind(autojump_clock: MockClock) -> None:
    """Prometheus text, there from the first moment of a kind."""
    async with whole_daemon({"dev": cluster("a")}) as whole:
        await names(whole)
        metrics = one(Text, await answer(whole, Metrics())).data.decode()

    labels = '{context="dev",kind="cert-manager.io/v1/Certificate"}'
    assert f"coalescer_dropped_total{labels} 0.0" in metrics
    assert f"coalescer_len{labels} 0.0" in metrics
    assert f"snapshot_objects{labels} 1.0" in metrics


async def test_p4_a_flood_over_the_cap_is_dropped_counted_and_healed(
    autojump_clock: MockClock,
) -> None:
    """With room for two deltas a burst of twenty still ends in the truth."""
    server = cluster("a")
    async with whole_daemon({"dev": server}, given=Given(queue_cap="2")) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        for number in range(20):
            create(server, f"n{number:02}")
        await trio.sleep(120)
        shown = await names(whole)
        heard = await answer(whole, List(TARGET, "certificates", ALL, "rows"))

    assert shown == ["a", *(f"n{number:02}" for number in range(20))]
    assert one(Truth, heard).dropped > 0
    assert one(Truth, heard).state == "live"


async def test_a_removed_crd_ends_its_watches_and_a_new_one_starts_anew(
    autojump_clock: MockClock,
) -> None:
    """Deletes, the state gone, exit 6; the CRD made again is another life."""
    server = cluster("a")
    async with whole_daemon({"dev": server}) as whole:
        watcher = whole.ask(Watch(TARGET, "certificates", ALL))
        await watcher.hear_until(Synced)
        server.model.delete("customresourcedefinitions", "certificates.cert-manager.io")
        heard = await watcher.hear_until(Error)
        server.model.create(
            "customresourcedefinitions",
            definition("cert-manager.io", "Certificate", "certificates"),
        )
        create(server, "new")
        await trio.sleep(10)
        again = await names(whole)

    gone = [change.op for diff in heard if isinstance(diff, Diff) for change in diff.changes]
    assert gone == ["DEL"]
    assert one(Error, heard).exit_code == 6
    assert again == ["new"]
