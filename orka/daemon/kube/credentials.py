"""A Connection's credentials to the headers of one request, with a token file kept fresh."""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from orka.daemon.kube.connection import Credentials, StaticToken, TokenFile
from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.kubeconfig_files import Read, read_file, why_unreadable

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


class TokenSource:
    """The `Authorization` header of each request.

    A token file is re-read when the copy is older than 50 s. A failed or empty read keeps
    the last good token, is counted in `failed_reads`, and is tried again at the next request;
    the log has one line when that begins and never the token.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        read: Read = read_file,
        now: Callable[[], float] = trio.current_time,
    ) -> None:
        self._source = credentials.token
        self._read = read
        self._now = now
        self._token: str | None = None  # the last one that the file gave
        self._fresh_until = float("-inf")
        self._failing = False
        self.failed_reads = 0

    def __repr__(self) -> str:
        return f"<TokenSource {self._source!r} failed_reads={self.failed_reads}>"

    def headers(self) -> dict[str, str]:
        """What identifies us on a request sent now; {} for anonymous or a client certificate.

        Raises KubeError (UNAUTHORIZED) when a token file has never given a token and there is
        no other.
        """
        source = self._source
        if source is None:
            return {}
        token = source.token if isinstance(source, StaticToken) else self._file_token(source)
        return {"authorization": f"Bearer {token}"}

    def _file_token(self, source: TokenFile) -> str:
        why = "" if self._now() < self._fresh_until else self._refresh(source.path)
        token = self._token or source.fallback
        if token is None:
            raise KubeError(
                Failure(FailureKind.UNAUTHORIZED, f"token file {source.path}: {why}"),
                hint="is the file still there, and readable by the user that runs orkad?",
            )
        return token

    def _refresh(self, path: str) -> str:
        """Read the file; why that failed, or "" if it did not."""
        try:
            token = clean_token(self._read(path))
            why = "" if token else "empty, or not a token"
        except OSError as exc:
            token, why = None, why_unreadable(exc)
        if token:
            self._token = token
            self._fresh_until = self._now() + TOKEN_FRESH_SECONDS
        else:
            self.failed_reads += 1
            if not self._failing:
                log.warning(
                    "token-file-unreadable path=%s why=%s kept-old=%s",
                    path,
                    why,
                    self._token is not None,
                )
        self._failing = not token
        return why
