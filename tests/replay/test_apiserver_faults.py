"""Scripted fault verbs: what they do to the requests to come, as a client meets it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from replay.apiserver import ApiServer
from replay.apiserver.faults import Effect, Match, Rule
from tests.replay.conftest import CERTIFICATES, IN_SHOP, STREAMING, Dial, watching
from tests.replay.http_client import METADATA, Client, CutError

PODS = "/api/v1/pods"


async def statuses(client: Client, path: str, count: int) -> list[int]:
    """The status codes of some equal requests."""
    return [(await client.get(path)).status for _ in range(count)]


async def test_throttle_answers_429(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """For the next n matching requests, with Retry-After in header and body."""
    client = await dial()
    server.throttle(2, retry_after=7, verb="list", resource="certificates")

    first = await client.get(CERTIFICATES)
    pods = await client.get(PODS)

    assert first.status == 429
    assert first.headers["retry-after"] == "7"
    assert first.json()["details"]["retryAfterSeconds"] == 7
    assert pods.status == 200
    assert await statuses(client, CERTIFICATES, 2) == [429, 200]
    assert [record.fault for record in server.seen("list", "certificates")] == [
        "throttle",
        "throttle",
        "",
    ]


async def test_fail_answers_any_status(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """A Status by default, else the given text or document; `after` lets requests pass first."""
    client = await dial()
    server.fail(503, body=b"service unavailable\n", after=1)
    server.fail(500, body={"kind": "Status", "code": 500})
    server.fail(504)

    first = await client.get(CERTIFICATES)
    second = await client.get(CERTIFICATES)
    third = await client.get(CERTIFICATES)

    assert (first.status, first.json()["code"]) == (500, 500)
    assert (second.status, second.body) == (503, b"service unavailable\n")
    assert (third.status, third.json()["reason"]) == (504, "Timeout")


async def test_error_event_answers_a_watch(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """200 with one ERROR event of that code and reason."""
    server.error_event(500, "InternalError", resource="certificates")

    lines = await watching(server, dial)

    assert (await lines.event())["object"]["reason"] == "InternalError"
    assert await lines.event() is None


async def test_unauthorized_answers_401(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """For n requests, then all is well."""
    client = await dial()
    server.unauthorized(2)

    assert await statuses(client, CERTIFICATES, 3) == [401, 401, 200]


async def test_html_answers_a_login_page(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """200 that is no JSON, for lists and watches."""
    client = await dial()
    server.html(2)

    listed = await client.get(CERTIFICATES)
    watched = await client.get(f"{CERTIFICATES}?watch=1")

    for response in (listed, watched):
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/html")
        assert response.body.startswith(b"<!DOCTYPE html>")


async def test_too_large_answers_504(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """The cause says ResourceVersionTooLarge; lists and watches each get their own turn."""
    client = await dial()
    server.too_large()

    listed = await client.get(CERTIFICATES)
    watched = await client.get(f"{CERTIFICATES}?watch=1&resourceVersion=5")

    for response in (listed, watched):
        assert response.status == 504
        causes = response.json()["details"]["causes"]
        assert causes[0]["reason"] == "ResourceVersionTooLarge"


async def test_delay_waits_before_each_answer(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Delays add up with each other and with an answer, and go with heal."""
    client = await dial()
    server.delay(5, verb="list")
    server.delay(2, 1)
    server.fail(500)

    first = await client.get(CERTIFICATES)
    after_first = trio.current_time()
    await client.get(CERTIFICATES)
    after_second = trio.current_time()
    server.heal("delay")
    await client.get(CERTIFICATES)

    assert first.status == 500
    assert after_first == pytest.approx(7)
    assert after_second == pytest.approx(12)
    assert trio.current_time() == pytest.approx(12)
    assert server.requests[0].fault == "delay+delay+fail"


async def test_hang_up_closes_without_an_answer(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """The connection ends where the answer should begin; the record has no status."""
    client = await dial()
    server.hang_up()

    with pytest.raises(CutError):
        await client.get(CERTIFICATES)
    assert server.requests[-1].status is None


async def test_close_early_empty(autojump_clock: MockClock, server: ApiServer, dial: Dial) -> None:
    """A watch opens and ends at once, for n times."""
    server.close_early_empty(2, resource="certificates")
    started = trio.current_time()

    ends = [await (await watching(server, dial)).event() for _ in range(2)]
    quick = trio.current_time() - started
    last = await watching(server, dial)
    server.model.delete("certificates", "web-0", "shop")

    assert ends == [None, None]
    assert quick == 0
    assert await last.names(1) == [("DELETED", "web-0")]


async def test_cut_page_stops_half_way(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """With after=1 the second page is cut, the first is whole."""
    client = await dial()
    server.cut_page(after=1)

    first = (await client.get(f"{CERTIFICATES}?limit=5")).json()
    token = first["metadata"]["continue"]
    with pytest.raises(CutError) as caught:
        await client.get(f"{CERTIFICATES}?limit=5&continue={token}")

    assert caught.value.tail.startswith(b'{"apiVersion"')
    assert (await (await dial()).get(CERTIFICATES)).status == 200


async def test_cut_streaming_list_comes_before_the_mark(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Some initial events arrive, the end never does."""
    client = await dial()
    server.cut_streaming_list()
    lines = await client.watch(STREAMING, METADATA)

    # Twelve would come; whatever half of the bytes holds, it is neither all nor none.
    first = await lines.names(1)
    with pytest.raises(CutError):
        await lines.names(11)
    assert first == [("ADDED", "web-0")]


async def test_no_streaming_list_is_422(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """For one resource or all; plain watches go on."""
    client = await dial()
    server.no_streaming_list(resource="certificates")

    refused = await client.get(STREAMING)
    pods = await (await dial()).watch(STREAMING.replace(CERTIFICATES, PODS))

    assert refused.status == 422
    assert (await pods.event())["type"] == "BOOKMARK"
    assert (await watching(server, dial)).status == 200


async def test_streaming_list_never_ends(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """All objects come, the mark does not, live events do."""
    client = await dial()
    server.streaming_list_never_ends()
    lines = await client.watch(STREAMING)
    await lines.names(12)

    with trio.move_on_after(30) as silence:
        await lines.event()
    server.model.delete("certificates", "web-0", "shop")

    assert silence.cancelled_caught
    assert await lines.names(1) == [("DELETED", "web-0")]


async def test_no_bookmarks(autojump_clock: MockClock, server: ApiServer, dial: Dial) -> None:
    """A watch that asked for bookmarks stays silent to its end."""
    server.no_bookmarks()
    lines = await watching(server, dial)
    server.model.store.tick()

    assert await lines.event() is None
    assert trio.current_time() == pytest.approx(300)


async def test_heal_removes_every_rule(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """After heal nothing scripted is left."""
    client = await dial()
    server.throttle(None)
    server.fail(500, None)
    during = await statuses(client, CERTIFICATES, 2)

    server.heal()

    assert during == [429, 429]
    assert await statuses(client, CERTIFICATES, 1) == [200]


async def test_rules_can_be_written_by_hand(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """A rule may look at the namespace, which no verb does."""
    client = await dial()
    rule = Rule("mine", Match(("list",), "certificates", "shop"), Effect(hang_up=True), 1)
    server.script.add(rule)

    elsewhere = await client.get(CERTIFICATES)
    with pytest.raises(CutError):
        await client.get(IN_SHOP)

    assert elsewhere.status == 200
    assert server.requests[-1].fault == "mine"


async def test_every_request_is_recorded_with_its_time(
    autojump_clock: MockClock, server: ApiServer, dial: Dial
) -> None:
    """Verb, resource, namespace, query, chosen headers, status and both times."""
    client = await dial()
    await trio.sleep(5)
    await client.get(f"{IN_SHOP}?limit=2", **{"User-Agent": "test"})

    [record] = server.seen("list", "certificates.cert-manager.io")

    assert (record.time, record.ended, record.status) == (5, 5, 200)
    assert (record.namespace, record.query) == ("shop", {"limit": "2"})
    assert record.headers == {"accept": "application/json", "user-agent": "test"}


def test_a_rule_for_a_negative_number_of_requests_is_a_mistake(server: ApiServer) -> None:
    """It is refused where it is written."""
    with pytest.raises(ValueError, match="throttle: a rule for -1 requests"):
        server.throttle(-1)
