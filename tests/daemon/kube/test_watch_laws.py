"""Any interleaving of changes and faults ends with the server's own state, reached lawfully."""

from __future__ import annotations

from collections.abc import Callable

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from orka.daemon.kube.errors import FailureKind
from orka.daemon.model import Resource
from tests.daemon.kube.fake_api import (
    JSON_HEADERS,
    Answer,
    Body,
    FakeApi,
    failing,
    line,
    meta_of,
    partial,
    refusal,
    status,
)
from tests.daemon.kube.harness import Rig, reflector, run_on_virtual_time

EVENTS = Resource("", "v1", "Event", "events", namespaced=True)
NAMES = [f"n{number}" for number in range(6)]
HALF = b'{"type":"MODIFIED","object":{"kind":"PartialObjectMetadata","metadata":{"name":"n'

WATCH_ANSWERS: list[Answer] = [
    refusal(410, "Expired"),
    refusal(429, "TooManyRequests", retry_after=3),
    refusal(401, "Unauthorized"),
    refusal(403, "Forbidden"),
    refusal(404, "NotFound"),
    refusal(422, "Invalid"),
    refusal(500, "InternalError"),
    refusal(503, "ServiceUnavailable"),
    refusal(504, "Timeout", details={"causes": [{"reason": "ResourceVersionTooLarge"}]}),
    failing(FailureKind.CONNECT),
    failing(FailureKind.CUT),
    Body([]),
    Body([line("ERROR", status(410, "Expired"))]),
    Body([line("ERROR", status(500, "StorageReadError"))]),
    Body([line("ADDED", partial(meta_of("ghost", "ns", 999, 999)))[:-9]]),
    Body([b"<html>"], headers={"content-type": "text/html"}),
]
LIST_ANSWERS: list[Answer] = [
    refusal(410, "Expired"),
    refusal(429, "TooManyRequests", retry_after=3),
    refusal(404, "NotFound"),
    refusal(500, "InternalError"),
    refusal(504, "Timeout"),
    failing(FailureKind.CUT),
    failing(FailureKind.CONNECT),
    type(refusal(410))(200, JSON_HEADERS, b'{"kind":"ThingList","items":[{"metadata":{"name":"gho'),
]


def touch(api: FakeApi, name: str) -> None:
    """Make it, or change it."""
    if ("ns", name) in api.objects:
        api.update(name)
    else:
        api.create(name)


def remove(api: FakeApi, name: str) -> None:
    """Delete it, if it is there."""
    if ("ns", name) in api.objects:
        api.delete(name)


def recreate(api: FakeApi, name: str) -> None:
    """A new uid under the old name."""
    remove(api, name)
    api.create(name)


def end_leases(api: FakeApi) -> None:
    """Everything is deleted at one resourceVersion, and the watch cut after the first of it."""
    [stream], api.open = api.open, []
    before = len(api.history)
    api.delete(*(name for _, name in api.objects))
    _, kind, meta = api.history[before]
    stream.send(line(kind, partial(meta)), failing(FailureKind.CUT))


Act = Callable[[FakeApi, str], None]
ACTS: list[Act] = [
    touch,
    touch,
    remove,
    recreate,
    lambda api, _: api.cut(),
    lambda api, _: api.cut(HALF),
    lambda api, _: api.close(),
    lambda api, _: api.expire(),
    lambda api, _: api.send_bookmark(),
    lambda api, _: api.error(500, "InternalError"),
    lambda api, _: api.error(410, "Expired"),
    lambda api, _: api.send(line("RENAMED", {})),
    lambda api, _: api.send(line("BOOKMARK", {})),
    lambda api, _: api.stall(),
]
acts = st.tuples(st.sampled_from(ACTS), st.sampled_from(NAMES))
answers = st.one_of(
    st.tuples(st.just("watches"), st.sampled_from(WATCH_ANSWERS)),
    st.tuples(st.just("lists"), st.sampled_from(LIST_ANSWERS)),
)
waits = st.sampled_from([0.0, 0.0, 0.1, 1.0, 5.0, 40.0, 400.0])
steps = st.lists(st.one_of(acts, answers, waits), max_size=40)


async def play(rig: Rig, steps_: list[object]) -> None:
    """Do these one after the other."""
    for step in steps_:
        match step:
            case float():
                await trio.sleep(step)
            case (str() as verb, answer):
                getattr(rig.api, verb).append(answer)
            case (act, name):
                assert callable(act)
                act(rig.api, name)


@settings(deadline=None, max_examples=60)
@given(
    steps=steps,
    seed=st.integers(0, 2**16),
    streaming=st.booleans(),
    cap=st.sampled_from([None, 1, 2, 5]),
    relist_seconds=st.sampled_from([20.0, 300.0, float("inf")]),
)
def test_every_interleaving_ends_at_the_servers_state(
    *, steps: list[object], seed: int, streaming: bool, cap: int | None, relist_seconds: float
) -> None:
    """No ghost, no lost object, no object that goes back in time, no drop left unhealed."""

    async def main() -> None:
        api = FakeApi()
        api.streaming = streaming
        api.fill(3)
        async with reflector(api, seed=seed, cap=cap, relist_seconds=relist_seconds) as rig:
            await play(rig, steps)
            api.watches.clear()
            api.lists.clear()
            await trio.sleep(1500)
            await rig.until_same()
            assert not rig.sink.dirty

    run_on_virtual_time(main)


def test_leases_that_end_together_and_a_cut_among_them_leave_no_ghost() -> None:
    """The first of many deletes at one version looks like any other; Events are taken up before."""

    async def main() -> None:
        api = FakeApi(path="/api/v1/events")
        api.fill(9)
        async with reflector(api, resource=EVENTS) as rig:
            await rig.until_live()
            api.send_bookmark()
            await trio.sleep(1)
            end_leases(api)
            await rig.until_same()
            assert len(api.asked("watchlist")) == 1

    run_on_virtual_time(main)
