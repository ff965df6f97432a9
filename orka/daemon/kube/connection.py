"""How to reach one cluster as one user: what is left of a kubeconfig once it is resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal
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
class Basic:
    """A name and a password, for servers and proxies that still take them."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A client certificate with its key, both PEM, as they stand in the kubeconfig."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A client certificate and its key in files that somebody else renews."""

    certificate_path: str
    key_path: str


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """A program that prints credentials: `users[].user.exec`.

    `command` is absolute if it held a slash, else looked up in PATH. `cluster_info` is the
    JSON object that goes into KUBERNETES_EXEC_INFO as `spec.cluster`, None unless the entry
    asked for it.
    """

    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    api_version: Literal[
        "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"
    ] = "client.authentication.k8s.io/v1"
    interactive_mode: Literal["Never", "IfAvailable", "Always"] = "IfAvailable"
    cluster_info: str | None = field(default=None, repr=False)
    install_hint: str = ""


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Whom to act as; sent with every request, over http:// too."""

    user: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to the API server; all None is anonymous.

    A token and a certificate may be used together. The plugin is there only where the entry
    has no other credential, as for kubectl.
    """

    token: StaticToken | TokenFile | None = None
    basic: Basic | None = None
    certificate: ClientCertificate | CertificateFiles | None = None
    plugin: ExecPlugin | None = None
    impersonation: Impersonation | None = None


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy for every request of a cluster: `proxy-url`, or the environment's."""

    scheme: Literal["http", "https", "socks5", "socks5h"]
    host: str
    port: int
    basic: Basic | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """One server, one user and how to talk to it, as one kubeconfig context means them.

    `identity` is equal for two setups that resolve to the same server, CA, credentials and
    TLS settings, whatever their contexts are called, so that they can share one cluster.
    Secrets enter it hashed only.
    """

    server: str  # scheme://host:port, nothing behind it
    path_prefix: str = ""  # put before every request path; begins with "/", never ends with it
    ca: bytes | None = None  # PEM that replaces the system's roots, as it was at load
    ca_path: str | None = None  # the file it came from, read again while we run
    insecure: bool = False  # do not verify the server
    tls_server_name: str | None = None  # SNI, and the name that is verified
    credentials: Credentials = field(default_factory=Credentials)
    namespace: str = "default"
    context: str = ""
    user: str = ""
    cluster: str = ""
    disable_compression: bool = False
    proxy: Proxy | None = None
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
        """Name or address, without the brackets and escapes of an IPv6 one."""
        return (urlsplit(self.server).hostname or "").replace("%25", "%")

    @property
    def port(self) -> int:
        """The port, 443 or 80 where the URL has none."""
        port = urlsplit(self.server).port
        return (443 if self.tls else 80) if port is None else port

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
    """Files count by their paths: what is in them is meant to change under the same user."""
    if connection.ca_path is not None:
        ca = f"ca-file:{connection.ca_path}".encode()
    else:
        ca = b"no-ca" if connection.ca is None else b"ca:" + connection.ca
    credentials = connection.credentials
    described = (
        connection.server,
        connection.path_prefix,
        connection.insecure,
        connection.tls_server_name,
        connection.proxy,
        connection.proxy and connection.proxy.basic and connection.proxy.basic.password,
        credentials.impersonation,
    )
    parts = [repr(described).encode(), ca]
    match credentials.token:
        case StaticToken(token):
            parts += [b"token", token.encode()]
        case TokenFile(path, fallback):
            parts += [b"token-file", path.encode(), (fallback or "").encode()]
    match credentials.certificate:
        case ClientCertificate(certificate, key):
            parts += [b"certificate", certificate, key]
        case CertificateFiles(certificate_path, key_path):
            parts += [b"certificate-files", certificate_path.encode(), key_path.encode()]
    if credentials.basic is not None:
        parts += [b"basic", repr((credentials.basic.username, credentials.basic.password)).encode()]
    plugin = credentials.plugin
    if plugin is not None:
        parts += [b"plugin", repr((plugin, plugin.env, plugin.cluster_info)).encode()]
    return parts
