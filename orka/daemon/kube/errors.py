"""Every way a request can fail: a status, a Status document or a broken socket to one kind.

One classifier for both shapes of failure: a plain HTTP status, and an ERROR event inside a
200 stream. By code and reason, never by message text (the one exception is named below).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

import msgspec

from orka.proto.errors import OrkaError

MESSAGE_MAX_CHARS = 2048  # error bodies may be whole HTML pages
RETRY_AFTER_MAX_SECONDS = 120.0  # what we believe at most


class FailureKind(Enum):
    """What a failure means to a reflector; the table in reflector.py has a row for each."""

    CONNECT = "connect"  # refused, unreachable, DNS
    TLS = "tls"
    TIMEOUT = "timeout"  # a deadline of ours
    CUT = "cut"  # the body ended before its end
    RENEWED = "renewed"  # we ended the stream: the client certificate changed
    NOT_KUBERNETES = "not-kubernetes"  # HTML, wrong content type, not one whole JSON document
    EXPIRED = "expired"  # 410: the resourceVersion or continue token is too old
    TOO_LARGE = "too-large"  # 504 ResourceVersionTooLarge
    THROTTLED = "throttled"  # 429
    UNAUTHORIZED = "unauthorized"  # 401, or 403 as system:anonymous
    FORBIDDEN = "forbidden"  # 403
    NOT_FOUND = "not-found"  # 404: not served here, now
    UNSUPPORTED = "unsupported"  # 400, 405, 406, 415, 422: an option this server does not take
    STORAGE_READ = "storage-read"  # a deleted object could not be decoded: we are not told which
    SERVER = "server"  # any other 5xx, and whatever has no better row


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure, classified. `message` is the server's or the socket's own words, cut."""

    kind: FailureKind
    message: str
    code: int | None = None
    reason: str = ""
    retry_after_seconds: float | None = None
    audit_id: str | None = None

    def __str__(self) -> str:
        said = f"{self.code} {self.reason}".strip() if self.code else self.kind.value
        return f"{said}: {self.message}" if self.message else said


class KubeError(OrkaError):
    """A request to the API server failed."""

    code = "unavailable"

    def __init__(self, failure: Failure, *, hint: str | None = None) -> None:
        super().__init__(str(failure), hint=hint)
        self.failure = failure


class _Cause(msgspec.Struct):
    reason: str | None = None
    message: str | None = None


class _Details(msgspec.Struct):
    retryAfterSeconds: float | None = None  # noqa: N815 -- the API's name
    causes: list[_Cause] | None = None


class StatusDocument(msgspec.Struct):
    """A `kind: Status` body; every field may be missing or null."""

    kind: str | None = None
    message: str | None = None
    reason: str | None = None
    code: int | None = None
    details: _Details | None = None


_status_decoder = msgspec.json.Decoder(StatusDocument)


def failure_of_response(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Classify an HTTP answer with an error status; the body may be anything."""
    document = decode_status(body) or StatusDocument()
    if not document.message:
        text = body[: MESSAGE_MAX_CHARS * 4].decode("utf-8", "replace")
        document.message = " ".join(text.split())
    failure = classify(status, document, _retry_after_header(headers.get("retry-after"), status))
    return replace(failure, audit_id=headers.get("audit-id"))


def decode_status(body: bytes) -> StatusDocument | None:
    """The Status document in `body`, or None if it is something else."""
    try:
        document = _status_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return document if document.kind == "Status" else None


def classify(
    http_status: int | None, document: StatusDocument | None, retry_after: float | None = None
) -> Failure:
    """One rule for both shapes; a Status document's own code wins over the HTTP status."""
    document = document or StatusDocument()
    code = document.code or http_status
    reason = document.reason or ""
    message = (document.message or "")[:MESSAGE_MAX_CHARS]
    if document.details is not None and document.details.retryAfterSeconds:
        retry_after = max(retry_after or 0.0, document.details.retryAfterSeconds)
    if retry_after is not None:
        retry_after = min(retry_after, RETRY_AFTER_MAX_SECONDS)
    return Failure(_kind(code, reason, document), message, code, reason, retry_after)


_BY_CODE = {
    400: FailureKind.UNSUPPORTED,
    401: FailureKind.UNAUTHORIZED,
    403: FailureKind.FORBIDDEN,
    404: FailureKind.NOT_FOUND,
    405: FailureKind.UNSUPPORTED,
    406: FailureKind.UNSUPPORTED,
    410: FailureKind.EXPIRED,
    415: FailureKind.UNSUPPORTED,
    422: FailureKind.UNSUPPORTED,
    429: FailureKind.THROTTLED,
}
# For documents without a code.
_BY_REASON = {
    "Expired": FailureKind.EXPIRED,
    "Gone": FailureKind.EXPIRED,
    "TooManyRequests": FailureKind.THROTTLED,
    "Unauthorized": FailureKind.UNAUTHORIZED,
    "Forbidden": FailureKind.FORBIDDEN,
    "NotFound": FailureKind.NOT_FOUND,
    "BadRequest": FailureKind.UNSUPPORTED,
    "Invalid": FailureKind.UNSUPPORTED,
    "MethodNotAllowed": FailureKind.UNSUPPORTED,
    "NotAcceptable": FailureKind.UNSUPPORTED,
}


def _kind(code: int | None, reason: str, document: StatusDocument) -> FailureKind:
    if code == 504 and _is_too_large(document):
        return FailureKind.TOO_LARGE
    if code == 500 and reason == "StorageReadError":
        return FailureKind.STORAGE_READ
    if code == 403 and 'User "system:anonymous"' in (document.message or ""):
        # A missing token is answered 403 as this user where anonymous access is on; the text
        # is the only mark it has.
        return FailureKind.UNAUTHORIZED
    if code is None:
        return _BY_REASON.get(reason, FailureKind.SERVER)
    return _BY_CODE.get(code, FailureKind.SERVER)


def _is_too_large(document: StatusDocument) -> bool:
    causes = document.details.causes if document.details else None
    if any(cause.reason == "ResourceVersionTooLarge" for cause in causes or ()):
        return True
    # Servers 1.17.0 to 1.18.5 have only the text.
    return "Too large resource version" in (document.message or "")


def _retry_after_header(value: str | None, status: int) -> float | None:
    """Integer seconds, and only on 429 or 5xx; a date is not what API servers send."""
    if value is None or not (status == 429 or status >= 500):
        return None
    return float(value) if value.isascii() and value.isdigit() else None
