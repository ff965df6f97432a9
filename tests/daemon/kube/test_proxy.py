"""Which proxy a server is reached through."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.kube.connection import Basic, Proxy
from orka.daemon.kube.proxy import proxy_for
from orka.daemon.kube.urls import parse

HTTPS = {"HTTPS_PROXY": "http://p.test:3128"}
P = Proxy("http", "p.test", 3128)


def found(server: str, environ: Mapping[str, str], proxy_url: str | None = None) -> Proxy | None:
    """What there is for a server by its URL."""
    return proxy_for(parse(server), proxy_url, environ)


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://p.test", Proxy("http", "p.test", 80)),
        ("HTTPS://p.test", Proxy("https", "p.test", 443)),
        ("socks5://[fd00::1]", Proxy("socks5", "fd00::1", 1080)),
        ("http://u:p%40@p.test:3128/x?y", Proxy("http", "p.test", 3128, Basic("u", "p@"))),
        ("socks5://u@p.test", Proxy("socks5", "p.test", 1080, Basic("u", ""))),
    ],
)
def test_a_clusters_own_proxy_is_for_everything(text: str, proxy: Proxy) -> None:
    """Whatever the environment says; for loopback, too."""
    environ = {"NO_PROXY": "*", **HTTPS}

    for server in ("https://127.0.0.1", "http://localhost", "https://api.test"):
        assert found(server, environ, text) == proxy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("socks5h://p.test", "expected http://, https:// or socks5://, not socks5h://"),
        ("ftp://p.test", "not ftp://"),
        ("p.test", "not a URL without a scheme"),
        ("p.test:3128", "not p.test://"),
        ("10.0.0.1:3128", "not a URL: no scheme before the colon"),
        ("http://", "it names no host"),
        ("http:p.test", "it names no host"),
        ("http://a b", "not a URL: a character in its host"),
    ],
)
def test_a_clusters_own_proxy_that_cannot_be_used(text: str, words: str) -> None:
    """What was expected."""
    with pytest.raises(ValueError, match=r".") as caught:
        found("https://api.test", {}, text)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "https", "http"),
    [
        ({}, None, None),
        (HTTPS, P, None),
        ({"https_proxy": "http://p.test:3128"}, P, None),
        ({"HTTP_PROXY": "http://p.test:3128"}, None, P),
        ({"HTTPS_PROXY": "", "https_proxy": "p.test:3128"}, P, None),
        ({"https_proxy": "http://other", **HTTPS}, P, None),
        ({"ALL_PROXY": "http://p.test:3128"}, None, None),
        ({"HTTPS_PROXY": "p.test"}, Proxy("http", "p.test", 80), None),
        ({"HTTPS_PROXY": "10.0.0.1:1"}, Proxy("http", "10.0.0.1", 1), None),
        ({"HTTPS_PROXY": "socks5h://p.test"}, Proxy("socks5h", "p.test", 1080), None),
        ({"HTTPS_PROXY": "a\x01b"}, None, None),
        ({"REQUEST_METHOD": "GET", **HTTPS}, P, None),
    ],
)
def test_the_environments_proxy_goes_by_the_servers_scheme(
    environ: Mapping[str, str], https: Proxy | None, http: Proxy | None
) -> None:
    """Upper case before lower case; what is no URL at all is not there."""
    assert found("https://api.test", environ) == https
    assert found("http://api.test", environ) == http


@pytest.mark.parametrize(
    ("server", "environ", "words"),
    [
        ("https://api.test", {"HTTPS_PROXY": "ftp://p.test"}, "HTTPS_PROXY names a proxy of the"),
        ("https://api.test", {"HTTPS_PROXY": "http://:80"}, "HTTPS_PROXY names no host"),
        ("https://api.test", {"HTTPS_PROXY": "a b"}, "HTTPS_PROXY names no host"),
        ("http://a.test", {"HTTP_PROXY": "p", "REQUEST_METHOD": "GET"}, "HTTP_PROXY is not trust"),
    ],
)
def test_a_proxy_of_the_environment_that_cannot_be_used(
    server: str, environ: Mapping[str, str], words: str
) -> None:
    """The variable is named."""
    with pytest.raises(ValueError, match=words):
        found(server, environ)


def test_a_server_of_another_scheme_has_no_proxy() -> None:
    """Its scheme is told to be wrong elsewhere."""
    assert found("ftp://api.test", HTTPS) is None


@pytest.mark.parametrize(
    "server",
    [
        "https://localhost",
        "https://localhost:6443",
        "https://127.0.0.1:6443",
        "https://127.8.8.8",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
    ],
)
def test_this_machine_is_never_reached_through_the_environments_proxy(server: str) -> None:
    """Without NO_PROXY."""
    assert found(server, HTTPS) is None


@pytest.mark.parametrize(
    ("server", "no_proxy", "direct"),
    [
        ("https://api.test", "api.test", True),
        ("https://API.test", " other , Api.Test ", True),
        ("https://a.api.test", "api.test", True),
        ("https://myapi.test", "api.test", False),
        ("https://api.test", ".api.test", False),
        ("https://a.api.test", ".api.test", True),
        ("https://a.api.test", "*.api.test", True),
        ("https://api.test", "*.api.test", False),
        ("https://api.test", "*pi.test", False),
        ("https://api.test", "other,*", True),
        ("https://10.0.0.1", "*", True),
        ("https://api.test", "api.test:443", True),
        ("https://api.test:6443", "api.test:443", False),
        ("https://api.test:6443", "api.test:6443", True),
        ("https://api.test", "api.test:", True),
        ("https://10.96.0.1", "10.0.0.0/8", True),
        ("https://11.96.0.1", "10.0.0.0/8", False),
        ("https://10.96.0.1", "10.0.0.0/255.0.0.0", False),
        ("https://10.96.0.1", "10.0.0.0/99", False),
        ("https://api.test", "0.0.0.0/0", False),
        ("https://[::ffff:10.0.0.1]", "10.0.0.0/8", True),
        ("https://10.0.0.1", "::ffff:10.0.0.0/104", True),
        ("https://10.0.0.1", "::/0", False),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://10.0.0.1", "10.0.0.1", True),
        ("https://10.0.0.1", "10.0.0.1:443", True),
        ("https://10.0.0.1", "10.0.0.1:80", False),
        ("https://10.0.0.1", "0.0.1", False),
        ("https://[fd00::1]", "fd00::1", True),
        ("https://[fd00::1]", "[fd00::1]:443", True),
        ("https://[fe80::1%25eth0]", "fe80::1", True),
        ("https://[fe80::1]", "fe80::1%eth0", False),
        ("https://bücher.test", "xn--bcher-kva.test", True),
        ("https://api.test", "bücher.test,,:80, ", False),
        ("https://localhost.test", "localhost", False),
    ],
)
def test_no_proxy(server: str, no_proxy: str, direct: bool) -> None:
    """Names with their subdomains, addresses, networks, ports; what is none means nobody."""
    assert (found(server, {"no_proxy": no_proxy, **HTTPS}) is None) is direct


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_a_network_means_its_addresses(address: int, base: int, bits: int) -> None:
    """And only those; loopback apart."""
    ip, network = IPv4Address(address), IPv4Network((base, bits), strict=False)
    environ = {"NO_PROXY": str(network), **HTTPS}

    direct = found(f"https://{ip}", environ) is None
    assert direct is (ip in network or ip.is_loopback)


@given(st.text(), st.sampled_from(["https://api.test", "https://10.0.0.1", "https://[fd00::1]"]))
def test_any_no_proxy_can_be_read(no_proxy: str, server: str) -> None:
    """A best effort: what is malformed is ignored."""
    assert found(server, {"NO_PROXY": no_proxy, **HTTPS}) in (None, P)
