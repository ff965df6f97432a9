"""What many readers cost the API server, by its own count."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.harness import Orka
from tests.e2e.processes import eventually
from tests.e2e.servers import ISSUERS, Server

# Watchers and lists, by whether the server is the real one: each is a process of its own.
READERS = {True: (50, 100), False: (10, 20)}
SECONDS = 10.0


def test_promise_p6_fifty_watchers_and_a_hundred_lists_cost_one_watch(
    orka: Orka, server: Server, namespace: str
) -> None:
    """One WATCH and no LIST by the API server's metrics, and `status` says the same."""
    watchers, repeats = READERS[server.real]
    server.api.create(ISSUERS, "first", namespace)
    before = server.api.requests(ISSUERS)
    daemon = orka.start()

    watches = [orka.watch("issuers", "-A", "--initial") for _ in range(watchers)]
    for watch in watches:
        watch.record("ITEM", name="first")
        watch.record("SYNCED")
    with ThreadPoolExecutor(4) as pool:
        lists = list(pool.map(lambda _: orka.ctl("ls", "issuers", "-A"), range(repeats)))
    open_now = server.api.requests(ISSUERS)
    server.api.create(ISSUERS, "second", namespace)
    uids = {watch.record("ADD", name="second")["uid"] for watch in watches}
    status = orka.status()
    assert daemon.stop() == 0
    ended = eventually(
        lambda: found if (found := server.api.requests(ISSUERS))["ended", "WATCH"] else None,
        SECONDS,
        "the watch is over",
    )

    assert {len(done.rows()) for done in lists} == {len(lists[0].rows())}
    assert len(uids) == 1
    assert open_now - before == Counter({("open", "WATCH"): 1})
    assert ended["ended", "WATCH"] - before["ended", "WATCH"] == 1
    assert ended["ended", "LIST"] == before["ended", "LIST"]
    assert ended["open", "WATCH"] == before["open", "WATCH"]
    (cluster,) = status["clusters"]
    upstream = {verb: kinds.get(ISSUERS.resource, 0) for verb, kinds in cluster["upstream"].items()}
    assert {verb: count for verb, count in upstream.items() if count} == {"watchlist": 1}
    assert cluster["kinds"][0]["watchers"] == watchers
    assert sum(client["asks"] == "watch issuers" for client in status["clients"]) == watchers
