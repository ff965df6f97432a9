"""A Connection's credentials to what one request is sent with, and to what a 401 is answered with.

The `Authenticator` knows all of a user's credentials at once: tokens and their files, passwords,
certificates and their files, plugins, and whom to act as.
"""

from __future__ import annotations

import base64
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from orka.daemon.kube.certificate_files import FileCertificate
from orka.daemon.kube.connection import (
    Basic,
    CertificateFiles,
    ClientCertificate,
    Connection,
    Credentials,
    Impersonation,
    StaticToken,
    TokenFile,
)
from orka.daemon.kube.errors import Failure, FailureKind, KubeError
from orka.daemon.kube.exec_plugin import Plugin, Plugins
from orka.daemon.kube.kubeconfig_files import Read, read_file
from orka.daemon.kube.tokens import FileToken
from orka.daemon.model import Clock, SystemClock
from orka.proto.errors import ConfigError

# What a server refuses with 401 is refused for all kinds alike, so they wait together.
REFUSED_SECONDS = 5.0  # doubling
REFUSED_CAP_SECONDS = 60.0
# A server that has just taken these very credentials elsewhere refuses one path, not the user.
PROVEN_SECONDS = 60.0

Header = tuple[bytes, bytes]

log = logging.getLogger("orka.kube.credentials")


@dataclass(frozen=True, slots=True)
class Presented:
    """What one request was sent with."""

    headers: tuple[Header, ...] = field(repr=False)
    certificate: ClientCertificate | None = field(repr=False)
    run: int | None  # of the plugin that gave it
    refusals: int  # in a row, when it was made

    def same(self, other: Presented) -> bool:
        """Whether a server could not tell the two apart."""
        return (self.headers, self.certificate) == (other.headers, other.certificate)


class Authenticator:
    """Who we are to one API server, request by request.

    `plugins` runs the user's credential plugin; without one, such a user is refused.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        plugins: Plugins | None = None,
        read: Read = read_file,
        now: Callable[[], float] = trio.current_time,
        clock: Clock | None = None,
    ) -> None:
        """Raises ConfigError for credentials that cannot be used at all."""
        credentials = connection.credentials
        self._user = connection.user
        self._credentials = credentials
        self._now = now
        self._clock = clock or SystemClock()
        self._fixed = (
            *_basic_header(credentials.basic),
            *_impersonation_headers(credentials.impersonation, connection.user),
        )
        self._file_token: FileToken | None = None
        if isinstance(credentials.token, TokenFile):
            self._file_token = FileToken(credentials.token, read=read, now=now)
        self._file_certificate: FileCertificate | None = None
        if isinstance(credentials.certificate, CertificateFiles):
            files = credentials.certificate
            self._file_certificate = FileCertificate(files, user=connection.user, read=read)
        self._plugin = _plugin_of(credentials, plugins, connection.user)
        self._refusals = 0  # 401 in a row
        self._refused: Presented | None = None  # what the last one was for
        self._refused_until = -math.inf
        self._proven: Presented | None = None  # what a server took last
        self._proven_at = -math.inf
        self._last: Presented | None = None
        self._since: float | None = None  # wall: when what is presented last changed
        self._last_failure: str | None = None

    def __repr__(self) -> str:
        return f"<Authenticator {method(self._credentials)} refusals={self._refusals}>"

    @property
    def certificate(self) -> ClientCertificate | None:
        """The client certificate for a handshake now; its files are looked at."""
        if self._file_certificate is not None:
            return self._file_certificate.current()
        static = self._credentials.certificate
        if isinstance(static, ClientCertificate):
            return static
        issued = self._plugin.issued if self._plugin is not None else None
        return issued.credential.certificate if issued is not None else None

    @property
    def busy(self) -> bool:
        """Whether a plugin is being waited for."""
        return self._plugin is not None and self._plugin.running

    async def headers(self) -> Presented:
        """What a request is to be sent with now.

        Raises KubeError (UNAUTHORIZED) where there is nothing to identify us with: a plugin that
        fails, a token file that never was there, or a user that the server has refused so lately
        that asking again would only be noise; `retry_after_seconds` says how long that lasts.
        """
        refused, run = self._refused, None
        resting = self._refused_until - self._now()
        if self._plugin is not None:
            if refused is not None and resting <= 0:
                run = refused.run
            presented = await self._from_plugin(self._plugin, refused=run)
        else:
            if self._file_token is not None and resting > 0:
                self._file_token.forget()  # what was refused may have been replaced since
            presented = self._present(self._own_token(), self.certificate)
        if refused is not None and resting > 0 and presented.same(refused):
            message = f"the server refused {self._named()}; not asked again for now"
            raise KubeError(
                Failure(FailureKind.UNAUTHORIZED, message, 401, retry_after_seconds=resting)
            )
        if self._last is None or not presented.same(self._last):
            self._last, self._since = presented, self._clock.wall()
        return presented

    async def rejected(self, used: Presented) -> bool:
        """The server answered 401 to a request sent with `used`: is there anything better?

        True: ask once more, with `headers()`. However many ask at once, one plugin run serves them
        all. Raises KubeError when the plugin fails.
        """
        if await self._renewed(used):
            return True
        proven = self._proven
        lately = self._now() - self._proven_at < PROVEN_SECONDS
        if proven is not None and lately and proven.same(used):
            return False  # one path's trouble; its kind waits by itself
        if used.refusals == self._refusals:  # else another request has told this already
            seconds = min(REFUSED_SECONDS * 2 ** min(self._refusals, 16), REFUSED_CAP_SECONDS)
            self._refusals += 1
            self._refused, self._refused_until = used, self._now() + seconds
            self._last_failure = f"401: the server refused {self._named()}"
            level = logging.WARNING if self._refusals == 1 else logging.INFO
            log.log(level, "refused user=%r again-in=%.0fs", self._user, seconds)
        return False

    def accepted(self, used: Presented) -> None:
        """The server took a request sent with `used`, whatever it answered."""
        self._proven, self._proven_at = used, self._now()
        if self._refusals and (
            self._refused is None or not used.same(self._refused) or used.refusals == self._refusals
        ):
            self._refusals, self._refused, self._refused_until = 0, None, -math.inf
            self._last_failure = None

    def describe(self) -> dict[str, object]:
        """What `status` shows of it: no secrets."""
        acting = self._credentials.impersonation
        return {
            "method": method(self._credentials),
            "impersonating": None if acting is None else acting.user,
            "since": self._since,
            "next_refresh": self._next_refresh(),
            "last_failure": self._why(),
        }

    # -- private ---------------------------------------------------------------------------

    def _own_token(self) -> str | None:
        token = self._credentials.token
        if isinstance(token, StaticToken):
            return token.token
        return self._file_token.current() if self._file_token is not None else None

    async def _from_plugin(self, plugin: Plugin, *, refused: int | None) -> Presented:
        issued = await plugin.credentials(refused=refused)
        credential = issued.credential
        return self._present(credential.token, credential.certificate, issued.number)

    def _present(
        self, token: str | None, certificate: ClientCertificate | None, run: int | None = None
    ) -> Presented:
        bearer = () if token is None else ((b"authorization", b"Bearer " + token.encode()),)
        return Presented((*bearer, *self._fixed), certificate, run, self._refusals)

    async def _renewed(self, used: Presented) -> bool:
        """Whether there is something else than `used` by now, having looked for it."""
        if self._plugin is not None:
            if used.run is not None and self._plugin.recently_renewed(used.run):
                return False
            return not (await self._from_plugin(self._plugin, refused=used.run)).same(used)
        await trio.lowlevel.checkpoint()
        if self._file_token is not None:
            self._file_token.forget()
        return not self._present(self._own_token(), self.certificate).same(used)

    def _named(self) -> str:
        return f'the credentials of user "{self._user}" ({method(self._credentials)})'

    def _next_refresh(self) -> float | None:
        """Wall seconds; None where nothing is renewed by the clock."""
        if self._plugin is not None:
            issued = self._plugin.issued
            return None if issued is None else issued.credential.expires_at
        if self._file_token is not None and math.isfinite(self._file_token.fresh_until):
            return self._clock.wall() + self._file_token.fresh_until - self._now()
        return None

    def _why(self) -> str | None:
        if self._plugin is not None and self._plugin.last_failure is not None:
            return self._plugin.last_failure
        if self._file_token is not None and self._file_token.last_failure is not None:
            return f"token file: {self._file_token.last_failure}"
        if self._file_certificate is not None and self._file_certificate.last_failure is not None:
            return f"certificate files: {self._file_certificate.last_failure}"
        return self._last_failure


def method(credentials: Credentials) -> str:
    """How these authenticate, in words that a user knows from the kubeconfig."""
    ways = []
    if credentials.token is not None:
        ways.append("token file" if isinstance(credentials.token, TokenFile) else "token")
    if credentials.basic is not None:
        ways.append("basic")
    if credentials.certificate is not None:
        from_files = isinstance(credentials.certificate, CertificateFiles)
        ways.append("certificate files" if from_files else "certificate")
    if credentials.plugin is not None:
        ways.append(f"plugin {credentials.plugin.command.rpartition('/')[2]}")
    return " and ".join(ways) or "anonymous"


def _plugin_of(credentials: Credentials, plugins: Plugins | None, user: str) -> Plugin | None:
    if credentials.plugin is None:
        return None
    if plugins is None:
        raise ConfigError(f'user "{user}": exec: no credential plugins are run here')
    return plugins.of(credentials.plugin)


def _basic_header(basic: Basic | None) -> tuple[Header, ...]:
    if basic is None:
        return ()
    pair = f"{basic.username}:{basic.password}".encode()
    return ((b"authorization", b"Basic " + base64.b64encode(pair)),)


def _impersonation_headers(acting: Impersonation | None, user: str) -> tuple[Header, ...]:
    if acting is None:
        return ()
    headers = [("impersonate-user", acting.user)]
    if acting.uid:
        headers.append(("impersonate-uid", acting.uid))
    headers += [("impersonate-group", group) for group in acting.groups]
    for key, values in acting.extra:
        headers += [(f"impersonate-extra-{_escaped_key(key)}", value) for value in values]
    for name, value in headers:
        # Anything of these would end the header, or the request.
        if any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise ConfigError(f'user "{user}": {name}: holds control characters')
    return tuple((name.encode(), value.encode()) for name, value in headers)


_HEADER_NAME_BYTES = frozenset(
    b"!#$&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


def _escaped_key(key: str) -> str:
    """As client-go: bytes that a header's name cannot have, and "%" itself, as %XX."""
    return "".join(
        chr(byte) if byte in _HEADER_NAME_BYTES else f"%{byte:02X}" for byte in key.encode()
    )
