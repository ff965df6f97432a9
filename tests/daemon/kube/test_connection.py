"""A Connection: its parts, its identity, and that it keeps its secrets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orka.daemon.kube.connection import (
    Basic,
    CertificateFiles,
    ClientCertificate,
    Connection,
    Credentials,
    ExecPlugin,
    Impersonation,
    Proxy,
    StaticToken,
    TokenFile,
)

BASE = Connection("https://api.test:6443", ca=b"CA", credentials=Credentials(StaticToken("s3cret")))


@pytest.mark.parametrize(
    ("server", "host", "port", "tls"),
    [
        ("https://api.test:6443", "api.test", 6443, True),
        ("https://api.test", "api.test", 443, True),
        ("http://[::1]:8080", "::1", 8080, False),
        ("http://10.0.0.1", "10.0.0.1", 80, False),
        ("http://[fe80::1%25eth0]", "fe80::1%eth0", 80, False),
    ],
)
def test_the_server_has_host_and_port(server: str, host: str, port: int, *, tls: bool) -> None:
    """Default ports by scheme; IPv6 addresses without brackets."""
    connection = Connection(server, path_prefix="/k8s")

    assert (connection.host, connection.port, connection.tls) == (host, port, tls)
    assert connection.url == f"{server}/k8s"
    assert connection.verified_name == host
    assert replace(connection, tls_server_name="kube").verified_name == "kube"


def test_setups_that_only_differ_in_names_share_an_identity() -> None:
    """Context, user and cluster names, namespace and compression are not who one talks to."""
    renamed = replace(
        BASE, context="b", user="b", cluster="b", namespace="b", disable_compression=True
    )

    assert renamed.identity == BASE.identity


def with_credentials(*args: StaticToken | TokenFile | ClientCertificate) -> Connection:
    """BASE with other credentials."""
    token = next((a for a in args if not isinstance(a, ClientCertificate)), None)
    certificate = next((a for a in args if isinstance(a, ClientCertificate)), None)
    return replace(BASE, credentials=Credentials(token, certificate=certificate))


def test_everything_that_matters_is_in_the_identity() -> None:
    """Another server, CA, TLS setting or credential is another identity."""
    others = [
        BASE,
        replace(BASE, server="https://api.test:6444"),
        replace(BASE, path_prefix="/k8s"),
        replace(BASE, ca=None),
        replace(BASE, ca=b""),
        replace(BASE, ca=None, insecure=True),
        replace(BASE, tls_server_name="kube"),
        with_credentials(),
        with_credentials(StaticToken("other")),
        with_credentials(TokenFile("/token")),
        with_credentials(TokenFile("/token", "s3cret")),
        with_credentials(TokenFile("/tokens3cret")),
        with_credentials(ClientCertificate(b"ab", b"c")),
        with_credentials(ClientCertificate(b"a", b"bc")),
        with_credentials(StaticToken("s3cret"), ClientCertificate(b"a", b"bc")),
        replace(BASE, ca_path="/ca"),
        replace(BASE, credentials=Credentials(certificate=CertificateFiles("a", "bc"))),
        replace(BASE, credentials=Credentials(certificate=CertificateFiles("ab", "c"))),
        replace(BASE, credentials=Credentials(basic=Basic("a", "b"))),
        replace(BASE, credentials=Credentials(basic=Basic("a", "c"))),
        replace(BASE, credentials=Credentials(plugin=ExecPlugin("aws"))),
        replace(BASE, credentials=Credentials(plugin=ExecPlugin("aws", env=(("A", "b"),)))),
        replace(BASE, credentials=Credentials(plugin=ExecPlugin("aws", cluster_info="{}"))),
        replace(BASE, credentials=Credentials(impersonation=Impersonation("jane"))),
        replace(BASE, credentials=Credentials(impersonation=Impersonation("jane", "1"))),
        replace(BASE, proxy=Proxy("http", "proxy.test", 3128)),
        replace(BASE, proxy=Proxy("http", "proxy.test", 3128, Basic("a", "b"))),
        replace(BASE, proxy=Proxy("http", "proxy.test", 3128, Basic("a", "c"))),
    ]

    assert len({connection.identity for connection in others}) == len(others)


def test_no_repr_shows_a_secret() -> None:
    """Logs may print any of these."""
    connection = with_credentials(
        TokenFile("/token", "s3cret"), ClientCertificate(b"s3cret", b"s3cret")
    )
    plugin = ExecPlugin("aws", env=(("A", "s3cret"),), cluster_info="s3cret")
    shown = f"{connection!r} {connection.credentials!r} {StaticToken('s3cret')!r} {plugin!r}"
    shown += repr(Proxy("http", "p", 1, Basic("u", "s3cret")))

    assert "s3cret" not in shown
    assert "/token" in shown
    assert repr(BASE).startswith("<Connection https://api.test:6443 context='' user='' identity=")


def test_a_renewed_file_is_the_same_cluster() -> None:
    """What is in a CA's file is meant to change under the same user."""
    before = replace(BASE, ca_path="/ca")

    assert replace(before, ca=b"renewed").identity == before.identity
