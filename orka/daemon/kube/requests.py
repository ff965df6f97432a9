"""The reflector's commands as requests of one resource; answers that are none as failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orka.daemon.kube.errors import Failure, FailureKind, failure_of_response
from orka.daemon.kube.http import (
    JSON,
    METADATA_LIST_ACCEPT,
    METADATA_WATCH_ACCEPT,
    Params,
    Response,
)
from orka.daemon.kube.machine import GetPage, OpenInitialStream, OpenWatch
from orka.daemon.model import Resource


@dataclass(frozen=True, slots=True)
class Request:
    """One GET."""

    path: str
    params: Params
    accept: str


def page(resource: Resource, command: GetPage) -> Request:
    """One page of a list of the newest state: no resourceVersion, on no page."""
    params = {}
    if command.limit is not None:
        params["limit"] = str(command.limit)
    if command.continue_token:
        params["continue"] = command.continue_token
    return Request(resource.path, params, METADATA_LIST_ACCEPT)


def stream(resource: Resource, command: OpenWatch | OpenInitialStream) -> Request:
    """A watch, or a streaming list, which is a watch that first tells what is there."""
    params = {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(command.timeout_seconds),
    }
    if isinstance(command, OpenWatch):
        params["resourceVersion"] = command.resource_version
    else:
        params |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    return Request(resource.path, params, METADATA_WATCH_ACCEPT)


def refusal(response: Response) -> Failure | None:
    """Why this answer holds no list; None if it may."""
    if response.status != 200:
        return failure_of_response(response.status, response.headers, response.body)
    return not_json(response.headers)


def not_json(headers: Mapping[str, str]) -> Failure | None:
    """A login page or a proxy's own answer is no empty collection, however well it says 200."""
    content_type = headers.get("content-type", "")
    media_type = content_type.split(";", 1)[0].strip().lower()
    if media_type == JSON:
        return None
    said = content_type or "no content type"
    return Failure(FailureKind.NOT_KUBERNETES, f"200 with {said}, not {JSON}")
