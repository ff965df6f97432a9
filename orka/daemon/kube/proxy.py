"""A server's URL, a cluster's `proxy-url` and the environment to the proxy that is used, if any.

The rules are those of Go's httpproxy, which differ from those of Python's libraries: NO_PROXY
takes networks, and the machine itself is never reached through a proxy of the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from orka.daemon.kube import urls
from orka.daemon.kube.connection import Basic, Proxy
from orka.daemon.kube.urls import Url, ascii_host

PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
MAPPED_PREFIX_BITS = 96  # what stands before the IPv4 address in ::ffff:a.b.c.d
_HOST_AND_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*)):([^:]*)")
_CIDR = re.compile(r"[^/]+/[0-9]+")

Address = IPv4Address | IPv6Address


def proxy_for(server: Url, proxy_url: str | None, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for a server: `proxy_url` for everything, else what `environ` says.

    The variables are HTTPS_PROXY or HTTP_PROXY, by the server's scheme, and NO_PROXY; each in
    upper case or else in lower case. Raises ValueError with words for a proxy that cannot be
    used; as in Go a variable that is no URL at all counts as not there.
    """
    if proxy_url:
        return _of_cluster(proxy_url)
    if server.scheme not in ("http", "https"):
        return None
    variable = f"{server.scheme.upper()}_PROXY"
    value = _any_case(environ, variable)
    if not value:
        return None
    try:
        proxy = _of_environment(value)
    except ValueError:
        return None
    if server.scheme == "http" and environ.get("REQUEST_METHOD"):
        # A web server would have set it from the header `Proxy:` of a request.
        raise ValueError(
            "HTTP_PROXY is not trusted where REQUEST_METHOD is set, as in a CGI program"
        )
    if not _wanted(server, _any_case(environ, "NO_PROXY")):
        return None
    return _proxy(proxy, variable)


def _of_cluster(text: str) -> Proxy:
    try:
        url = urls.parse(text)
    except ValueError as exc:
        raise ValueError(f"not a URL: {exc}") from exc
    if url.scheme not in ("http", "https", "socks5"):
        scheme = f"{url.scheme}://" if url.scheme else "a URL without a scheme"
        raise ValueError(f"expected http://, https:// or socks5://, not {scheme}")
    return _proxy(url, "it")


def _of_environment(text: str) -> Url:
    try:
        url = urls.parse(text)
    except ValueError:
        return urls.parse(f"http://{text}")
    if url.scheme and url.authority:
        return url
    try:
        return urls.parse(f"http://{text}")
    except ValueError:
        return url  # `http:name`, which is a URL without a host


def _proxy(url: Url, said_by: str) -> Proxy:
    match url.scheme:
        case "http" | "https" | "socks5" | "socks5h" as scheme if url.host:
            basic = None if url.user is None else Basic(url.user, url.password)
            urls.check_port(url)
            port = PORTS[scheme] if url.port is None else url.port
            return Proxy(scheme, url.host, port, basic)
    if url.host:
        raise ValueError(f"{said_by} names a proxy of the unknown scheme {url.scheme}://")
    raise ValueError(f"{said_by} names no host")


def _any_case(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.lower()) or ""


def _wanted(server: Url, no_proxy: str) -> bool:
    """Whether the environment's proxy is for this server."""
    host = ascii_host(server.host)
    port = str(PORTS[server.scheme] if server.port is None else server.port)
    address = _address(host.partition("%")[0])
    if host == "localhost" or (address is not None and address.is_loopback):
        return False
    host = host.strip().lower()
    items = [item.strip().lower() for item in no_proxy.split(",")]
    # A lone star counts wherever it stands.
    return "*" not in items and not any(_covers(item, host, port, address) for item in items)


def _covers(item: str, host: str, port: str, address: Address | None) -> bool:
    """Whether one item of NO_PROXY means this server; an item that is none means nobody."""
    network = _network(item)
    if network is not None:
        return address is not None and address in network
    found = _HOST_AND_PORT.fullmatch(item)
    if found is not None:
        item, item_port = found[1] if found[1] is not None else found[2], found[3]
        if item_port and item_port != port:
            return False
    if not item:
        return False
    item_address = _address(item)
    if item_address is not None:
        return item_address == address
    if address is not None:
        return False
    name = item.removeprefix("*") if item.startswith("*.") else item
    suffix = ascii_host(name if name.startswith(".") else f".{name}")
    return host.endswith(suffix) or (not name.startswith(".") and host == suffix[1:])


def _address(text: str) -> Address | None:
    """An IP address without zone; one that is only mapped into IPv6 as the IPv4 address it is."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id else address.ipv4_mapped or address
    return address


def _network(text: str) -> IPv4Network | IPv6Network | None:
    if not _CIDR.fullmatch(text):
        return None
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    mapped = isinstance(network, IPv6Network) and network.network_address.ipv4_mapped
    if mapped and network.prefixlen >= MAPPED_PREFIX_BITS:
        return IPv4Network((mapped, network.prefixlen - MAPPED_PREFIX_BITS))
    return network
