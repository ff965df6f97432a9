"""The reflector's commands as requests of one resource; answers that are none as failures."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import trio

from orka.daemon.kube.errors import Failure, FailureKind, KubeError, failure_of_response
from orka.daemon.kube.http import (
    JSON,
    METADATA_LIST_ACCEPT,
    METADATA_WATCH_ACCEPT,
    ByteStream,
    Params,
    Response,
)
from orka.daemon.kube.machine import GetPage, OpenInitialStream, OpenWatch
from orka.daemon.model import Resource

ERROR_BODY_SECONDS = 5.0  # its words help the user; the status alone says what to do
ERROR_BODY_MAX_BYTES = 64 * 1024

logger = logging.getLogger("orka.kube")


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


async def refusal_of_stream(stream: ByteStream) -> Failure | None:
    """Why a stream is none, with what its body says of it; None for one to be read."""
    if stream.status == 200:
        return not_json(stream.headers)
    body = bytearray()
    with trio.move_on_after(ERROR_BODY_SECONDS):
        try:
            while len(body) < ERROR_BODY_MAX_BYTES and (chunk := await stream.receive_some()):
                body += chunk
        except KubeError as exc:
            # The status alone says what to do; the words would only have helped the user.
            logger.debug("error body cut status=%d why=%s", stream.status, exc)
    return failure_of_response(stream.status, stream.headers, bytes(body))
