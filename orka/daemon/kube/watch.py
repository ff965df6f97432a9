"""Drives one kind's reflector: its commands become requests, their answers its inputs.

All decisions are in reflector.py; here are the sockets, deadlines and counters. The reader of
a watch never waits for anyone: what it decoded goes into the sink, which never blocks.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

import trio

from orka.daemon.kube import requests
from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.events import Changes, Event, EventDecoder, tally
from orka.daemon.kube.http import ByteStream, KubeClient
from orka.daemon.kube.lines import LineSplitter, Oversize
from orka.daemon.kube.machine import (
    Alive,
    AuditDue,
    Begin,
    Command,
    Context,
    DiscoverySays,
    EventsArrived,
    Failed,
    GetPage,
    Input,
    OpenInitialStream,
    OpenWatch,
    Output,
    PageArrived,
    Progress,
    Push,
    Quarantine,
    RelistRequested,
    Replace,
    Rules,
    StreamEnded,
    StreamOpened,
    Truth,
    Wait,
    WaitOver,
)
from orka.daemon.kube.pages import Page, decode_page
from orka.daemon.kube.reflector import start, step
from orka.daemon.kube.states import AnyState, StreamingInitial, SyncPath, Watching
from orka.daemon.model import KindCounters, Resource, ResourceVersion, Sink, UpstreamLedger

HEADERS_SECONDS = 30.0  # from request to headers; connecting has deadlines of its own inside
# A streaming list whose first or next frame takes longer has lost its end mark on the way, or
# the server does not know the option: without this limit it would be awaited for ever.
FRAME_SECONDS = 10.0
STREAMING_LIST_SECONDS = 120.0  # in all, for a kind that never falls silent
# The server ends a watch at timeoutSeconds; one that is open for longer is half-open. The one
# rule that holds for every server.
WATCH_GRACE_SECONDS = 15.0
BATCH_MAX_LINES = 2000  # about 6 ms at 3 us a line: other tasks get their turn between

# A list is a good moment to ask whether the cluster is still the same one; many kinds list in one.
CONFIRMED_SECONDS = 60.0

DiscoveryCheck = Callable[[], Awaitable[bool | None]]
ClusterCheck = Callable[[float], Awaitable[None]]
"""Has it confirmed, by an answer that is newer than this, that the same cluster answers? If not,
`begin_anew` is called on every source before it returns. KubeError if it cannot be asked."""


async def nobody_asks(_newer_than: float) -> None:
    """A ClusterCheck that takes every cluster for the same."""
    await trio.lowlevel.checkpoint()


logger = logging.getLogger("orka.kube")


@dataclass(frozen=True, slots=True)
class ReflectorConfig:
    """What a kind's reflector is told by the user's choices."""

    context: str  # of the kubeconfig: stands in the hints for users
    relist_seconds: float  # between audits; inf: never


@dataclass(frozen=True, slots=True)
class ReflectorStatus:
    """What `status` shows of how a kind is watched."""

    sync_path: SyncPath | None  # None until the first list is whole
    resource_version: ResourceVersion | None
    last_failure: Failure | None
    without_uid: int  # objects that came without a uid: their replacement cannot be seen
    form: Literal["metadata"] = "metadata"  # what is asked of the server


class ReflectorSource:
    """A live `model.DeltaSource`: lists and watches one resource until cancelled.

    `served` asks discovery, uncached: True, False, or None when its answer was not complete.
    `same_cluster` is asked before a list, and before a watch is resumed after a failure.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        config: ReflectorConfig,
        *,
        random: Random,
        ledger: UpstreamLedger,
        counters: KindCounters,
        served: DiscoveryCheck,
        same_cluster: ClusterCheck = nobody_asks,
    ) -> None:
        self._client = client
        self._resource = resource
        self._rules = Rules(config.context, resource.group_resource, config.relist_seconds)
        self._random = random
        self._ledger = ledger
        self._counters = counters
        self._served = served
        self._same_cluster = same_cluster
        self._doubted_at = -math.inf  # when something failed last: another may answer since
        self._decoder = EventDecoder(resource.kind)
        self._state: AnyState = start()
        self._resource_version: ResourceVersion | None = None
        self._without_uid = 0
        # While run() lasts: where it all goes, what is being done, and the end of that.
        self._sink: Sink | None = None
        self._command: Command = Wait(math.inf)
        self._doing = trio.CancelScope()

    def __repr__(self) -> str:
        return f"<ReflectorSource {self._resource.gvk} {type(self._state).__name__}>"

    @property
    def status(self) -> ReflectorStatus:
        """How things stand."""
        memory = self._state.memory
        return ReflectorStatus(
            memory.sync_path, self._resource_version, memory.last_failure, self._without_uid
        )

    def describe(self) -> dict[str, object]:
        """See `model.DeltaSource`."""
        status = self.status
        return {
            "sync_path": status.sync_path,
            "form": status.form,
            "last_failure": None if status.last_failure is None else str(status.last_failure),
            "without_uid": status.without_uid,
        }

    def request_relist(self, reason: str) -> None:
        """List again as soon as the backoff of relists allows, whatever is being awaited."""
        if self._sink is None:
            return  # it will begin with a list
        doing = self._command
        self._feed(RelistRequested(reason))
        if self._command is not doing:
            self._doing.cancel(reason="relist requested")

    def begin_anew(self) -> None:
        """The sink has forgotten everything: begin with a list, whatever is being done."""
        if self._sink is None:
            return
        self._state = start()
        self._resource_version = None
        self._feed(Begin())
        self._doing.cancel(reason="another cluster answers")

    async def run(self, sink: Sink) -> None:
        """Feed `sink` until cancelled; no failure of the server ends it."""
        self._sink = sink
        try:
            self._feed(Begin())
            while True:
                with trio.CancelScope() as self._doing:
                    await self._perform()
        finally:
            self._sink = None

    # -- the machine -----------------------------------------------------------------------

    def _feed(self, given: Input) -> None:
        """One step: do its outputs, and note what is to be done next."""
        context = Context(trio.current_time(), self._random, self._rules)
        before = self._state
        following = step(before, given, context)
        dropped = 0
        for output in following.outputs:
            dropped += self._do(output)
        # Only now, behind the pushes: the resourceVersion never runs ahead of the data.
        self._state = following.state
        if following.command is not None:
            self._command = following.command
        if type(following.state) is not type(before):
            logger.debug("state kind=%s now=%r", self._resource.group_resource, self)
        if dropped:
            self._feed(RelistRequested("overflow"))

    def _answer(self, command: Command, given: Input) -> None:
        """Feed what came of `command`, unless something else is to be done by now."""
        if self._command is not command:
            return
        if isinstance(given, Failed):
            self._doubted_at = trio.current_time()
            logger.info(
                "failed kind=%s request=%s why=%r audit_id=%s",
                self._resource.group_resource,
                type(command).__name__,
                str(given.failure),
                given.failure.audit_id,
            )
        self._feed(given)

    def _do(self, output: Output) -> int:
        """One output; returns how many queued deltas were dropped for it."""
        sink = self._sink
        assert sink is not None
        match output:
            case Push(deltas, version):
                self._resource_version = version
                return sink.push(deltas, version)
            case Replace(objects, version):
                self._resource_version = version
                sink.replace(objects, version)
            case Truth(change):
                sink.truth(change)
            case Alive():
                sink.alive()
            case Progress(objects):
                sink.progress(objects)
            case Quarantine(key, why):
                sink.quarantined(key, why)
            case count:
                self._counters.inc(count.name, reason=count.reason)
        return 0

    # -- commands --------------------------------------------------------------------------

    async def _perform(self) -> None:
        """Do the command until the machine has another one."""
        command = self._command
        if not await self._confirmed(command):
            return
        match command:
            case GetPage():
                await self._get_page(command)
            case OpenInitialStream():
                await self._stream(command, "watchlist", FRAME_SECONDS)
            case OpenWatch():
                await self._stream(command, "watch", HEADERS_SECONDS)
            case Wait(seconds):
                await trio.sleep(seconds)
                self._answer(command, WaitOver())
            case ask:
                self._answer(ask, DiscoverySays(await self._ask_discovery()))

    async def _confirmed(self, command: Command) -> bool:
        """Whether the command may be sent: it goes to the cluster that we know."""
        match command:
            case OpenWatch():
                newer_than = self._doubted_at
            case GetPage() | OpenInitialStream():
                newer_than = max(self._doubted_at, trio.current_time() - CONFIRMED_SECONDS)
            case _:
                return True
        if newer_than == -math.inf:
            return True
        try:
            await self._same_cluster(newer_than)
        except KubeError as exc:
            failure = exc.failure
            if failure.kind not in (FailureKind.TLS, FailureKind.UNAUTHORIZED):
                # Whatever it was, it was no answer to the command, and says nothing of its form.
                failure = replace(failure, kind=FailureKind.CONNECT)
            self._answer(command, Failed(failure))
        return self._command is command

    async def _ask_discovery(self) -> bool | None:
        try:
            return await self._served()
        except KubeError as exc:
            logger.info("discovery failed kind=%s why=%s", self._resource.group_resource, exc)
            return None

    async def _get_page(self, command: GetPage) -> None:
        request = requests.page(self._resource, command)
        self._count_request("list")
        answer: Page | Failure
        with trio.move_on_after(command.deadline_seconds) as deadline:
            try:
                response = await self._client.get(request.path, request.params, request.accept)
            except KubeError as exc:
                answer = exc.failure
            else:
                answer = requests.refusal(response) or decode_page(
                    response.body, self._resource.kind
                )
        if deadline.cancelled_caught:
            answer = _timeout(f"no page within {command.deadline_seconds:g} s")
        if isinstance(answer, Page):
            self._without_uid += answer.without_uid
            self._answer(command, PageArrived(answer))
        else:
            self._answer(command, Failed(answer))

    async def _stream(
        self, command: OpenWatch | OpenInitialStream, verb: str, headers_seconds: float
    ) -> None:
        """One streaming request from its beginning to its end, which is always told."""
        request = requests.stream(self._resource, command)
        self._count_request(verb)
        began = trio.current_time()
        opening = trio.move_on_after(headers_seconds)
        try:
            with opening:
                async with self._client.stream(
                    request.path, request.params, request.accept
                ) as stream:
                    opening.deadline = math.inf
                    failure = await requests.refusal_of_stream(stream)
                    if failure is not None:
                        self._answer(command, Failed(failure))
                    else:
                        self._answer(command, StreamOpened())
                        await self._read(command, stream, began)
        except KubeError as exc:
            self._answer(command, Failed(exc.failure))
        if opening.cancelled_caught:
            self._answer(command, Failed(_timeout(f"no headers within {headers_seconds:g} s")))

    async def _read(
        self, command: OpenWatch | OpenInitialStream, stream: ByteStream, began: float
    ) -> None:
        """Read greedily until the body ends, a deadline passes, or the machine has enough."""
        splitter = LineSplitter()
        while self._command is command:
            until, due = self._patience(command, began)
            with trio.move_on_at(until) as patience:
                chunk = await stream.receive_some()
            if patience.cancelled_caught:
                self._answer(command, due)
            elif not chunk:
                self._answer(command, StreamEnded(splitter.close()))
            else:
                await self._take(command, splitter.feed(chunk))

    def _patience(
        self, command: OpenWatch | OpenInitialStream, began: float
    ) -> tuple[float, Failed | AuditDue]:
        """Until when to wait for the next bytes, and what it means if none come.

        The wait for a frame is counted from when it begins, so time that other tasks took is
        not counted as the server's.
        """
        now = trio.current_time()
        if isinstance(self._state, StreamingInitial):
            frame, whole = now + FRAME_SECONDS, began + STREAMING_LIST_SECONDS
            if whole < frame:
                return whole, Failed(_timeout(f"not whole in {STREAMING_LIST_SECONDS:g} s"))
            return frame, Failed(_timeout(f"no event for {FRAME_SECONDS:g} s"))
        end = began + command.timeout_seconds + WATCH_GRACE_SECONDS
        if isinstance(self._state, Watching) and self._state.memory.audit_due_at < end:
            return self._state.memory.audit_due_at, AuditDue()
        return end, Failed(_timeout("still open after its time: the connection is dead"))

    async def _take(self, command: Command, lines: Sequence[bytes | Oversize]) -> None:
        """Decode and hand over, in batches small enough to share the loop."""
        for first in range(0, len(lines), BATCH_MAX_LINES):
            if first:
                await trio.lowlevel.checkpoint()
            events = self._decoder.decode(lines[first : first + BATCH_MAX_LINES])
            self._count_events(events)
            self._answer(command, EventsArrived(tuple(events)))
            if self._command is not command:
                return  # what follows is of a stream that is over

    # -- counters --------------------------------------------------------------------------

    def _count_request(self, verb: str) -> None:
        self._ledger.count(verb, self._resource.group_resource)
        self._counters.inc("upstream_requests_total", verb=verb)

    def _count_events(self, events: Sequence[Event]) -> None:
        for event in events:
            for event_type, count in tally(event):
                self._counters.inc("events_total", count, type=event_type)
            if isinstance(event, Changes):
                self._without_uid += event.without_uid


def _timeout(message: str) -> Failure:
    return Failure(FailureKind.TIMEOUT, message)
