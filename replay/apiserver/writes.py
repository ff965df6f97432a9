"""POST, PUT, PATCH and DELETE turned into writes to the model and the answers to them."""

from __future__ import annotations

import msgspec

from . import status
from .crds import InvalidCrdError
from .forms import Form
from .lists import RefusedError
from .model import Model
from .objects import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    Object,
    Stored,
    decode,
    iterate,
)
from .requests import Request
from .resources import Resource
from .status import Reply

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # as Kubernetes: nothing that could form words
MERGE_PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json")


def write(model: Model, request: Request, resource: Resource) -> Reply:
    """Do what the request asks. Raises RefusedError.

    A strategic merge patch is taken for a plain one: it differs for lists only.
    """
    try:
        return _write(model, request, resource)
    except InvalidCrdError as exc:
        fault = status.Fault("FieldValueInvalid", str(exc), "spec")
        said = status.invalid(resource.kind, resource.group, request.name, [fault])
        raise RefusedError(said) from exc
    except RecursionError as exc:
        raise RefusedError(status.bad_request("json: exceeded max depth")) from exc


def _write(model: Model, request: Request, resource: Resource) -> Reply:
    if request.verb in ("update", "patch") and not request.name and resource.custom:
        return status.NOT_FOUND  # such a path does not exist for custom resources
    if request.verb not in resource.verbs or (request.verb == "update" and not request.name):
        raise RefusedError(status.wrong_method())
    match request.verb:
        case "create":
            return _create(model, request, resource)
        case "update":
            return _update(model, request, resource)
        case "patch":
            return _patch(model, request, resource)
        case "delete":
            return _delete(model, request, resource)
        case "deletecollection":
            return _delete_all(model, request, resource)
    raise RefusedError(status.wrong_method())


def _create(model: Model, request: Request, resource: Resource) -> Reply:
    if request.name:
        raise RefusedError(status.wrong_method())
    obj = _body(request, resource)
    meta = obj["metadata"]
    if "name" not in meta and "generateName" in meta:
        suffix = "".join(model.random.choices(NAME_ALPHABET, k=5))
        meta["name"] = f"{meta['generateName']}{suffix}"
    name = meta.get("name")
    if not name:
        fault = status.Fault(
            "FieldValueRequired",
            "Required value: name or generateName is required",
            "metadata.name",
        )
        raise RefusedError(status.invalid(resource.kind, resource.group, "", [fault]))
    if not isinstance(name, str) or any(mark in name for mark in "/%") or name in (".", ".."):
        fault = status.Fault("FieldValueInvalid", f"Invalid value: {name!r}", "metadata.name")
        raise RefusedError(status.invalid(resource.kind, resource.group, str(name), [fault]))
    for owned in ("resourceVersion", "uid", "creationTimestamp", "generation"):
        meta.pop(owned, None)
    _require_namespace(model, request)
    try:
        item = model.create(resource.full_name, obj)
    except AlreadyExistsError as exc:
        raise RefusedError(status.already_exists(resource, meta["name"])) from exc
    return _object(request, resource, item, 201)


def _update(model: Model, request: Request, resource: Resource) -> Reply:
    obj = _body(request, resource)
    obj["metadata"].setdefault("name", request.name)
    _require_same_object(obj["metadata"], request)
    try:
        return _object(request, resource, model.update(resource.full_name, obj))
    except NotFoundError as exc:
        raise RefusedError(status.no_object(resource, request.name)) from exc
    except ConflictError as exc:
        raise RefusedError(status.conflict(resource, request.name)) from exc


def _patch(model: Model, request: Request, resource: Resource) -> Reply:
    media_type = request.header("content-type").partition(";")[0].strip()
    if media_type not in MERGE_PATCHES:
        raise RefusedError(status.unsupported_media_type(", ".join(MERGE_PATCHES)))
    change = _decoded(request, resource)
    _require_same_object(change.get("metadata", {}), request)
    try:
        item = model.patch(resource.full_name, request.name, change, request.namespace)
    except NotFoundError as exc:
        raise RefusedError(status.no_object(resource, request.name)) from exc
    except ConflictError as exc:
        raise RefusedError(status.conflict(resource, request.name)) from exc
    return _object(request, resource, item)


def _delete(model: Model, request: Request, resource: Resource) -> Reply:
    try:
        item = model.delete(resource.full_name, request.name, request.namespace)
    except NotFoundError as exc:
        raise RefusedError(status.no_object(resource, request.name)) from exc
    return Reply(200, msgspec.json.encode(status.deleted(resource, request.name, item.uid)) + b"\n")


def _delete_all(model: Model, request: Request, resource: Resource) -> Reply:
    collection = model.store.collection(resource)
    gone = list(iterate(collection.snapshot(), request.namespace))
    for item in gone:
        namespace, _, name = item.key.rpartition("/")
        model.delete(resource.full_name, name, namespace)
    form = Form(resource, request.version, partial=False)
    return Reply(200, b"".join(form.whole_list(gone, rv=model.store.rv)))


def _require_namespace(model: Model, request: Request) -> None:
    if not request.namespace:
        return
    namespaces = model.resource("namespaces")
    if model.store.find(namespaces, "", request.namespace) is None:
        raise RefusedError(status.no_object(namespaces, request.namespace))


def _require_same_object(meta: object, request: Request) -> None:
    """A write may not move an object to another name or namespace."""
    if not isinstance(meta, dict):
        raise RefusedError(status.bad_request("metadata: no JSON object"))
    for field, of_url in (("name", request.name), ("namespace", request.namespace)):
        if meta.get(field, of_url) != of_url:
            message = (
                f"the {field} of the object ({meta[field]}) does not match the {field} on the URL "
                f"({of_url})"
            )
            raise RefusedError(status.bad_request(message))


def _decoded(request: Request, resource: Resource) -> Object:
    problem = f"the object provided is unrecognized (must be of type {resource.kind})"
    try:
        obj = decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        message = f"{problem}: couldn't get version/kind; json parse error: {exc}"
        raise RefusedError(status.bad_request(message)) from exc
    if not isinstance(obj, dict):
        raise RefusedError(status.bad_request(f"{problem}: no JSON object"))
    return obj


def _body(request: Request, resource: Resource) -> Object:
    media_type = request.header("content-type").partition(";")[0].strip()
    if media_type not in ("application/json", ""):
        raise RefusedError(status.unsupported_media_type("application/json"))
    obj = _decoded(request, resource)
    if resource.custom and not obj.get("kind"):
        text = request.body.decode(errors="replace")
        message = (
            f"the object provided is unrecognized (must be of type {resource.kind}): "
            f"Object 'Kind' is missing in '{text}'"
        )
        raise RefusedError(status.bad_request(message))
    expected = resource.api_version(request.version), resource.kind
    if (obj.get("apiVersion", expected[0]), obj.get("kind", expected[1])) != expected:
        found = f"{obj.get('apiVersion')}, Kind={obj.get('kind')}"
        message = f"no kind is served here for {found}; expected {expected[0]}, Kind={expected[1]}"
        raise RefusedError(status.bad_request(message))
    meta = obj.setdefault("metadata", {})
    if not isinstance(meta, dict):
        raise RefusedError(status.bad_request("metadata: no JSON object"))
    if request.namespace:
        given = meta.setdefault("namespace", request.namespace)
        if given != request.namespace:
            message = "the namespace of the object does not match the namespace of the request"
            raise RefusedError(status.bad_request(message))
    return obj


def _object(request: Request, resource: Resource, item: Stored, code: int = 200) -> Reply:
    return Reply(code, Form(resource, request.version, partial=False).one(item) + b"\n")
