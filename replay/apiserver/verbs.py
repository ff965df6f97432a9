"""Fault verbs: what a test does to the server, as rows of its script or acts on open watches."""

from __future__ import annotations

from typing import Literal

from . import status
from .access import Denial
from .core import Core
from .faults import Effect, Match, Rule
from .forms import event_line
from .objects import encode
from .resources import Resource
from .status import Reply
from .watch import Watch

WATCHES = ("watch", "watchlist")
LIVE_FRAGMENT = b'{"type":"MODIFIED","object":{"kind":"Po'  # when there is no object to cut
LOGIN_PAGE = b"<!DOCTYPE html><html><body><h1>Sign in to continue</h1></body></html>\n"
HTML = (("Content-Type", "text/html; charset=utf-8"),)
REASONS = {
    400: "BadRequest",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}

Shape = Literal["event", "status"]
Reason = Literal["Expired", "Gone"]


class FaultVerbs(Core):
    """Every verb takes `resource` (full name or plural, '' for all).

    Scripted verbs act on the next `n` matching requests (None: until `heal`), after letting `after`
    of them pass. The others act at once on the watches that are open.
    """

    # Scripted: the requests to come.

    def throttle(
        self,
        n: int | None = 1,
        retry_after: int = 1,
        *,
        verb: str = "",
        resource: str = "",
        after: int = 0,
    ) -> None:
        """Answer 429 with Retry-After."""
        message = "too many requests, please try again later"
        answer = status.reply(status.throttled(message, retry_after))
        self._script(
            "throttle", Effect(answer=answer), n, verb=verb, resource=resource, after=after
        )

    def fail(
        self,
        code: int,
        n: int | None = 1,
        *,
        body: bytes | dict[str, object] | None = None,
        verb: str = "",
        resource: str = "",
        after: int = 0,
    ) -> None:
        """Answer with this status code; bytes are sent as text, a dict as JSON."""
        if body is None:
            body = status.failure(code, REASONS.get(code, "Unknown"), f"scripted failure {code}")
        if isinstance(body, bytes):
            answer = Reply(code, body, (("Content-Type", "text/plain; charset=utf-8"),))
        else:
            answer = Reply(code, encode(body) + b"\n")
        self._script("fail", Effect(answer=answer), n, verb=verb, resource=resource, after=after)

    def error_event(
        self,
        code: int,
        reason: str,
        n: int | None = 1,
        *,
        message: str = "scripted failure",
        resource: str = "",
        after: int = 0,
    ) -> None:
        """Answer a watch with 200 and one ERROR event."""
        line = event_line("ERROR", encode(status.failure(code, reason, message)))
        effect = Effect(answer=Reply(200, line))
        self._script("error_event", effect, n, verb="watch", resource=resource, after=after)

    def unauthorized(
        self, n: int | None = 1, *, verb: str = "", resource: str = "", after: int = 0
    ) -> None:
        """Answer 401."""
        answer = status.reply(status.unauthorized())
        self._script(
            "unauthorized", Effect(answer=answer), n, verb=verb, resource=resource, after=after
        )

    def html(
        self, n: int | None = 1, *, verb: str = "", resource: str = "", after: int = 0
    ) -> None:
        """Answer 200 with a login page, as a captive portal does."""
        answer = Reply(200, LOGIN_PAGE, HTML)
        self._script("html", Effect(answer=answer), n, verb=verb, resource=resource, after=after)

    def too_large(self, n: int | None = 1, *, resource: str = "", after: int = 0) -> None:
        """Answer lists and watches with 504 and the cause ResourceVersionTooLarge."""
        rv = self.model.store.rv
        effect = Effect(answer=status.reply(status.too_large(rv + 1000, rv)))
        for verb in ("list", "watch"):
            self._script("too_large", effect, n, verb=verb, resource=resource, after=after)

    def delay(
        self, seconds: float, n: int | None = None, *, verb: str = "", resource: str = ""
    ) -> None:
        """Wait before each answer."""
        self._script("delay", Effect(delay_seconds=seconds), n, verb=verb, resource=resource)

    def hang_up(
        self, n: int | None = 1, *, verb: str = "", resource: str = "", after: int = 0
    ) -> None:
        """Close the connection instead of an answer."""
        self._script("hang_up", Effect(hang_up=True), n, verb=verb, resource=resource, after=after)

    def close_early_empty(self, n: int | None = 1, *, resource: str = "", after: int = 0) -> None:
        """Answer a watch with 200, no event and a proper end."""
        self._script(
            "close_early_empty", Effect(empty=True), n, verb="watch", resource=resource, after=after
        )

    def cut_page(self, n: int | None = 1, *, resource: str = "", after: int = 0) -> None:
        """Stop half way through a page and close the connection without ending the body."""
        self._script("cut_page", Effect(cut=True), n, verb="list", resource=resource, after=after)

    def cut_streaming_list(self, n: int | None = 1, *, resource: str = "", after: int = 0) -> None:
        """Stop half way through the initial events of a streaming list and close."""
        self._script(
            "cut_streaming_list",
            Effect(cut=True),
            n,
            verb="watchlist",
            resource=resource,
            after=after,
        )

    def no_streaming_list(self, *, resource: str = "") -> None:
        """Answer 422 to streaming lists, as with the gate off."""
        self._script(
            "no_streaming_list",
            Effect(no_streaming_list=True),
            None,
            verb="watch",
            resource=resource,
        )

    def streaming_list_never_ends(self, *, resource: str = "") -> None:
        """Never mark the end of the initial events; everything else goes on."""
        self._script(
            "streaming_list_never_ends", Effect(no_mark=True), None, verb="watch", resource=resource
        )

    def no_bookmarks(self, *, resource: str = "") -> None:
        """Send no bookmark on new watches, but for the one that ends a streaming list."""
        self._script(
            "no_bookmarks", Effect(no_bookmarks=True), None, verb="watch", resource=resource
        )

    def heal(self, verb_name: str = "") -> None:
        """Remove the rules of one scripted verb (by method name), or all."""
        self.script.heal(verb_name)

    # At once: open watches, history, connections.

    def drop_watches(self, resource: str = "") -> int:
        """End open watches cleanly, as at their timeout; says how many."""
        watches = self._open_watches(resource)
        for watch in watches:
            watch.end()
        return len(watches)

    def cut_mid_line(self, resource: str = "", *, reset: bool = False) -> int:
        """Send half a line, then close; with `reset` by RST, which may take the half line along."""
        watches = self._open_watches(resource)
        for watch in watches:
            watch.cut(self._half_a_line(watch), reset=reset)
        return len(watches)

    def expire(
        self, resource: str = "", *, shape: Shape = "event", reason: Reason = "Expired"
    ) -> None:
        """Forget history: every resourceVersion handed out so far is now too old.

        Open watches get the 410 as an event with this reason (some servers say Gone), or with
        `status` just end, and meet it as HTTP status.
        """
        self.expired_as_status = shape == "status"
        for found in self._resources(resource):
            self.model.store.forget_history(found)
        for watch in self._open_watches(resource):
            if shape == "event":
                old, now = watch.opening.start_rv, self.model.store.rv
                message = f"too old resource version: {old} ({now})"
                body = status.failure(410, reason, message)
                watch.inject(event_line("ERROR", encode(body)))
            watch.end()

    def expire_continue(self) -> None:
        """Compact: every continue token handed out so far is too old."""
        self.model.store.tick()
        self.model.store.compact()

    def stall(self, resource: str = "", *, new_requests: bool = False) -> int:
        """Send nothing more on open watches and keep them open, until `resume`.

        With `new_requests` whatever is asked meanwhile gets no answer either.
        """
        self.resumed.shut()
        if new_requests:
            self._script("stall", Effect(stall=True), None, resource=resource)
        watches = self._open_watches(resource)
        for watch in watches:
            watch.stalled = True
        return len(watches)

    def resume(self) -> None:
        """Undo every stall; what was held back is sent now."""
        self.heal("stall")
        for watch in self.watches:
            watch.stalled = False
        self.resumed.open()

    def inject_line(self, line: bytes, resource: str = "") -> int:
        """Send these bytes on open watches; a newline is the caller's business."""
        watches = self._open_watches(resource)
        for watch in watches:
            watch.inject(line)
        return len(watches)

    def bad_bookmark(self, resource: str = "", *, rv: str | None = None) -> int:
        """Send a bookmark whose resourceVersion is missing, or is this text ('', '0', …)."""
        meta = {} if rv is None else {"resourceVersion": rv}
        watches = self._open_watches(resource)
        for watch in watches:
            body = watch.opening.form.head + encode(meta) + b"}"
            watch.inject(event_line("BOOKMARK", body))
        return len(watches)

    def bookmark(self, resource: str = "") -> int:
        """Send an honest bookmark now instead of in a minute."""
        watches = self._open_watches(resource)
        for watch in watches:
            watch.push_bookmark(self.bookmark_rv(watch))
        return len(watches)

    def stale_group(self, group: str, *, stale: bool = True) -> None:
        """The server behind this API group cannot be reached: 503, stale in discovery."""
        (self.stale_groups.add if stale else self.stale_groups.discard)(group)

    def forbid(
        self,
        resource: str = "",
        *,
        user: str = "",
        verb: str = "",
        namespace: str = "",
        cluster_wide: bool = False,
    ) -> None:
        """Answer 403; with `cluster_wide` only to requests over all namespaces."""
        self.access.denials.append(Denial(user, resource, verb, namespace, cluster_wide))

    def allow(self, resource: str = "", *, user: str = "") -> None:
        """Take back what was forbidden for this resource and user ('' for every one)."""
        self.access.denials = [
            row
            for row in self.access.denials
            if (resource and row.resource != resource) or (user and row.user != user)
        ]

    def refuse(self) -> None:
        """Accept no new connection; open ones go on."""
        self.accepting.shut()

    def accept(self) -> None:
        """Accept connections again, over TCP on the same port."""
        self.accepting.open()

    def cut_connections(self) -> int:
        """Close every connection at once; says how many."""
        connections = list(self.connections)
        for connection in connections:
            connection.abort()
        return len(connections)

    def restart(self) -> None:
        """Cut everything; histories begin at the lists that the new process made."""
        rv = self.model.store.tick()
        for collection in self.model.store.collections.values():
            collection.forget(rv)
        self.cut_connections()

    def _script(
        self,
        name: str,
        effect: Effect,
        n: int | None,
        *,
        verb: str = "",
        resource: str = "",
        after: int = 0,
    ) -> None:
        verbs = WATCHES if verb == "watch" else (verb,) if verb else ()
        self.script.add(Rule(name, Match(verbs, resource), effect, n, after))

    def _open_watches(self, resource: str) -> list[Watch]:
        return [
            watch
            for watch in self.watches
            if not resource or watch.opening.form.resource.matches(resource)
        ]

    def _resources(self, resource: str) -> list[Resource]:
        return [found for found in self.model.catalog if not resource or found.matches(resource)]

    def _half_a_line(self, watch: Watch) -> bytes:
        items = watch.opening.collection.snapshot().items
        if not items:
            return LIVE_FRAGMENT
        line = watch.opening.form.line("MODIFIED", items[-1])
        return line[: len(line) // 2]
