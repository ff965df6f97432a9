"""What a server consists of, and the pure step from a request to the plan of its answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from random import Random

import trio

from . import access, discovery, lists, status, writes
from .connection import Connection
from .faults import Effect, Script
from .forms import Form, NotAcceptableError, negotiate
from .gate import Gate
from .lists import Page, RefusedError
from .metrics import Totals
from .model import Model
from .objects import encode
from .requests import Record, Request
from .resources import Resource
from .status import Reply
from .watch import Opening, Watch, WatchRules, open_watch

REQUESTS_MAX_RECORDS = 10_000  # the demo runs for days; a test makes a few thousand at most
VERSION = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.2+replay",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}

Plan = Reply | Page | Opening


class Core:
    """The parts that fault verbs and the serving code share."""

    def __init__(
        self,
        model: Model | None = None,
        *,
        random: Random | None = None,
        tokens: Mapping[str, str] | None = None,
        powerless: tuple[str, ...] = (),
        permit: access.Permit = access.permit_all,
        aggregated: bool = True,
        streaming_list: bool = True,
        progress_notify: bool = True,
        now: Callable[[], float] = trio.current_time,
    ) -> None:
        self.random = random or Random(0)
        self.model = model or Model(random=self.random, now=now)
        self.access = access.Access(tokens, powerless, permit)
        self.aggregated = aggregated  # aggregated discovery, since 1.30; else plain documents
        self.streaming_list = streaming_list  # the WatchList gate
        # Without progress notifications a bookmark goes no further than its own kind's changes.
        self.progress_notify = progress_notify
        self.expired_as_status = False
        self.stale_groups: set[str] = set()
        self.script = Script()
        self.requests: deque[Record] = deque(maxlen=REQUESTS_MAX_RECORDS)
        self.totals = Totals()
        # Dicts serve as ordered sets: fault verbs must hit watches in the same order every run.
        self.watches: dict[Watch, None] = {}
        self.connections: dict[Connection, None] = {}
        self.accepting = Gate(is_open=True)
        self.resumed = Gate(is_open=True)
        self.now = now
        self.connections_made = 0

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} rv={self.model.store.rv} connections={len(self.connections)} "
            f"watches={len(self.watches)} requests={len(self.requests)}>"
        )

    def seen(self, verb: str = "", resource: str = "") -> list[Record]:
        """The recorded requests of a verb and a resource (full name or plural), oldest first."""
        return [
            record
            for record in self.requests
            if verb in ("", record.verb)
            and resource in ("", record.resource, record.resource.partition(".")[0])
        ]

    def bookmark_rv(self, watch: Watch) -> int:
        """How far a bookmark on this watch reaches."""
        if self.progress_notify:
            return self.model.store.rv
        return watch.opening.collection.changed_rv

    def plan(self, request: Request, record: Record, effect: Effect) -> Plan:
        """The answer to a request: a whole one, a page, or the start of a stream."""
        user = self.access.user(request)
        if user is None:
            return status.reply(status.unauthorized())
        record.user = user
        try:
            if not self.access.allows(user, request):
                return status.reply(_forbidden(user, request))
            return self._allowed(request, effect)
        except RefusedError as refused:
            return status.reply(refused.body)
        except NotAcceptableError as exc:
            return status.reply(status.not_acceptable(str(exc)))

    def _allowed(self, request: Request, effect: Effect) -> Plan:
        if request.verb == "discovery":
            return discovery.document(
                self.model.catalog, request, aggregated=self.aggregated, stale=self.stale_groups
            )
        if request.verb == "other":
            return self._other(request)
        resource = request.resource
        if resource is None:
            return self._not_served(request)
        if resource.group in self.stale_groups:
            return status.UNREACHABLE
        return self._of_resource(request, resource, effect)

    def _not_served(self, request: Request) -> Plan:
        """Groups of CRDs and unknown ones answer with text, built-in ones with a Status."""
        version = self.model.catalog.in_version(request.group, request.version)
        built_in = any(not resource.custom for resource in version)
        return status.reply(status.no_resource()) if built_in else status.NOT_FOUND

    def _of_resource(self, request: Request, resource: Resource, effect: Effect) -> Plan:
        if self.model.initializing(resource):
            raise RefusedError(status.initializing())
        if request.subresource not in ("", *resource.subresources):
            return status.NOT_FOUND
        if request.method != "GET":
            return writes.write(self.model, request, resource)
        if request.access_verb not in resource.verbs:
            raise RefusedError(status.wrong_method())
        match request.verb:
            case "get":
                return self._get(request, resource)
            case "list":
                return lists.page(self.model.store, request, resource)
        rules = WatchRules(
            streaming_list=self.streaming_list and not effect.no_streaming_list,
            expired_as_status=self.expired_as_status,
            bookmarks=not effect.no_bookmarks,
            end_mark=not effect.no_mark,
        )
        return open_watch(self.model.store, request, resource, rules, self.random)

    def _get(self, request: Request, resource: Resource) -> Reply:
        convert = negotiate(request.header("accept"))
        if convert == "PartialObjectMetadataList":
            raise RefusedError(status.failure(500, "", "content is not a list"))
        item = self.model.store.find(resource, request.namespace, request.name)
        if item is None:
            raise RefusedError(status.no_object(resource, request.name))
        form = Form(resource, request.version, partial=bool(convert))
        return Reply(200, form.one(item) + b"\n")

    def _other(self, request: Request) -> Reply:
        match request.path:
            case "/version":
                return Reply(200, encode(VERSION) + b"\n")
            case "/readyz" | "/livez" | "/healthz":
                return Reply(200, b"ok", status.TEXT)
            case "/metrics":
                text = self.totals.text(watch.record for watch in self.watches)
                return Reply(200, text.encode(), (("Content-Type", "text/plain; version=0.0.4"),))
        return status.NOT_FOUND


def _forbidden(user: str, request: Request) -> dict[str, object]:
    if not request.plural:
        return status.forbidden_path(user, request.path)
    # Permission is asked before anyone looks whether such a resource is served.
    unserved = Resource(request.group, (request.version,), "", request.plural)
    return status.forbidden(
        user,
        request.access_verb,
        request.resource or unserved,
        namespace=request.namespace,
        name=request.name,
    )
