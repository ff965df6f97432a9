"""A token file's bytes to the token that is sent, kept fresh while somebody else renews it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from orka.daemon.kube.connection import TokenFile
from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.kubeconfig_files import Read, why_unreadable

TOKEN_FRESH_SECONDS = 50.0  # kubelet rotates long before expiry; client-go: one minute less 10 s

log = logging.getLogger("orka.kube.credentials")


def clean_token(content: bytes) -> str | None:
    """The token without the white space around it; None if it is empty or cannot be a header."""
    try:
        token = content.strip().decode("ascii")
    except UnicodeDecodeError:
        return None
    # Anything else inside would end the header, or the request.
    return token if token and all("!" <= character <= "~" for character in token) else None


class FileToken:
    """The token of a file that is read again when the copy is older than 50 s.

    A failed or empty read keeps the last good token, is counted in `failed_reads`, and is tried
    again at the next request; the log has one line when that begins and never the token.
    """

    def __init__(self, source: TokenFile, *, read: Read, now: Callable[[], float]) -> None:
        self._source = source
        self._read = read
        self._now = now
        self._token: str | None = None  # the last one that the file gave
        self.fresh_until = float("-inf")
        self.last_failure: str | None = None  # of the last read; None once one succeeds
        self.failed_reads = 0

    def __repr__(self) -> str:
        return f"<FileToken {self._source.path} failed_reads={self.failed_reads}>"

    def current(self) -> str:
        """The token for a request sent now.

        Raises KubeError (UNAUTHORIZED) when the file has never given one and there is no other.
        """
        if self._now() >= self.fresh_until:
            self._refresh()
        token = self._token or self._source.fallback
        if token is None:
            message = f"token file {self._source.path}: {self.last_failure}"
            raise KubeError(
                Failure(FailureKind.UNAUTHORIZED, message),
                hint="is the file still there, and readable by the user that runs orkad?",
            )
        return token

    def forget(self) -> None:
        """Read again at the next request: the server does not know the token any more."""
        self.fresh_until = float("-inf")

    def _refresh(self) -> None:
        try:
            token = clean_token(self._read(self._source.path))
            why = "" if token else "empty, or not a token"
        except OSError as exc:
            token, why = None, why_unreadable(exc)
        if token:
            self._token = token
            self.fresh_until = self._now() + TOKEN_FRESH_SECONDS
            self.last_failure = None
            return
        self.failed_reads += 1
        if self.last_failure is None:
            log.warning(
                "token-file-unreadable path=%s why=%s kept-old=%s",
                self._source.path,
                why,
                self._token is not None,
            )
        self.last_failure = why
