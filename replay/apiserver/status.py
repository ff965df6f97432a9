"""Failures turned into the Status documents that a real API server sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .objects import Object, encode
from .resources import Resource

JSON = ("Content-Type", "application/json")
TEXT = (
    ("Content-Type", "text/plain; charset=utf-8"),
    ("X-Content-Type-Options", "nosniff"),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer: status, headers beyond the usual ones, and the body."""

    code: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (JSON,)


def failure(
    code: int,
    reason: str,
    message: str,
    *,
    details: Object | None = None,
    metadata: Object | None = None,
) -> Object:
    """A Status object with status Failure; '' for an error that the server itself cannot name."""
    status: Object = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": metadata or {},
        "status": "Failure",
        "message": message,
    }
    if reason:
        status["reason"] = reason
    if details is not None:
        status["details"] = details
    status["code"] = code
    return status


def reply(status: Object) -> Reply:
    """A Status sent as the whole answer, with Retry-After where the Status says so."""
    headers = [JSON]
    if status["code"] == 403:
        headers.append(TEXT[1])
    wait = status.get("details", {}).get("retryAfterSeconds")
    if wait:
        headers.append(("Retry-After", str(wait)))
    return Reply(status["code"], encode(status) + b"\n", tuple(headers))


def expired(message: str, *, token: str = "") -> Object:
    """410: the resourceVersion or continue token is too old."""
    return failure(410, "Expired", message, metadata={"continue": token} if token else None)


def too_large(wanted: int, current: int) -> Object:
    """504: the wanted resourceVersion did not come up in time."""
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Too large resource version: {wanted}, current: {current}"
    return failure(504, "Timeout", f"Timeout: {message}", details=details)


def throttled(message: str, retry_after_seconds: int) -> Object:
    """429: come back later."""
    details = {"retryAfterSeconds": retry_after_seconds}
    return failure(429, "TooManyRequests", message, details=details)


def initializing() -> Object:
    """429: a changed CRD's storage is being rebuilt."""
    return throttled("storage is (re)initializing", 1)


def unauthorized() -> Object:
    """401: no valid credentials."""
    return failure(401, "Unauthorized", "Unauthorized")


def forbidden(
    user: str, verb: str, resource: Resource, *, namespace: str = "", name: str = ""
) -> Object:
    """403 for a request on a resource."""
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    subject = f'{resource.full_name} "{name}"' if name else resource.full_name
    message = (
        f'{subject} is forbidden: User "{user}" cannot {verb} resource "{resource.plural}" '
        f'in API group "{resource.group}" {where}'
    )
    return failure(403, "Forbidden", message, details=_named(resource, name))


def forbidden_path(user: str, path: str) -> Object:
    """403 for a request on anything that is not a resource."""
    message = f'forbidden: User "{user}" cannot get path "{path}"'
    return failure(403, "Forbidden", message, details={})


def no_object(resource: Resource, name: str) -> Object:
    """404 for one object."""
    message = f'{resource.full_name} "{name}" not found'
    return failure(404, "NotFound", message, details=_named(resource, name))


def no_resource() -> Object:
    """404 for a resource that a built-in group-version does not have."""
    message = "the server could not find the requested resource"
    return failure(404, "NotFound", message, details={})


def already_exists(resource: Resource, name: str) -> Object:
    """409 on create."""
    message = f'{resource.full_name} "{name}" already exists'
    return failure(409, "AlreadyExists", message, details=_named(resource, name))


def conflict(resource: Resource, name: str) -> Object:
    """409 on a write that began from an older object."""
    message = (
        f'Operation cannot be fulfilled on {resource.full_name} "{name}": the object has been '
        "modified; please apply your changes to the latest version and try again"
    )
    return failure(409, "Conflict", message, details=_named(resource, name))


def wrong_method() -> Object:
    """405."""
    message = "the server does not allow this method on the requested resource"
    return failure(405, "MethodNotAllowed", message, details={})


def not_acceptable(message: str) -> Object:
    """406."""
    return failure(406, "NotAcceptable", message)


def unsupported_media_type(accepted: str) -> Object:
    """415."""
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        + accepted
    )
    return failure(415, "UnsupportedMediaType", message)


def bad_request(message: str) -> Object:
    """400."""
    return failure(400, "BadRequest", message)


@dataclass(frozen=True, slots=True)
class Fault:
    """One bad field of a request; `reason` is FieldValueForbidden and the like."""

    reason: str
    text: str
    path: str


@dataclass(slots=True)
class Faults:
    """The bad fields found so far."""

    found: list[Fault] = field(default_factory=list)

    def forbid(self, path: str, message: str) -> None:
        """A field that may not be set here."""
        self.found.append(Fault("FieldValueForbidden", f"Forbidden: {message}", path))


def invalid(kind: str, group: str, name: str, faults: Sequence[Fault]) -> Object:
    """422: a well-formed request that breaks rules."""
    said = [f"{fault.path}: {fault.text}" for fault in faults]
    listed = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    subject = f"{kind}.{group}" if group else kind
    details = {
        **({"name": name} if name else {}),
        **({"group": group} if group else {}),
        "kind": kind,
        "causes": [{"reason": f.reason, "message": f.text, "field": f.path} for f in faults],
    }
    message = f'{subject} "{name}" is invalid: {listed}'
    return failure(422, "Invalid", message, details=details)


def deleted(resource: Resource, name: str, uid: str) -> Object:
    """The Success that answers most deletes."""
    details = _named(resource, name) | {"uid": uid}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def _named(resource: Resource, name: str) -> Object:
    return {
        **({"name": name} if name else {}),
        **({"group": resource.group} if resource.group else {}),
        "kind": resource.plural,
    }


# What the server says about a path that it does not know; text, not a Status.
NOT_FOUND = Reply(404, b"404 page not found\n", TEXT)
# What an aggregator says about a group whose server it cannot reach.
UNREACHABLE = Reply(503, b"service unavailable\n", TEXT)
