"""Every kind of failure, by what was under way, turned into a remedy; and the words for users.

Three tables, each with a row for every FailureKind (a test holds them to it). To teach the
reflector another answer, change a row; the moves are in moves.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from enum import Enum, auto

from orka.daemon.kube.errors import Failure, FailureKind
from orka.daemon.kube.machine import Rules

REASON_MAX_CHARS = 200  # of a server's words in a truth; the log has them whole

# A second 401 with fresh credentials will not become better within a second.
UNAUTHORIZED_SECONDS = 5.0
# Our bug, or an option this server does not know: asking again soon does not help.
UNSUPPORTED_SECONDS = 60.0
# 403: 5 s, doubling, to 5 minutes.
FORBIDDEN_SECONDS = 5.0
FORBIDDEN_CAP_SECONDS = 300.0


class Remedy(Enum):
    """What to do about a failure."""

    RETRY = auto()  # the same request again, after a wait
    AT_ONCE = auto()  # the same request again
    SMALLER_PAGES = auto()  # the list from its start in smaller pages, after a wait
    RESTART = auto()  # the list from its start at once, twice; then as one page
    ANEW_SLOWLY = auto()  # a list, after a long wait
    PAGES = auto()  # this list in pages, at once
    PAGES_FOR_GOOD = auto()  # this list in pages, and every later one
    RELIST = auto()  # what is missed can only be found by a list
    FORBIDDEN = auto()
    CHECK_DISCOVERY = auto()  # not served: here and now, or no longer?


# Connections and servers come back, and the history outlives them: RETRY resumes.
WATCH: Mapping[FailureKind, Remedy] = {
    FailureKind.CONNECT: Remedy.RETRY,
    FailureKind.TLS: Remedy.RETRY,
    FailureKind.TIMEOUT: Remedy.RETRY,
    FailureKind.CUT: Remedy.RETRY,
    FailureKind.RENEWED: Remedy.AT_ONCE,
    FailureKind.NOT_KUBERNETES: Remedy.RETRY,
    FailureKind.EXPIRED: Remedy.RELIST,
    FailureKind.TOO_LARGE: Remedy.RELIST,
    FailureKind.THROTTLED: Remedy.RETRY,
    FailureKind.UNAUTHORIZED: Remedy.RETRY,
    FailureKind.FORBIDDEN: Remedy.FORBIDDEN,
    FailureKind.NOT_FOUND: Remedy.CHECK_DISCOVERY,
    # Perhaps the resourceVersion is what it does not take.
    FailureKind.UNSUPPORTED: Remedy.ANEW_SLOWLY,
    # An object was deleted that the server cannot decode; only a list tells which.
    FailureKind.STORAGE_READ: Remedy.RELIST,
    FailureKind.SERVER: Remedy.RETRY,  # as an event, for no longer than INTERNAL_SECONDS
}

PAGE: Mapping[FailureKind, Remedy] = {
    FailureKind.CONNECT: Remedy.RETRY,
    FailureKind.TLS: Remedy.RETRY,
    FailureKind.TIMEOUT: Remedy.SMALLER_PAGES,
    FailureKind.CUT: Remedy.SMALLER_PAGES,  # servers abort a body after 60 seconds
    FailureKind.RENEWED: Remedy.RETRY,  # a page is never ended for that
    FailureKind.NOT_KUBERNETES: Remedy.RETRY,
    # The continue token outlived the server's history. What the server offers instead would
    # mix pages of different moments.
    FailureKind.EXPIRED: Remedy.RESTART,
    FailureKind.TOO_LARGE: Remedy.RETRY,  # lists name no resourceVersion: a lagging server
    FailureKind.THROTTLED: Remedy.RETRY,
    FailureKind.UNAUTHORIZED: Remedy.RETRY,
    FailureKind.FORBIDDEN: Remedy.FORBIDDEN,
    FailureKind.NOT_FOUND: Remedy.CHECK_DISCOVERY,
    FailureKind.UNSUPPORTED: Remedy.ANEW_SLOWLY,
    FailureKind.STORAGE_READ: Remedy.RETRY,
    FailureKind.SERVER: Remedy.RETRY,  # 504: SMALLER_PAGES
}

STREAMING_LIST: Mapping[FailureKind, Remedy] = {
    FailureKind.CONNECT: Remedy.RETRY,
    FailureKind.TLS: Remedy.RETRY,
    # No frame for too long: the mark was dropped on the way, or the option was not known.
    FailureKind.TIMEOUT: Remedy.PAGES,  # once it was open: PAGES_FOR_GOOD
    FailureKind.CUT: Remedy.RETRY,  # twice in a row: PAGES_FOR_GOOD
    FailureKind.RENEWED: Remedy.AT_ONCE,
    FailureKind.NOT_KUBERNETES: Remedy.PAGES,
    FailureKind.EXPIRED: Remedy.PAGES,
    FailureKind.TOO_LARGE: Remedy.PAGES,
    FailureKind.THROTTLED: Remedy.RETRY,
    FailureKind.UNAUTHORIZED: Remedy.RETRY,
    FailureKind.FORBIDDEN: Remedy.PAGES,  # it needs `watch`; perhaps `list` is allowed
    FailureKind.NOT_FOUND: Remedy.CHECK_DISCOVERY,
    FailureKind.UNSUPPORTED: Remedy.PAGES_FOR_GOOD,  # the feature is off
    FailureKind.STORAGE_READ: Remedy.PAGES,
    FailureKind.SERVER: Remedy.RETRY,  # 500: PAGES_FOR_GOOD, 504: PAGES
}


def of_page(failure: Failure) -> Remedy:
    """For a page of a list."""
    if failure.kind is FailureKind.SERVER and failure.code == 504:
        return Remedy.SMALLER_PAGES
    return PAGE[failure.kind]


def of_streaming_list(failure: Failure, *, opened: bool) -> Remedy:
    """For a streaming list; `opened` says that the server had taken the request."""
    if failure.kind is FailureKind.TIMEOUT and opened:
        return Remedy.PAGES_FOR_GOOD
    if failure.kind is FailureKind.SERVER and failure.code == 504:
        return Remedy.PAGES  # a server that lags; pages do not wait for it
    if failure.kind is FailureKind.SERVER and (opened or failure.code == 500):
        return Remedy.PAGES_FOR_GOOD  # its etcd cannot tell when a stream is up to date
    return STREAMING_LIST[failure.kind]


def least_wait_seconds(failure: Failure) -> float:
    """How long to wait at least, whatever the backoff says."""
    asked = failure.retry_after_seconds or 0.0
    if failure.kind is FailureKind.UNAUTHORIZED:
        return max(asked, UNAUTHORIZED_SECONDS)
    return asked


def forbidden_wait_seconds(refusals: int) -> float:
    """How long to wait at least after so many 403 in a row."""
    return float(min(FORBIDDEN_SECONDS * 2 ** min(refusals - 1, 16), FORBIDDEN_CAP_SECONDS))


# -- words ---------------------------------------------------------------------------------

RELIST_PHRASES: Mapping[str, str] = {
    "expired": "the server no longer has the changes since our resourceVersion (410)",
    "too-large": "the server does not know our resourceVersion yet",
    "storage-read": "the server cannot read an object that was deleted",
    "internal-error": "the watch kept failing inside the server",
    "unsupported": "the server refused the watch",
    "unknown-event": "the watch sent what is no event",
    "malformed": "the watch sent an event that could not be read",
    "oversize": "the watch sent an event over the size limit",
    "short-watch": "the watch kept ending at once",
    "overflow": "the queue was full and dropped a change",
    "not-found": "the kind was not served for a while",
    "no-resource-version": "its lists carry no resourceVersion",
    "audit": "the audit takes long",
}


def relist_phrase(reason: str) -> str:
    """What a user reads for a relist's reason."""
    return f"relisting: {RELIST_PHRASES.get(reason, reason)}"


def failed_phrase(what: str, failure: Failure) -> str:
    """What a user reads for a failure of a `list` or a `watch`: one short line."""
    said = " ".join(str(failure).split())
    return f"{what} failed: {said[:REASON_MAX_CHARS]}"


def can_i(verb: str, rules: Rules) -> str:
    """The command that shows a user whether they may."""
    context = f" --context {shlex.quote(rules.context)}" if rules.context else ""
    return f"kubectl auth can-i {verb} {rules.group_resource}{context}"
