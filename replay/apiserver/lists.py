"""List requests turned into pages, with the rules for resourceVersion and continue tokens."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from . import status
from .forms import Form, negotiate
from .objects import ExpiredError, Object, Snapshot, decode, encode
from .requests import Request
from .resources import Resource
from .store import Store

CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can "
    "start a new list without the continue parameter, or use the continue token in this response "
    "to retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the "
    "first chunk was returned and now may show up in the list."
)
LIST_EXPIRED = "The resourceVersion for the provided list is too old."
INCONSISTENT = -1  # the rv of a token that goes on at whatever the latest revision is
NUMBER_MAX_DIGITS = 18  # any number of so many digits fits into 63 bits
MATCHES = ("Exact", "NotOlderThan")


class RefusedError(Exception):
    """The request is answered with this Status instead."""

    def __init__(self, body: Object) -> None:
        super().__init__(body["message"])
        self.body = body


@dataclass(frozen=True, slots=True)
class Page:
    """A list answer: the bytes come piece by piece."""

    pieces: Iterator[bytes]
    items: int


def required_rv(request: Request) -> int:
    """The resourceVersion that must have come before this request can be answered, else 0."""
    text = request.query.get("resourceVersion", "")
    if request.verb == "watch":
        return 0  # a watch from the future is accepted in silence
    return int(text) if is_number(text) else 0


def page(store: Store, request: Request, resource: Resource) -> Page:
    """The page that was asked for. Raises RefusedError and NotAcceptableError."""
    convert = negotiate(request.header("accept"))
    if convert == "PartialObjectMetadata":
        message = "you requested PartialObjectMetadata, but the requested object is a list"
        raise RefusedError(status.not_acceptable(message))
    form = Form(resource, request.version, partial=bool(convert))
    validate(request)
    limit = _limit(request)
    rv, snapshot, after = _position(store, request, resource, limit)
    start, stop = snapshot.span(request.namespace)
    if after:
        start = max(start, bisect_left(snapshot.keys, after))
    end = min(stop, start + limit) if limit else stop
    token = ""
    if end < stop:
        token = encode_token(rv, snapshot.keys[end - 1] + "\0")
        store.collection(resource).pin(rv, snapshot)
    items = islice(snapshot.items, start, end)
    pieces = form.whole_list(items, rv=rv, token=token, remaining=stop - end)
    return Page(pieces, max(0, end - start))


def validate(request: Request) -> None:
    """The rules that a list's options must keep; raises RefusedError with 422 or 400."""
    query, faults = request.query, status.Faults()
    match, rv = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    path = "resourceVersionMatch"
    if match:
        if not rv:
            faults.forbid(path, f"{path} is forbidden unless resourceVersion is provided")
        if query.get("continue"):
            faults.forbid(path, f"{path} is forbidden when continue is provided")
        if match not in MATCHES:
            text = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
            faults.found.append(status.Fault("FieldValueNotSupported", text, path))
        if match == "Exact" and rv == "0":
            faults.forbid(path, f'{path} "exact" is forbidden for resourceVersion "0"')
    if query.get("sendInitialEvents"):
        faults.forbid("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if faults.found:
        raise RefusedError(status.invalid("ListOptions", "meta.k8s.io", "", faults.found))
    check_options(request)
    if rv and not is_number(rv):
        message = f"invalid resource version: {bad_rv(rv)}"
        raise RefusedError(status.bad_request(message))
    if query.get("continue") and rv not in ("", "0"):
        message = "specifying resource version is not allowed when using continue"
        raise RefusedError(status.bad_request(message))


def is_number(text: str) -> bool:
    """True for a decimal number that fits 63 bits, as the real server's do."""
    return text.isdecimal() and len(text) <= NUMBER_MAX_DIGITS


def bad_rv(text: str) -> str:
    """What the server says of a resourceVersion that is no number."""
    problem = f'strconv.ParseUint: parsing "{text}": invalid syntax'
    return f'resourceVersion: Invalid value: "{text}": {problem}'


def check_options(request: Request) -> None:
    """Numbers must be numbers; selectors are not served, and must not be ignored in silence."""
    for name in ("limit", "timeoutSeconds"):
        text = request.query.get(name, "")
        if text and not is_number(text.removeprefix("-")):
            message = f'strconv.ParseInt: parsing "{text}": invalid syntax'
            raise RefusedError(status.bad_request(message))
    for name in ("labelSelector", "fieldSelector"):
        if request.query.get(name):
            raise RefusedError(status.bad_request(f"{name} is not served by this fake server"))


def encode_token(rv: int, start: str) -> str:
    """A continue token, of the same shape as the real one."""
    body = encode({"v": "meta.k8s.io/v1", "rv": rv, "start": f"/{start}"})
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def decode_token(token: str) -> tuple[int, str]:
    """The revision and the key to start from. Raises RefusedError with 400."""
    try:
        padded = token + "=" * (-len(token) % 4)
        body = decode(base64.urlsafe_b64decode(padded))
        return int(body["rv"]), str(body["start"]).removeprefix("/")
    except (binascii.Error, ValueError, KeyError, TypeError, OverflowError) as exc:
        raise RefusedError(status.bad_request(f"invalid continue token: {exc}")) from exc


def _limit(request: Request) -> int:
    text = request.query.get("limit", "")
    # From the cache at "any" revision the whole collection comes whatever limit says.
    from_cache = request.query.get("resourceVersion") == "0"
    return int(text) if text and not from_cache else 0


def _position(
    store: Store, request: Request, resource: Resource, limit: int
) -> tuple[int, Snapshot, str]:
    """Which revision to list, its objects, and the key to start from ('' for the first)."""
    collection = store.collection(resource)
    token = request.query.get("continue")
    if token:
        rv, start = decode_token(token)
        if rv == INCONSISTENT:
            return store.rv, collection.snapshot(), start
        if rv < store.compacted:
            raise RefusedError(status.expired(CONTINUE_EXPIRED, token=encode_token(-1, start)))
        return rv, _at(store, resource, rv, expired=CONTINUE_EXPIRED, start=start), start
    wanted = int(request.query.get("resourceVersion") or 0)
    match = request.query.get("resourceVersionMatch", "")
    # A limit with a resourceVersion and no match is the legacy way to ask for exactly that one.
    if wanted and (match == "Exact" or (limit and not match)):
        if wanted < store.compacted:
            raise RefusedError(status.expired(LIST_EXPIRED))
        return wanted, _at(store, resource, wanted, expired=LIST_EXPIRED), ""
    return store.rv, collection.snapshot(), ""


def _at(store: Store, resource: Resource, rv: int, *, expired: str, start: str = "") -> Snapshot:
    try:
        return store.collection(resource).rewound(rv)
    except ExpiredError as exc:
        token = encode_token(INCONSISTENT, start) if start else ""
        raise RefusedError(status.expired(expired, token=token)) from exc
