"""The SSL context of a Connection."""

from __future__ import annotations

import ssl

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from orka.daemon.kube.connection import (
    CertificateFiles,
    ClientCertificate,
    Connection,
    Credentials,
)
from orka.daemon.kube.tls import client_context
from orka.proto.errors import ConfigError
from tests.support.certificates import ca_pem, client_pair

SERVER = "https://api.test"


def context_of(connection: Connection) -> ssl.SSLContext:
    """Its context, as it was loaded."""
    certificate = connection.credentials.certificate
    assert not isinstance(certificate, CertificateFiles)
    return client_context(connection, certificate)


def with_pair(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """A context that shows this certificate."""
    credentials = Credentials(certificate=ClientCertificate(certificate, key))
    return context_of(Connection(SERVER, ca=ca_pem(), user="u", credentials=credentials))


def test_a_context_verifies_as_client_go_does() -> None:
    """TLS 1.2 and up; any certificate of the CA set is an anchor; not stricter than Go."""
    context = context_of(Connection(SERVER, ca=ca_pem()))

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_the_ca_replaces_the_systems_roots() -> None:
    """Nothing else is trusted beside it."""
    assert len(context_of(Connection(SERVER, ca=ca_pem())).get_ca_certs()) == 1


def test_comments_in_a_bundle_may_be_in_any_language() -> None:
    """Bundles are full of them."""
    ca = "# Zertifizierungsstelle für Kübernetes\n".encode() + ca_pem()

    assert context_of(Connection(SERVER, ca=ca)).get_ca_certs()


def test_an_insecure_server_is_not_verified() -> None:
    """Only on demand."""
    context = context_of(Connection(SERVER, insecure=True))

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_without_a_ca_the_systems_roots_are_used() -> None:
    """Whatever those are here, the server is verified."""
    assert context_of(Connection(SERVER)).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("ca", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_a_ca_without_certificates_is_a_config_error(ca: bytes) -> None:
    """It names the field."""
    with pytest.raises(ConfigError, match=r'cluster "c": certificate-authority: no usable PEM'):
        context_of(Connection(SERVER, ca=ca, cluster="c"))


def test_a_certificate_and_its_key_are_loaded() -> None:
    """From memory."""
    with_pair(*client_pair())


def test_a_key_of_another_certificate_is_a_config_error() -> None:
    """It names the user and both fields."""
    certificate, other_key = client_pair()[0], client_pair("others")[1]
    with pytest.raises(ConfigError, match=r'user "u": client-certificate and client-key: '):
        with_pair(certificate, other_key)


def test_an_encrypted_key_is_an_error_and_never_a_prompt() -> None:
    """A daemon has nobody to ask."""
    certificate, key = client_pair()
    encrypted = load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    with pytest.raises(ConfigError, match=r'user "u": client-key: encrypted') as caught:
        with_pair(certificate, encrypted)

    assert caught.value.hint is not None
