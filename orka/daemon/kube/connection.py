"""How to reach one cluster as one user: what is left of a kubeconfig once it is resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from urllib.parse import urlsplit

IDENTITY_BYTES = 16  # as many as a UUID: two setups never collide by accident


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A bearer token that stands in the kubeconfig itself."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A bearer token that somebody else keeps fresh in a file; it wins over `fallback`."""

    path: str
    fallback: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A client certificate with its key, both PEM."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to the API server: a token, a certificate, both, or nobody (anonymous)."""

    token: StaticToken | TokenFile | None = None
    certificate: ClientCertificate | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """One server, one user and how to talk to it, as one kubeconfig context means them.

    `identity` is equal for two setups that resolve to the same server, CA, credentials and
    TLS settings, whatever their contexts are called, so that they can share one cluster.
    Secrets enter it hashed only.
    """

    server: str  # scheme://host:port, nothing behind it
    path_prefix: str = ""  # put before every request path; begins with "/", never ends with it
    ca: bytes | None = None  # PEM that replaces the system's roots
    insecure: bool = False  # do not verify the server
    tls_server_name: str | None = None  # SNI, and the name that is verified
    credentials: Credentials = field(default_factory=Credentials)
    namespace: str = "default"
    context: str = ""
    user: str = ""
    cluster: str = ""
    disable_compression: bool = False
    in_cluster: bool = False
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", _identity(self))

    def __repr__(self) -> str:
        return (
            f"<Connection {self.url} context={self.context!r} user={self.user!r} "
            f"identity={self.identity[:8]}>"
        )

    @property
    def url(self) -> str:
        """The server as the user wrote it: with its path, without query and fragment."""
        return self.server + self.path_prefix

    @property
    def tls(self) -> bool:
        """Whether the server is an https:// one."""
        return self.server.startswith("https://")

    @property
    def host(self) -> str:
        """Name or address, without the brackets of an IPv6 one."""
        return urlsplit(self.server).hostname or ""

    @property
    def port(self) -> int:
        """The port, 443 or 80 where the URL has none."""
        return urlsplit(self.server).port or (443 if self.tls else 80)

    @property
    def verified_name(self) -> str:
        """The name that goes into SNI and that the server's certificate must carry."""
        return self.tls_server_name or self.host


def _identity(connection: Connection) -> str:
    digest = blake2b(digest_size=IDENTITY_BYTES)
    for part in _identifying_parts(connection):
        # The length before each part: no two lists of parts have the same bytes.
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _identifying_parts(connection: Connection) -> list[bytes]:
    parts = [
        connection.server.encode(),
        connection.path_prefix.encode(),
        b"no-ca" if connection.ca is None else b"ca:" + connection.ca,
        b"insecure" if connection.insecure else b"verified",
        (connection.tls_server_name or "").encode(),
    ]
    token = connection.credentials.token
    if token is None:
        parts += [b"no-token"]
    elif isinstance(token, StaticToken):
        parts += [b"token", token.token.encode()]
    else:
        # By its path: the token inside is meant to change under the same user.
        parts += [b"token-file", token.path.encode(), (token.fallback or "").encode()]
    certificate = connection.credentials.certificate
    if certificate is not None:
        parts += [b"certificate", certificate.certificate, certificate.key]
    return parts
