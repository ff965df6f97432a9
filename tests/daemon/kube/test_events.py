"""Watch lines as events: the plain ones fast, the others without ever raising."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.kube.errors import Failure, FailureKind
from orka.daemon.kube.events import (
    Bookmark,
    Changes,
    Event,
    EventDecoder,
    Puzzle,
    ends_stream,
    tally,
)
from orka.daemon.kube.lines import LineSplitter, Oversize
from orka.daemon.model import Delta, DeltaKind, hashed_uid
from orka.daemon.objects import Malformed
from orka.proto.messages import LiteObj
from tests.daemon.kube.fake_api import bookmark, line, meta_of, partial, status
from tests.daemon.kube.test_lines import split_at

DEEP = b"[" * 100_000 + b"]" * 100_000


def decode(*lines: bytes | Oversize) -> list[Event]:
    """The events of these lines, for the kind Thing."""
    return EventDecoder("Thing").decode(lines)


def raw(metadata: bytes, event_type: bytes = b"MODIFIED", more: bytes = b"") -> bytes:
    """A line with this metadata, whatever it is."""
    obj = b'{"kind":"Thing","metadata":' + metadata + more + b"}"
    return b'{"type":"' + event_type + b'","object":' + obj + b"}"


def only(events: list[Event]) -> Event:
    """The one event there is."""
    assert len(events) == 1
    return events[0]


def test_changes_in_a_row_are_one_run() -> None:
    """With the last one's resourceVersion, and the number of each type."""
    lines = [
        line("ADDED", partial(meta_of("a", "ns", 1, 7))),
        line("MODIFIED", partial(meta_of("b", "ns", 2, 8))),
        line("DELETED", partial(meta_of("a", "ns", 1, 9))),
    ]

    changes = only(decode(*lines))
    assert isinstance(changes, Changes)
    assert [(delta.kind.value, delta.key) for delta in changes.deltas] == [
        ("Applied", ("ns", "a")),
        ("Applied", ("ns", "b")),
        ("Deleted", ("ns", "a")),
    ]
    assert changes.resource_version == "9"
    assert changes.counts == {"ADDED": 1, "MODIFIED": 1, "DELETED": 1}
    assert changes.without_uid == 0


def test_whole_objects_are_read_like_their_metadata() -> None:
    """Servers that do not know the form send the object, whatever else is in it."""
    meta = meta_of("a", None, 1, 7)
    body = {"kind": "Thing", "apiVersion": "x/v1", "spec": {"a": [1, {}]}, "metadata": meta}

    changes = only(decode(line("ADDED", body)))
    assert isinstance(changes, Changes)
    obj = LiteObj(UUID(int=1).bytes, None, "a", 1767323045, "7")
    assert changes.deltas == (Delta(obj.uid, DeltaKind.APPLIED, (None, "a"), obj),)


def test_objects_without_a_uid_are_counted() -> None:
    """They are shown, under a uid made from their key."""
    changes = only(decode(raw(b'{"name":"a","namespace":"ns","resourceVersion":"7"}')))

    assert isinstance(changes, Changes)
    assert changes.without_uid == 1
    assert changes.deltas[0].uid == hashed_uid("ns/a")


@pytest.mark.parametrize(
    "name", ["system:x", "A.B", "img:tag", "x" * 1024, "a\u0000\u001b[31m", "é\u2028"]
)
def test_any_name_is_a_name(name: str) -> None:
    """What a terminal may see of it is not this stage's matter."""
    changes = only(decode(line("ADDED", partial(meta_of(name, "ns", 1, 7)))))

    assert isinstance(changes, Changes)
    assert changes.deltas[0].key == ("ns", name)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (bookmark(7), Bookmark("7")),  # type: ignore[arg-type]
        (bookmark(7, mark=True), Bookmark("7", initial_events_end=True)),  # type: ignore[arg-type]
        (line("BOOKMARK", partial({"resourceVersion": "0"})), Bookmark(None)),
        (line("BOOKMARK", partial({"resourceVersion": ""})), Bookmark(None)),
        (line("BOOKMARK", {"kind": "Thing"}), Bookmark(None)),
        (line("BOOKMARK", {"metadata": {"resourceVersion": 7}}), Bookmark(None)),
        (line("BOOKMARK", None), Bookmark(None)),
        (b'{"type":"BOOKMARK"}', Bookmark(None)),
    ],
)
def test_bookmarks_have_a_usable_version_or_none(text: bytes, event: Bookmark) -> None:
    """Empty, "0", missing or no text: there is nothing to resume from."""
    assert only(decode(text)) == event


def test_an_error_event_is_a_failure_classified() -> None:
    """By the same rules as an HTTP status."""
    failure = only(decode(line("ERROR", status(410, "Expired", "too old"))))

    assert failure == Failure(FailureKind.EXPIRED, "too old", 410, "Expired")


@pytest.mark.parametrize(
    "text",
    [
        line("ERROR", {"kind": "Thing"}),
        line("ERROR", None),
        line("RENAMED", partial(meta_of("a", "ns", 1, 7))),
        line("ADDED", {}),
        line("ADDED", None),
        b'{"type":"ADDED"}',
        b"{}",
        b'{"type":7,"object":{}}',
    ],
)
def test_what_is_no_event_is_a_puzzle(text: bytes) -> None:
    """It may be a change, so the stream cannot be followed past it."""
    assert isinstance(only(decode(text)), Puzzle)


def test_an_object_of_another_kind_is_set_aside() -> None:
    """With its key, and nothing of it is shown."""
    other = {"kind": "Other", "metadata": meta_of("a", "ns", 1, 7)}
    none = {"metadata": meta_of("a", "ns", 1, 8)}

    first, second = decode(line("ADDED", other), line("ADDED", none))
    assert first == Malformed(("ns", "a"), "it has kind 'Other', not Thing", "7")  # type: ignore[arg-type]
    assert second == Malformed(("ns", "a"), "it has no kind, not Thing", "8")  # type: ignore[arg-type]


def test_an_object_without_a_name_is_set_aside() -> None:
    """The stream goes on behind it."""
    nameless, changes = decode(
        raw(b'{"resourceVersion":"7"}'), line("ADDED", partial(meta_of("a", "ns", 1, 8)))
    )

    assert isinstance(nameless, Malformed)
    assert (nameless.key, nameless.resource_version) == (None, "7")
    assert isinstance(changes, Changes)


@pytest.mark.parametrize(
    "text",
    [
        raw(b'{"name":"a","namespace":"ns","uid":"x"}'),
        raw(b'{"name":"a","namespace":"ns","uid":"x","resourceVersion":"0"}'),
        raw(b'{"name":"a","namespace":"ns","uid":"x","resourceVersion":7}'),
    ],
)
def test_a_change_without_a_version_ends_the_stream(text: bytes) -> None:
    """Nothing can be resumed behind it, so nothing behind it is read."""
    after = line("ADDED", partial(meta_of("b", "ns", 2, 8)))

    malformed = only(decode(text, after))
    assert isinstance(malformed, Malformed)
    assert (malformed.key, malformed.resource_version) == (("ns", "a"), None)


@pytest.mark.parametrize(
    "more",
    [b',"x":' + DEEP, rb',"x":"\ud800"', b',"x":nul', b',"x":"\x01"'],
    ids=["deep", "half a surrogate pair", "no JSON", "control character"],
)
def test_a_hostile_body_hides_nothing_else(more: bytes) -> None:
    """The object is set aside by its key, and what its metadata says is shown all the same."""
    meta = json.dumps(meta_of("a", "ns", 1, 7)).encode()

    malformed, changes = decode(raw(meta, b"DELETED", more))
    assert isinstance(malformed, Malformed)
    assert (malformed.key, malformed.resource_version) == (("ns", "a"), "7")
    assert isinstance(changes, Changes)
    assert (changes.deltas[0].kind, changes.deltas[0].key) == (DeltaKind.DELETED, ("ns", "a"))
    assert changes.counts == {"DELETED": 1}


@pytest.mark.parametrize(
    "more", [b',"x":' + b"9" * 5000, b',"metadata":{"name":"b","resourceVersion":"9"}']
)
def test_what_a_decoder_can_skip_is_no_harm(more: bytes) -> None:
    """Huge numbers are not read; of two equal names the last one counts."""
    changes = only(decode(raw(b'{"name":"a","resourceVersion":"7","uid":"u"}', more=more)))

    assert isinstance(changes, Changes)


@pytest.mark.parametrize(
    "text", [b"\xff", b"nonsense", b'{"type":"ADDED"', b"[]", b'{"type":"ADDED","object":[]}']
)
def test_a_line_that_is_no_json_object_ends_the_stream(text: bytes) -> None:
    """Nobody knows what was lost."""
    malformed = only(decode(text, bookmark(9)))

    assert isinstance(malformed, Malformed)
    assert (malformed.key, malformed.resource_version) == (None, None)


def test_a_line_over_the_cap_ends_the_stream() -> None:
    """It may have been a delete."""
    before = line("ADDED", partial(meta_of("a", "ns", 1, 7)))

    assert decode(before, Oversize(), before)[1:] == [Oversize()]


@given(text=st.one_of(st.binary(), st.builds(raw, st.binary(), st.sampled_from([b"ADDED", b"x"]))))
def test_no_bytes_raise(text: bytes) -> None:
    """Whatever stands in a line."""
    for event in decode(text):
        assert sum(count for _, count in tally(event)) == 1


EVENTS = st.one_of(
    st.builds(
        lambda kind, name, rv: line(kind, partial(meta_of(name, "ns", rv, rv))),
        st.sampled_from(["ADDED", "MODIFIED", "DELETED"]),
        st.text(alphabet="aé\u0085\u2028\r\n", min_size=1),
        st.integers(1, 99),
    ),
    st.builds(bookmark, st.integers(1, 99)),
    st.sampled_from([raw(b'{"name":5}') + b"\n", line("X", None), line("ERROR", status(500))]),
    st.sampled_from([raw(b'{"name":"a","resourceVersion":"7","uid":5}') + b"\n"]),
)


def flat(events: list[Event]) -> list[Event | Delta]:
    """The same with runs taken apart, up to the end of the stream."""
    return [
        part
        for event in events
        for part in (event.deltas if isinstance(event, Changes) else [event])
    ]


@given(lines=st.lists(EVENTS), cuts=st.lists(st.integers(min_value=0)))
def test_any_chunking_gives_the_same_events(lines: list[bytes], cuts: list[int]) -> None:
    """Bytes split anywhere, inside characters too, say what the whole lines say."""
    splitter, decoder = LineSplitter(), EventDecoder("Thing")
    found: list[Event] = []
    for chunk in split_at(b"".join(lines), cuts):
        found += decoder.decode(splitter.feed(chunk))
        if found and ends_stream(found[-1]):
            break

    assert flat(found) == flat(decode(*(text.rstrip(b"\n") for text in lines)))


def test_events_are_counted_by_type() -> None:
    """Those without an object too."""
    assert dict(tally(Bookmark(None))) == {"BOOKMARK-UNUSABLE": 1}
    assert dict(tally(Failure(FailureKind.SERVER, ""))) == {"ERROR": 1}
    assert dict(tally(Oversize())) == {"UNREADABLE": 1}
