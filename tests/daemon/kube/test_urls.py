"""URLs as Go reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.kube.urls import PORT_MAX, Url, ascii_host, parse, parse_server


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://api.test", Url("https", "api.test")),
        ("HTTPS://Api.test:6443", Url("https", "Api.test", 6443)),
        ("https://api.test:/", Url("https", "api.test", None, "/", raw_path="/")),
        ("http://[fd00::1]:8080/x", Url("http", "fd00::1", 8080, "/x", raw_path="/x")),
        ("http://[fe80::1%25eth0]", Url("http", "fe80::1%eth0")),
        ("http://u:p%40@h", Url("http", "h", user="u", password="p@")),
        ("http://u@h", Url("http", "h", user="u")),
        ("socks5://@h", Url("socks5", "h", user="")),
        ("http://h/a%2Fb?q#f", Url("http", "h", None, "/a/b", raw_path="/a%2Fb")),
        ("http://b%C3%BCcher", Url("http", "bücher")),
        ("localhost:8080", Url("localhost")),
        ("mailto:x@y", Url("mailto")),
        ("//h/x", Url("", "h", None, "/x", raw_path="/x")),
        ("///x", Url("", "", None, "///x", raw_path="///x")),
        ("1a://h", None),
        (":x", None),
        ("10.0.0.1:443", None),
        ("http://a b", None),
        ("http://a\x7f", None),
        ("http://a%41", None),
        ("http://a%zz", None),
        ("http://a/%zz", None),
        ("http://a:b", None),
        ("http://a:1:2", None),
        ("http://a:65536", Url("http", "a", 65536)),
        ("http://[::1", None),
        ("http://[::1]x", None),
        ("http://[1.2.3.4]", None),
        ("http://x[::1]", None),
        ("http://u%zz@h", None),
        ("http://u u@h", None),
    ],
)
def test_a_url_has_parts_or_is_none(text: str, expected: Url | None) -> None:
    """What Go's net/url takes, with what it finds in it."""
    if expected is None:
        with pytest.raises(ValueError, match=r"."):
            parse(text)
    else:
        assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "shown", "prefix"),
    [
        ("https://api.test/", "https://api.test/", ""),
        ("https://api.test/a//b/../c/?q", "https://api.test/a//b/../c/", "/a/c"),
        ("https://api.test/a%2Fb", "https://api.test/a%2Fb", "/a/b"),
        ("https://api.test/a b", "https://api.test/a%20b", "/a%20b"),
        ("https://api.test/a#b", "https://api.test/a%23b", "/a%23b"),
        ("https://api.test#b", "https://api.test", ""),
        ("https://me:p%40@[fe80::1%25eth0]:1", "https://me:p%40@[fe80::1%25eth0]:1", ""),
        ("https://me@h", "https://me@h", ""),
        ("api.test", "http://api.test", ""),
        ("api.test:8080", "http://api.test:8080", ""),
        ("10.0.0.1:8080/", "http://10.0.0.1:8080/", ""),
        ("my_host:80", "http://my_host:80", ""),
    ],
)
def test_a_server_is_a_url_or_host_and_port(text: str, shown: str, prefix: str) -> None:
    """A path is put before every request, cleaned; query and fragment go."""
    url = parse_server(text)

    assert (str(url), url.prefix) == (shown, prefix)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://", "neither a URL nor host:port"),
        ("https:///x", "neither a URL nor host:port"),
        ("host/path", "neither a URL nor host:port"),
        ("https://:443", "no host in it"),
        (":443", "no host in it"),
        ("https:host", "no port behind its host"),
        ("https://a b", "a character in its host"),
        ("https://a:99999", f"a port over {PORT_MAX}"),
        ("a b", "a character in its host"),
    ],
)
def test_a_server_that_is_neither(text: str, words: str) -> None:
    """What is wrong, never what it says: there may be a password in it."""
    with pytest.raises(ValueError, match=words):
        parse_server(text)


@given(st.text())
def test_no_text_does_anything_but_parse_or_fail(text: str) -> None:
    """No other exception, and a server always has a host."""
    for reader in (parse, parse_server):
        try:
            url = reader(text)
        except ValueError:
            continue
        assert url.host or reader is parse


@given(
    st.sampled_from(["http", "https", "socks5"]),
    st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){0,3}", fullmatch=True),
    st.none() | st.integers(0, PORT_MAX),
    st.text(max_size=20),
    st.none() | st.text(max_size=10),
)
def test_what_a_url_is_written_as_reads_as_the_same(
    scheme: str, host: str, port: int | None, path: str, user: str | None
) -> None:
    """`str` and `parse` are inverse, whatever has to be escaped."""
    path = "/" + path.encode("utf-8", "replace").decode()
    url = Url(scheme, host, port, path, user, "p@ss/:" if user else "")
    read = parse(str(url))

    assert (read.scheme, read.host, read.port, read.path) == (scheme, host, port, path)
    assert (read.user, read.password) == (user, url.password)


def test_names_are_given_to_dns_as_it_has_them() -> None:
    """Those that cannot be are left for the resolver to refuse."""
    assert ascii_host("api.test") == "api.test"
    assert ascii_host("bücher.test") == "xn--bcher-kva.test"
    assert ascii_host("ü" * 100) == "ü" * 100
