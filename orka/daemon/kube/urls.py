"""A URL's text to its parts, as Go's net/url reads it: kubeconfigs were tried with nothing else.

`urllib.parse` takes what Go refuses (a blank in a host, a bad percent escape) and reads
`localhost:8080` as a scheme, so that the same kubeconfig would mean another server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address
from posixpath import normpath
from urllib.parse import quote, unquote

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_USERINFO = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
# In a host an escape may stand for bytes that are not ASCII, and for the percent of a zone.
_HOST = re.compile(
    r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:<>\"\[\]]|[^\x00-\x7f]|%25|%[89A-Fa-f][0-9A-Fa-f])*"
)
_PORT = re.compile(r"(?::([0-9]*))?")
_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/\[\]]|%[0-9A-Fa-f]{2})*")
_UNESCAPED_IN_PATHS = "$&+,/:;=@"
PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of a URL; `host` without brackets, `path` without escapes, no query."""

    scheme: str  # lower case; "" if there is none
    host: str = ""
    port: int | None = None
    path: str = ""
    user: str | None = None
    password: str = field(default="", repr=False)
    raw_path: str = ""

    @property
    def authority(self) -> str:
        """`host` or `host:port`, an IPv6 address in brackets."""
        host = f"[{self.host.replace('%', '%25')}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def prefix(self) -> str:
        """What stands before the path of every request: "" or `/a/b`, cleaned and escaped."""
        path = normpath("/" + self.path.lstrip("/"))
        return "" if path == "/" else quote(path, safe=_UNESCAPED_IN_PATHS)

    def __str__(self) -> str:
        user = "" if self.user is None else quote(self.user, safe="$&+,;=")
        password = f":{quote(self.password, safe='$&+,;=')}" if self.password else ""
        at = "" if self.user is None else "@"
        escaped = self.raw_path and _PATH.fullmatch(self.raw_path)
        path = self.raw_path if escaped else quote(self.path, safe=_UNESCAPED_IN_PATHS)
        return f"{self.scheme}://{user}{password}{at}{self.authority}{path}"


def parse(text: str, *, fragment: bool = True) -> Url:
    """The parts of `text`; ValueError says what is wrong, without quoting it.

    With `fragment` false a `#` is an ordinary character.
    """
    if _CONTROL.search(text):
        raise ValueError("a control character in it")
    if fragment:
        text = text.partition("#")[0]
    scheme, rest = _scheme(text)
    rest = rest.partition("?")[0]
    if not rest.startswith("/"):
        if not scheme and ":" in rest.partition("/")[0]:
            raise ValueError("no scheme before the colon")
        return Url(scheme)  # `mailto:x` and the like: no host, and no path of ours
    authority = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
    if _BAD_ESCAPE.search(rest):
        raise ValueError("a percent sign without two hexadecimal digits")
    user, password, host, port = _authority(scheme, authority)
    return Url(scheme, host, port, unquote(rest), user, password, rest)


def parse_server(text: str) -> Url:
    """A cluster's `server`: a URL, or `host:port` over http://; ValueError if neither."""
    try:
        url = parse(text)
        if "#" in text and url.scheme and url.authority and len(url.path) > 1:
            # Where there is a path, client-go does not look for a fragment behind it.
            url = parse(text, fragment=False)
    except ValueError:
        if "://" in text:
            raise  # with the better words: what follows is for `host:port`
        url = Url("")
    if not url.scheme or not url.authority:
        url = parse(f"http://{text}")
        if url.path not in ("", "/"):
            raise ValueError("neither a URL nor host:port")
    if not url.host:
        raise ValueError("no host in it")
    check_port(url)
    return url


def check_port(url: Url) -> None:
    """ValueError for a port that there cannot be, which is still a URL."""
    if url.port is not None and url.port > PORT_MAX:
        raise ValueError(f"a port over {PORT_MAX}")


def ascii_host(host: str) -> str:
    """An internationalized name as DNS has it; what cannot be one stays as it is."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def _scheme(text: str) -> tuple[str, str]:
    found = _SCHEME.match(text)
    if found is not None:
        return found[1].lower(), text[found.end() :]
    if text.startswith(":"):
        raise ValueError("no scheme before the colon")
    return "", text


def _authority(scheme: str, text: str) -> tuple[str | None, str, str, int | None]:
    """User, password, host and port."""
    userinfo, at, hostport = text.rpartition("@")
    if not _USERINFO.fullmatch(userinfo) or _BAD_ESCAPE.search(userinfo):
        raise ValueError("a character in its user name or password that must be escaped")
    user, _, password = userinfo.partition(":")
    host, port = _host_and_port(scheme, hostport)
    return unquote(user) if at else None, unquote(password), host, port


def _host_and_port(scheme: str, text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        inside, bracket, after = text[1:].rpartition("]")
        if not bracket:
            raise ValueError("no ] after its address")
        host = _ipv6(inside)
    else:
        colon = text.find(":") if scheme in ("http", "https") else text.rfind(":")
        host, after = (text, "") if colon < 0 else (text[:colon], text[colon:])
        if "[" in host or not _HOST.fullmatch(host):
            raise ValueError("a character in its host that no host has")
        host = unquote(host)
    found = _PORT.fullmatch(after)
    if found is None:
        raise ValueError("no port behind its host")
    return host, int(found[1]) if found[1] else None


def _ipv6(text: str) -> str:
    address, zone, name = text.partition("%25")
    try:
        IPv6Address(unquote(address))
    except AddressValueError as exc:
        raise ValueError("no IPv6 address between its brackets") from exc
    return unquote(address) + ("%" + unquote(name) if zone else "")
