"""A CRD whose spec changes: the API server rebuilds its storage and forgets its history."""

from __future__ import annotations

import json
import signal
import time
from functools import partial

from tests.e2e.harness import Orka
from tests.e2e.load import AGAIN_SECONDS, churn, insist
from tests.e2e.processes import eventually
from tests.e2e.servers import CRDS, Kind, Server, new_namespace

GADGETS = Kind("e2e.example.com", "v1", "Gadget", "gadgets")
WIDGETS = Kind("e2e.example.com", "v1", "Widget", "widgets")
COUNT = 100
DELETED = 20


def change_spec(server: Server, kind: Kind, column: str) -> None:
    """Give the CRD one more printer column."""
    spec = json.loads(server.api.get(CRDS.path(name=kind.resource)))["spec"]
    columns = [{"name": column, "type": "string", "jsonPath": ".metadata.name"}]
    versions = [{**version, "additionalPrinterColumns": columns} for version in spec["versions"]]
    server.api.patch(CRDS, kind.resource, {"spec": {"versions": versions}})


def counted(orka: Orka, metric: str, reason: str) -> float:
    """One counter of `orkactl metrics`, over all kinds."""
    lines = orka.ctl("metrics").ok().stdout.splitlines()
    found = [line for line in lines if line.startswith(metric) and f'reason="{reason}"' in line]
    return sum(float(line.split()[-1]) for line in found)


def make(server: Server, kind: Kind, count: int) -> tuple[str, list[str]]:
    """A new kind with so many objects: their namespace and names."""
    namespace = new_namespace(server)
    server.api.define(kind)
    names = [f"{kind.plural}-{number:03}" for number in range(count)]
    for name in names:
        server.api.create(kind, name, namespace)
    return namespace, names


def test_promise_p2_deletes_that_no_event_told_leave_no_ghost(orka: Orka, server: Server) -> None:
    """A CRD changes under load, objects go before orkad can look: inferred deletes, no ghost."""
    namespace, names = make(server, GADGETS, COUNT)
    gone, kept = names[:DELETED], names[DELETED:]
    daemon = orka.start()
    watch = orka.watch("gadgets", "--ns", namespace, "--initial")
    watch.record("SYNCED")

    with churn(server, GADGETS, namespace, kept):
        watch.record("MOD")
    daemon.signal(signal.SIGSTOP)
    change_spec(server, GADGETS, "one")
    # Until the server has closed it, the old watch would still bring every delete. Anything else
    # that asks for the kind now would start its new history too early.
    eventually(
        lambda: not server.api.requests(GADGETS)["open", "WATCH"], AGAIN_SECONDS, "it closes"
    )
    for name in gone:
        insist(partial(server.api.delete, GADGETS, name, namespace))
    with churn(server, GADGETS, namespace, kept[1:]):
        daemon.signal(signal.SIGCONT)
        watch.until(lambda it: len(it.records("DEL")) == DELETED, AGAIN_SECONDS, "the deletes")
        change_spec(server, GADGETS, "two")
        insist(partial(server.api.delete, GADGETS, kept[0], namespace))
        watch.record("DEL", name=kept[0], seconds=AGAIN_SECONDS)
        insist(partial(server.api.create, GADGETS, "last", namespace))
        watch.record("ADD", name="last", seconds=AGAIN_SECONDS)

    truth = server.api.uids(GADGETS, namespace)
    watch.until(lambda it: it.shown() == truth, AGAIN_SECONDS, "the truth")
    assert sorted(truth) == [(namespace, name) for name in (*kept[1:], "last")]
    assert {record["name"] for record in watch.records("DEL") if record["inferred"]} >= {*gone}
    assert watch.records("FRESH", "LAGGED", "END") == []
    assert counted(orka, "relist_total", "expired") >= 1
    listed = orka.ctl("ls", "gadgets", "-n", namespace).rows()
    assert [(row[0], row[1]) for row in listed] == sorted(truth)
    eventually(lambda: orka.state(GADGETS.resource) == "live", AGAIN_SECONDS, "live")


def test_a_quiet_kind_whose_crd_changes_is_live_again_soon(orka: Orka, server: Server) -> None:
    """429 while the server rebuilds its storage, then 410: a relist, which has nothing to tell."""
    namespace, names = make(server, WIDGETS, 3)
    orka.start()
    watch = orka.watch("widgets", "--ns", namespace, "--initial")
    synced = watch.record("SYNCED")
    time.sleep(1.2)  # a watch that ends within a second is taken for a fault of its own

    change_spec(server, WIDGETS, "one")
    eventually(partial(counted, orka, "relist_total", "expired"), AGAIN_SECONDS, "410")
    # The real server says 429 only if orkad asks before it is ready.
    assert server.real or counted(orka, "watch_restarts_total", "throttled") >= 1
    eventually(lambda: orka.state(WIDGETS.resource) == "live", AGAIN_SECONDS, "live")
    server.api.delete(WIDGETS, names[0], namespace)

    deleted = watch.record("DEL", seconds=AGAIN_SECONDS)
    since = watch.records()[watch.records().index(synced) + 1 :]
    assert (deleted["name"], deleted["inferred"]) == (names[0], False)
    assert {record["type"] for record in since} == {"STATE", "DEL"}
