"""The body of a list answer turned into a page of objects, or refused as a whole.

Servers encode lists item by item: one that fails half-way has already said 200, appends its
Status to what it wrote and ends the body properly. So only one whole JSON document of a list
kind, with nothing behind it, is a page. One bad item in it is set aside alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from orka.daemon.jsonscan import NotBalancedError, elements, members
from orka.daemon.kube.errors import Failure, FailureKind, classify, decode_status
from orka.daemon.kube.events import PARTIAL_OBJECT, SHOWN_CHARS, refuse_other_kinds
from orka.daemon.model import ResourceVersion
from orka.daemon.objects import (
    UNREADABLE,
    Malformed,
    Meta,
    NamelessError,
    decode_text,
    lite_from_metadata,
    salvage,
)
from orka.proto.messages import LiteObj


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `continue_token` is empty on the last one.

    `resource_version` is the list's own, never an item's, and may be empty.
    """

    resource_version: ResourceVersion
    continue_token: str
    objects: tuple[LiteObj, ...]
    malformed: tuple[Malformed, ...] = ()
    without_uid: int = 0  # their replacement cannot be seen


class _ListMeta(msgspec.Struct):
    resourceVersion: str | None = None  # noqa: N815 -- the API's name
    continue_token: str | None = msgspec.field(default=None, name="continue")


class _Item(msgspec.Struct, frozen=True, gc=False):
    metadata: Meta
    kind: str | None = None  # the items of built-in kinds have none


class _Body(msgspec.Struct):
    kind: str | None = None
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[_Item] | None = None


_body_decoder = msgspec.json.Decoder(_Body)
_item_decoder = msgspec.json.Decoder(_Item)


class _OtherKindError(ValueError):
    """An item that is of neither form of the kind that was asked for."""


def decode_page(body: bytes, kind: str) -> Page | Failure:
    """One page of a list of `kind`, or why the whole body must be refused. Nothing raises."""
    try:
        page = _body_decoder.decode(body)
        objects = [_object(item, kind) for item in page.items or ()]
    except (*UNREADABLE, NamelessError, _OtherKindError):
        return _slowly(body, kind)
    if not _is_list_kind(page.kind):
        return _no_page(body, page.kind)
    without_uid = sum(not item.metadata.uid for item in page.items or ())
    return _page(page.metadata, objects, (), without_uid)


def _object(item: _Item, kind: str) -> LiteObj:
    if item.kind not in (PARTIAL_OBJECT, kind, None):
        raise _OtherKindError(item.kind)
    return lite_from_metadata(item.metadata)


def _slowly(body: bytes, kind: str) -> Page | Failure:
    """Item by item: what the decoder refused may be one object, or the end of the body."""
    try:
        fields = members(body)
        items = fields.get("items", b"null")
        parts = [] if items == b"null" else elements(items)
        metadata = members(fields.get("metadata", b"{}"))
    except NotBalancedError as exc:
        return Failure(FailureKind.NOT_KUBERNETES, f"the list is not one JSON document: {exc}")
    list_kind = decode_text(fields.get("kind"))
    if not _is_list_kind(list_kind):
        return _no_page(body, list_kind)
    objects: list[LiteObj] = []
    malformed: list[Malformed] = []
    without_uid = 0
    for part in parts:
        try:
            item = _item_decoder.decode(part)
            objects.append(_object(item, kind))
            without_uid += not item.metadata.uid
        except (*UNREADABLE, NamelessError, _OtherKindError) as exc:
            bad = refuse_other_kinds(part, salvage(part, str(exc)), kind, required=False)
            malformed.append(bad)
            objects += [] if bad.obj is None else [bad.obj]
    list_meta = _ListMeta(
        decode_text(metadata.get("resourceVersion")), decode_text(metadata.get("continue"))
    )
    return _page(list_meta, objects, malformed, without_uid)


def _is_list_kind(kind: str | None) -> bool:
    return kind is not None and kind.endswith("List")


def _no_page(body: bytes, kind: str | None) -> Failure:
    status = decode_status(body)
    if status is not None:
        return classify(None, status)
    said = "no kind" if kind is None else f"kind {kind[:SHOWN_CHARS]!r}"
    return Failure(FailureKind.NOT_KUBERNETES, f"the answer to a list has {said}")


def _page(
    metadata: _ListMeta,
    objects: Sequence[LiteObj],
    malformed: Sequence[Malformed],
    without_uid: int,
) -> Page:
    return Page(
        ResourceVersion(metadata.resourceVersion or ""),
        metadata.continue_token or "",
        tuple(objects),
        tuple(malformed),
        without_uid,
    )
