"""The uid of the namespace kube-system to whether the same cluster still answers at an address.

Clusters are deleted and made again at the same address, and load balancers are turned to others.
Resuming a watch there would mix two clusters in one view: resourceVersions look alike everywhere.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import msgspec
import trio

from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.http import JSON, KubeClient, Response
from orka.daemon.model import UpstreamLedger

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
# One object's metadata; below every deadline of the requests that wait for it.
ANSWER_SECONDS = 8.0
ACCEPT = f"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}"

log = logging.getLogger("orka.cluster")


class _Metadata(msgspec.Struct):
    uid: str | None = None


class _Namespace(msgspec.Struct):
    metadata: _Metadata | None = None


_decoder = msgspec.json.Decoder(_Namespace)


class ClusterIdentity:
    """Which cluster answered last; `replaced` is called once when it is another one.

    Where the namespace may not be read nothing is known, and nothing is claimed.
    """

    def __init__(
        self, client: KubeClient, ledger: UpstreamLedger, replaced: Callable[[], None]
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._replaced = replaced
        self._uid: str | None = None
        self._asked_at = -math.inf
        self._failure: Failure | None = None  # of the last request; None once one is answered
        self._failed_at = -math.inf
        self._lock = trio.Lock()

    def __repr__(self) -> str:
        return f"<ClusterIdentity uid={self._uid}>"

    async def confirm(self, newer_than: float) -> None:
        """See `watch.ClusterCheck`; however many ask about one outage, one request is made."""
        began = trio.current_time()
        async with self._lock:
            if self._asked_at > newer_than:
                return
            if self._failure is not None and self._failed_at >= began:
                raise KubeError(self._failure)  # of the request that we waited for
            asked_at = trio.current_time()
            try:
                response = await self._ask()
            except KubeError as exc:
                self._failure, self._failed_at = exc.failure, trio.current_time()
                raise
            self._failure, self._asked_at = None, asked_at
            self._note(uid_in(response))

    async def _ask(self) -> Response:
        self._ledger.count("get", "namespaces")
        with trio.move_on_after(ANSWER_SECONDS):
            return await self._client.get(KUBE_SYSTEM, {}, ACCEPT)
        message = f"no answer about kube-system within {ANSWER_SECONDS:g} s"
        raise KubeError(Failure(FailureKind.TIMEOUT, message))

    def _note(self, uid: str | None) -> None:
        before = self._uid
        if uid is None or uid == before:
            return
        self._uid = uid
        if before is not None:
            log.warning("another cluster answers uid=%s before=%s", uid, before)
            self._replaced()


def uid_in(response: Response) -> str | None:
    """The uid in an answer; None where it may not be read."""
    if response.status != 200:
        return None
    try:
        namespace = _decoder.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return namespace.metadata.uid if namespace.metadata is not None else None
