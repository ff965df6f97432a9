"""One list of objects in its three forms: table, JSON, names."""

from __future__ import annotations

import json as stdlib_json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.proto.messages import LiteObj
from orka.proto.names import TEXT_CHUNK_MAX_BYTES
from orka.render import json, name, table
from orka.render.chunks import in_chunks
from tests.support.wire import CERTIFICATE, CURSOR, NODE, NOW, obj, truth

lite_objs = st.builds(
    LiteObj,
    st.binary(min_size=16, max_size=16),
    st.text(max_size=70) | st.none(),
    st.text(max_size=300),
    st.integers(-(2**63), 2**63 - 1) | st.none(),
    st.text(max_size=20),
    st.integers(0, 2**33) | st.none(),
)


def text_of(form: object, rows: list[LiteObj], **about: object) -> str:
    """What a form prints for these rows, put together."""
    objects = form.objects  # type: ignore[attr-defined]
    return b"".join(objects(truth(**about), rows, NOW)).decode()  # type: ignore[arg-type]


def test_a_table_has_aligned_columns() -> None:
    """A header, three spaces between columns, nothing after the last one."""
    rows = [obj("web"), obj("a-longer-name", "kube-system", age_seconds=None)]

    assert text_of(table, rows) == (
        "NAMESPACE     NAME            AGE\n"
        "default       web             5m12s\n"
        "kube-system   a-longer-name   <unknown>\n"
    )


def test_a_cluster_scoped_kind_has_no_namespace_column() -> None:
    """The columns are those that the kind has."""
    assert text_of(table, [obj("n1", None)], kind=NODE) == "NAME   AGE\nn1     5m12s\n"


def test_no_rows_no_table() -> None:
    """As kubectl: without rows there is no header either."""
    assert text_of(table, []) == ""
    assert text_of(name, []) == ""


def test_columns_do_not_drift_between_chunks() -> None:
    """The longest name is in the last chunk, and the first one has made room for it."""
    rows = [obj(f"certificate-{number:05}") for number in range(9000)] + [obj("x" * 60)]
    chunks = list(table.objects(truth(), rows, NOW))
    lines = b"".join(chunks).decode().splitlines()

    assert len(chunks) > 2
    assert all(len(chunk) <= TEXT_CHUNK_MAX_BYTES for chunk in chunks)
    assert {line.index("5m12s") for line in lines[1:]} == {lines[0].index("AGE")}


def test_an_endless_name_does_not_pad_all_the_others() -> None:
    """A column is never wider than the longest legal name; a longer one sticks out."""
    lines = text_of(table, [obj("a"), obj("x" * 5000)]).splitlines()

    assert len(lines[1]) < 300
    assert len(lines[2]) > 5000


@pytest.mark.parametrize("form", [table, name])
def test_hostile_names_are_escaped(form: object) -> None:
    """No control character of a name, a namespace or a kind is printed raw."""
    shown = text_of(form, [obj("a\x1b[2J\nb\u202e", "n\x9bs"), obj("c")])

    assert shown.replace("\n", "").isprintable()
    assert r"a\x1b[2J\nb\u202e" in shown


@given(st.lists(lite_objs, max_size=5))
def test_tables_have_a_line_for_each_row_whatever_they_are_called(rows: list[LiteObj]) -> None:
    """A name cannot make a second line, nor hide its own."""
    for form, header in ((table, 1 if rows else 0), (name, 0)):
        lines = text_of(form, rows).split("\n")
        assert len(lines) == len(rows) + header + 1
        assert all(line.isprintable() for line in lines)


def test_names_are_what_kubectl_takes() -> None:
    """Kind in lower case and group, a slash, the name; the core group is not written."""
    assert text_of(name, [obj("web")]) == "certificate.cert-manager.io/web\n"
    assert text_of(name, [obj("n1", None)], kind=NODE) == "node/n1\n"


def test_a_json_document_has_truth_and_items() -> None:
    """Everything a program needs to know how far to believe what."""
    rows = [obj("web"), obj("old", age_seconds=None, deletion_ts=0)]
    document = stdlib_json.loads(text_of(json, rows, quarantined=1))

    assert document == {
        "v": 1,
        "kind": "cert-manager.io/v1/Certificate",
        "truth": {
            "state": "live",
            "reason": "",
            "since": "2027-01-15T07:00:00.250Z",
            "age_seconds": 0.5,
            "synced": True,
            "objects": 2,
            "dropped": 0,
            "quarantined": 1,
            "scope": "cluster",
            "cursor": CURSOR,
            "context": "kind-dev",
            "server": "https://127.0.0.1:6443",
            "default_namespace": "default",
            "hint": None,
        },
        "items": [
            {
                "namespace": "default",
                "name": "web",
                "uid": "8c1f6a52-0d3b-4e57-9a60-000000000001",
                "creationTimestamp": "2027-01-15T07:54:48Z",
                "resourceVersion": "1839",
            },
            {
                "namespace": "default",
                "name": "old",
                "uid": "8c1f6a52-0d3b-4e57-9a60-000000000001",
                "creationTimestamp": None,
                "resourceVersion": "1839",
                "deletionTimestamp": "1970-01-01T00:00:00Z",
            },
        ],
    }


def test_an_empty_list_is_a_document_too() -> None:
    """No items is not no answer."""
    assert stdlib_json.loads(text_of(json, []))["items"] == []


@given(st.lists(lite_objs, max_size=4))
def test_a_document_is_json_of_plain_ascii_with_every_row(rows: list[LiteObj]) -> None:
    """Whatever the names, the fast writer says what the plain one would."""
    shown = text_of(json, rows)

    assert shown.replace("\n", "").isprintable()
    assert shown.isascii()
    items = stdlib_json.loads(shown)["items"]
    assert items == [stdlib_json.loads(json.dumps(json.object_document(row))) for row in rows]
    for row in rows:
        assert json.dumps(json.object_document(row)) in shown


@given(st.uuids())
def test_a_uid_is_written_as_kubernetes_does(uid: UUID) -> None:
    """16 bytes to the text they came from."""
    assert json.uid_text(uid.bytes) == str(uid)


@given(st.lists(st.text(max_size=50)), st.integers(1, 40))
def test_chunks_are_bounded_and_lose_nothing(pieces: list[str], max_bytes: int) -> None:
    """The chunks put together are the pieces put together."""
    texts = [piece.encode("utf-8", "replace").decode() for piece in pieces]
    chunks = list(in_chunks(texts, max_bytes))

    assert b"".join(chunks) == "".join(texts).encode()
    assert all(0 < len(chunk) <= max_bytes for chunk in chunks)


def test_gvk_of_both_kinds_of_group() -> None:
    """The core group is not written."""
    assert json.gvk_of(CERTIFICATE) == "cert-manager.io/v1/Certificate"
    assert json.gvk_of(NODE) == "v1/Node"
