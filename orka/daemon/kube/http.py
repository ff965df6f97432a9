"""What the rest of `kube` knows of HTTP: a response, a byte stream, a client. No httpx here.

`transport.py` implements `KubeClient` on httpx; tests implement it on memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

Params = Mapping[str, str]

JSON = "application/json"

METADATA_LIST_ACCEPT = f"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"
METADATA_WATCH_ACCEPT = f"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}"


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ByteStream(Protocol):
    """An open response body; read by one task, closed by the context manager that gave it."""

    status: int
    headers: Mapping[str, str]

    async def receive_some(self) -> bytes:
        """The next decoded body bytes, as many as are there; b"" at a proper end.

        Raises KubeError with FailureKind.CUT when the connection ends before the body does.
        """


class KubeClient(Protocol):
    """One cluster's authenticated HTTP, with connect and TLS deadlines of its own.

    Every other deadline is the caller's (`trio.fail_after`). Transport failures are raised
    as KubeError; an HTTP error status is a Response like any other.
    """

    async def get(
        self, path: str, params: Params, accept: str, etag: str | None = None
    ) -> Response:
        """One GET, body read whole. With `etag`, sends If-None-Match and may answer 304."""

    def stream(
        self, path: str, params: Params, accept: str
    ) -> AbstractAsyncContextManager[ByteStream]:
        """One GET on a connection of its own, given as soon as the headers are there."""

    async def aclose(self) -> None:
        """Close every connection."""
