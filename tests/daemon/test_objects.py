"""Objects as they are kept, from their metadata and from recorded lines."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.model import Delta, DeltaKind, hashed_uid
from orka.daemon.objects import (
    Malformed,
    Meta,
    NamelessError,
    decode_delta,
    lite_from_metadata,
    salvage,
    uid_bytes,
    unix_seconds,
)
from orka.proto.messages import LiteObj

UID = "12345678-9abc-def0-1234-56789abcdef0"


def recorded(kind: str, raw: object, uid: str | None = UID) -> bytes:
    """One recorded line."""
    return json.dumps({"kind": kind, "uid": uid, "raw": raw}).encode()


def test_metadata_becomes_what_is_kept() -> None:
    """Every field in its place; times as whole seconds."""
    meta = Meta("a", "ns", UID, "7", "1970-01-01T00:01:00Z", "1970-01-01T01:00:00.9+01:00")

    assert lite_from_metadata(meta) == LiteObj(UUID(UID).bytes, "ns", "a", 60, "7", 0)


def test_absent_fields_are_none() -> None:
    """Cluster-scoped, without times or resourceVersion; the uid is derived from the key."""
    assert lite_from_metadata(Meta("a")) == LiteObj(hashed_uid("/a"), None, "a", None, "")


@pytest.mark.parametrize("name", [None, ""])
def test_an_object_without_a_name_has_no_key(name: str | None) -> None:
    """It is refused, by an error of its own."""
    with pytest.raises(NamelessError):
        lite_from_metadata(Meta(name, uid=UID))


@given(uid=st.uuids())
def test_a_uuid_is_its_bytes(uid: UUID) -> None:
    """Both cases of its digits are the same uid."""
    assert uid_bytes(str(uid)) == uid_bytes(str(uid).upper()) == uid.bytes


@given(text=st.one_of(st.text(), st.text(alphabet="0123456789abcdef- ", min_size=36, max_size=36)))
def test_any_other_uid_is_hashed(text: str) -> None:
    """16 bytes for every text, and a UUID's bytes only for 32 digits in 36 characters."""
    uid = uid_bytes(text)

    assert len(uid) == 16
    digits = text.replace("-", "")
    if not (len(text) == 36 and len(digits) == 32 and digits.isalnum() and digits.isascii()):
        assert uid == hashed_uid(text)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-02T03:04:05", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_no_time(text: str) -> None:
    """Also a time without a zone, which nobody could place."""
    assert unix_seconds(text) is None


@pytest.mark.parametrize(
    ("kind", "means"), [("Applied", DeltaKind.APPLIED), ("Deleted", DeltaKind.DELETED)]
)
def test_a_recorded_line_is_a_delta(kind: str, means: DeltaKind) -> None:
    """The line's own uid wins."""
    raw = {"metadata": {"name": "a", "namespace": "ns", "uid": "other", "resourceVersion": "7"}}

    obj = LiteObj(UUID(UID).bytes, "ns", "a", None, "7")
    assert decode_delta(recorded(kind, raw)) == Delta(obj.uid, means, ("ns", "a"), obj)


def test_a_recorded_line_may_leave_the_uid_to_its_object() -> None:
    """A uid of null or none at all."""
    raw = {"metadata": {"name": "a", "uid": UID}}

    delta = decode_delta(recorded("Applied", raw, None))
    assert isinstance(delta, Delta)
    assert delta.uid == UUID(UID).bytes


@pytest.mark.parametrize(
    ("line", "malformed"),
    [
        (recorded("Deleted", None), (None, None)),
        (recorded("Applied", {"metadata": {"resourceVersion": "7"}}), (None, "7")),
        (recorded("Applied", {"metadata": {}}), (None, None)),
        (recorded("Applied", {}), (None, None)),
        (recorded("Replaced", {"metadata": {"name": "a"}}), ((None, "a"), None)),
        (recorded("Applied", {"metadata": {"name": "a", "uid": 5}}), ((None, "a"), None)),
        (b"", (None, None)),
        (b"nonsense", (None, None)),
        (b'{"kind":"Applied"', (None, None)),
        (b'{"kind":"Applied","raw":{"metadata":{"name":"\xff"}}}', (None, None)),
        (rb'{"kind":"Applied","raw":{"metadata":{"name":"\ud800"}}}', (None, None)),
        (
            b'{"kind":"Applied","raw":{"metadata":{"name":"a"},"x":'
            + b"[" * 100_000
            + b"]" * 100_000
            + b"}}",
            ((None, "a"), None),
        ),
    ],
)
def test_a_malformed_line_says_what_it_can(line: bytes, malformed: tuple[object, object]) -> None:
    """Nothing is raised, and the key is known where it can be."""
    found = decode_delta(line)

    assert isinstance(found, Malformed)
    assert (found.key, found.resource_version) == malformed
    assert found.why


@given(line=st.binary())
def test_no_bytes_raise(line: bytes) -> None:
    """Whatever stands in a recording."""
    assert isinstance(decode_delta(line), Delta | Malformed)


def test_salvage_takes_each_field_alone() -> None:
    """A field of the wrong type counts as missing; the object is still known."""
    text = b'{"metadata":{"name":"a","namespace":"ns","uid":5,"creationTimestamp":[]}}'

    obj = LiteObj(hashed_uid("ns/a"), "ns", "a", None, "")
    assert salvage(text, "why") == Malformed(("ns", "a"), "why", None, obj)


@pytest.mark.parametrize("namespace", [b"null", b'""'])
def test_salvage_takes_no_namespace_for_none(namespace: bytes) -> None:
    """Cluster-scoped objects are written in both ways."""
    found = salvage(b'{"metadata":{"name":"a","namespace":' + namespace + b"}}", "why")

    assert found.key == (None, "a")


def test_salvage_does_not_guess_a_namespace() -> None:
    """An object must not be filed under the key of another."""
    found = salvage(b'{"metadata":{"name":"a","namespace":5,"resourceVersion":"7"}}', "why")

    assert found == Malformed(None, "why; its namespace is no text", found.resource_version)
    assert found.resource_version == "7"
