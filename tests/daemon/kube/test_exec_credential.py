"""What a credential plugin is told, and what of its output is believed."""

from __future__ import annotations

import json

import pytest

from orka.daemon.kube.connection import ClientCertificate, ExecPlugin
from orka.daemon.kube.exec_credential import (
    BadPluginError,
    Credential,
    credential_in,
    environment,
)

V1 = "client.authentication.k8s.io/v1"
PLUGIN = ExecPlugin("/bin/login")


def output(status: object, *, version: str = V1, kind: str = "ExecCredential") -> bytes:
    """What a plugin prints."""
    return json.dumps({"apiVersion": version, "kind": kind, "status": status}).encode()


def test_the_plugin_gets_our_environment_its_own_and_who_asks() -> None:
    """The later wins; a daemon is never interactive; no cluster unless the entry asks for it."""
    plugin = ExecPlugin("login", env=(("A", "its"), ("A", "last"), ("KUBERNETES_EXEC_INFO", "x")))
    environ = environment(plugin, {"A": "ours", "HOME": "/home/me"})
    info = json.loads(environ.pop("KUBERNETES_EXEC_INFO"))

    assert environ == {"A": "last", "HOME": "/home/me"}
    assert info == {"kind": "ExecCredential", "apiVersion": V1, "spec": {"interactive": False}}


def test_the_cluster_is_told_where_the_entry_asks_for_it() -> None:
    """As `spec.cluster`, in the version that the entry names."""
    plugin = ExecPlugin(
        "login",
        api_version="client.authentication.k8s.io/v1beta1",
        cluster_info='{"server":"https://api"}',
    )
    info = json.loads(environment(plugin, {})["KUBERNETES_EXEC_INFO"])

    assert info["apiVersion"] == plugin.api_version
    assert info["spec"] == {"interactive": False, "cluster": {"server": "https://api"}}


def test_a_plugin_that_must_be_asked_at_a_terminal_is_refused() -> None:
    """With client-go's words; a daemon has none."""
    with pytest.raises(BadPluginError, match="standard input is not a terminal"):
        environment(ExecPlugin("login", interactive_mode="Always"), {})


@pytest.mark.parametrize(
    ("status", "credential"),
    [
        ({"token": " t0k \n"}, Credential("t0k")),
        ({"token": "t", "expirationTimestamp": None}, Credential("t")),
        (
            {"token": "t", "expirationTimestamp": "2026-11-24T12:00:00Z"},
            Credential("t", None, 1795521600.0),
        ),
        (
            {"clientCertificateData": "C", "clientKeyData": "K"},
            Credential(None, ClientCertificate(b"C", b"K")),
        ),
        (
            {"token": "t", "clientCertificateData": "C", "clientKeyData": "K", "later": 1},
            Credential("t", ClientCertificate(b"C", b"K")),
        ),
    ],
)
def test_a_token_a_certificate_or_both(status: object, credential: Credential) -> None:
    """With or without an end."""
    assert credential_in(PLUGIN, output(status)) == credential


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        (b"", "not one JSON document"),
        (b"s3cret-s3cret", "not one JSON document"),
        (b"\xff\xfe", "not one JSON document"),
        (b'{"x":' * 100_000, "not one JSON document"),
        (output({"token": "a b"}), "holds characters"),
        (output({"token": 7}), "Expected `str"),
        (output({}), "neither a token nor a certificate"),
        (output({"token": ""}), "neither a token nor a certificate"),
        (output(None), "no status"),
        (output({"clientKeyData": "s3cret"}), "only one of"),
        (output({"clientCertificateData": "x"}), "only one of"),
        (output({"token": "t"}, kind="Pod"), "another kind"),
        (
            output({"token": "t"}, version="client.authentication.k8s.io/v1beta1"),
            "API version client.authentication.k8s.io/v1, but its output has client.*v1beta1",
        ),
        (output({"token": "t"}, version="s3cret " * 20), "none that can be shown"),
        (output({"token": "t", "expirationTimestamp": "soon"}), "Invalid RFC3339"),
        (output({"token": "t", "expirationTimestamp": "2026-11-24T12:00:00"}), "no time zone"),
    ],
)
def test_what_cannot_be_used_is_named_and_never_quoted(printed: bytes, why: str) -> None:
    """Garbage may be a secret in the wrong place."""
    with pytest.raises(BadPluginError, match=why) as caught:
        credential_in(PLUGIN, printed)

    assert "s3cret" not in str(caught.value)


def test_no_repr_shows_a_credential() -> None:
    """Logs may print one."""
    assert "t0k" not in repr(credential_in(PLUGIN, output({"token": "t0k"})))
