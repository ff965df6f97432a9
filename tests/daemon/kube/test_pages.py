"""List bodies as pages, or refused as a whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.kube.errors import Failure, FailureKind
from orka.daemon.kube.pages import Page, decode_page
from tests.daemon.kube.fake_api import Json, meta_of, page, partial, status

GOOD = partial(meta_of("a", "ns", 1, 7))


def body(
    items: object, *, kind: str | None = "ThingList", meta: dict[str, object] | None = None
) -> bytes:
    """A list body with these items."""
    document: Json = {"metadata": {"resourceVersion": "9"} | (meta or {}), "items": items}
    if kind is not None:
        document["kind"] = kind
    return json.dumps(document).encode()


def good(text: bytes) -> Page:
    """The page that this body must be."""
    found = decode_page(text, "Thing")
    assert isinstance(found, Page)
    return found


def refused(text: bytes) -> Failure:
    """The failure that this body must be."""
    found = decode_page(text, "Thing")
    assert isinstance(found, Failure)
    return found


def test_a_page_has_the_lists_own_version_and_token() -> None:
    """Never an item's."""
    meta = {"resourceVersion": "9", "continue": "more", "remainingItemCount": 3}

    found = good(page(meta, [GOOD, GOOD]).body)
    assert (found.resource_version, found.continue_token) == ("9", "more")
    assert [obj.name for obj in found.objects] == ["a", "a"]


@pytest.mark.parametrize("kind", ["PartialObjectMetadata", "Thing", None])
def test_items_may_be_of_either_form_or_without_a_kind(kind: str | None) -> None:
    """Items of built-in kinds have none."""
    item = {"metadata": meta_of("a", "ns", 1, 7)} | ({"kind": kind} if kind else {})

    assert len(good(body([item])).objects) == 1


@pytest.mark.parametrize(
    "text",
    [
        body(None),
        body([]),
        b'{"kind":"ThingList","metadata":{"resourceVersion":"9"}}',
    ],
)
def test_no_items_is_an_empty_list(text: bytes) -> None:
    """null, none and absent, if the rest is a list."""
    assert good(text) == Page(good(text).resource_version, "", ())
    assert good(text).resource_version == "9"


@pytest.mark.parametrize(
    "meta", [{"resourceVersion": None}, {"resourceVersion": ""}, {"resourceVersion": 5}]
)
def test_a_list_may_be_without_a_version(meta: dict[str, object]) -> None:
    """What that means is the reflector's matter."""
    assert good(body([], meta=meta)).resource_version == ""


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html><body>Log in</body></html>",
        body([GOOD], kind=None),
        body([GOOD], kind="Thing"),
        body([GOOD]) + b"{}",
        body([GOOD])[:-1],
        body([GOOD])[:-2] + json.dumps(status(500)).encode(),
        body([GOOD]) + json.dumps(status(500)).encode(),
        body([GOOD, {"metadata": 5}])[:-2] + json.dumps(status(500)).encode(),
        body({"a": 1}),
        b'{"kind":"ThingList","metadata":7,"items":[]}',
    ],
)
def test_a_body_that_is_not_one_list_is_refused_whole(text: bytes) -> None:
    """Above all a list that was cut, with the server's Status appended to it."""
    assert refused(text).kind is FailureKind.NOT_KUBERNETES


def test_a_status_instead_of_a_list_is_what_it_says() -> None:
    """Whatever the HTTP status was."""
    assert refused(json.dumps(status(410, "Expired")).encode()).kind is FailureKind.EXPIRED


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("item", "key", "shown"),
    [
        (b'{"metadata":{"name":"b","uid":5}}', (None, "b"), True),
        (b'{"metadata":{"name":"b","uid":"u"},"x":' + DEEP + b"}", (None, "b"), True),
        (rb'{"metadata":{"name":"b","uid":"u"},"x":"\ud800"}', (None, "b"), True),
        (b'{"metadata":{"name":"b","uid":"u"},"kind":"Other"}', (None, "b"), False),
        (b'{"metadata":{"name":""}}', None, False),
        (b'{"metadata":{}}', None, False),
        (b'{"metadata":null}', None, False),
        (b"{}", None, False),
        (b"null", None, False),
        (b"[5]", None, False),
    ],
    ids=[
        "uid",
        "deep",
        "surrogate",
        "kind",
        "empty name",
        "no name",
        "null",
        "{}",
        "nothing",
        "[]",
    ],
)
def test_one_bad_item_is_set_aside_alone(item: bytes, key: object, *, shown: bool) -> None:
    """The others are read; the bad one is shown as far as its metadata tells."""
    text = body([GOOD, "ITEM", GOOD], meta={"continue": "more"}).replace(b'"ITEM"', item)

    found = good(text)
    assert [obj.name for obj in found.objects] == ["a", "b", "a"][:: 1 if shown else 2]
    assert [malformed.key for malformed in found.malformed] == [key]
    assert (found.resource_version, found.continue_token) == ("9", "more")


@pytest.mark.parametrize("bad", [[], [{}]])
def test_objects_without_a_uid_are_counted(bad: list[object]) -> None:
    """On both ways through."""
    assert good(body([{"metadata": {"name": "b"}}, GOOD, *bad])).without_uid == 1


@given(
    text=st.one_of(
        st.binary(), st.binary().map(lambda item: b'{"kind":"L","items":[' + item + b"]}")
    )
)
def test_no_bytes_raise(text: bytes) -> None:
    """Whatever a proxy answers."""
    assert isinstance(decode_page(text, "Thing"), Page | Failure)
