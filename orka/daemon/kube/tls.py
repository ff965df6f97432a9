"""A Connection to the `ssl.SSLContext` that verifies its server and shows its certificate."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from orka.daemon.kube.connection import ClientCertificate, Connection
from orka.proto.errors import ConfigError


def client_context(connection: Connection) -> ssl.SSLContext:
    """A context for every connection to this server; both transports share it.

    Verifies as client-go does: any certificate in the CA set is an anchor, even an
    intermediate one, and the RFC 5280 strictness of newer Pythons is off. Raises ConfigError
    for a CA, certificate or key that cannot be used; an encrypted key never prompts.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif connection.ca is None:
        context.load_default_certs()
    else:
        _trust(context, connection, connection.ca)
    if connection.credentials.certificate is not None:
        _show(context, connection, connection.credentials.certificate)
    return context


def _trust(context: ssl.SSLContext, connection: Connection, ca: bytes) -> None:
    # By file, because `cadata` takes ASCII only, and CA bundles have comments with names.
    try:
        with _memory_file(ca) as path:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError as exc:
        raise ConfigError(
            f'cluster "{connection.cluster}": certificate-authority: '
            f"no usable PEM certificate in it ({exc.reason or exc})"
        ) from exc


def _show(context: ssl.SSLContext, connection: Connection, pair: ClientCertificate) -> None:
    def password() -> str:
        raise ConfigError(
            f'user "{connection.user}": client-key: encrypted, and there is nobody to ask',
            hint="decrypt it with: openssl pkey -in KEY -out NEW-KEY",
        )

    try:
        with _memory_file(pair.certificate) as certificate, _memory_file(pair.key) as key:
            context.load_cert_chain(certificate, key, password)
    except ssl.SSLError as exc:
        raise ConfigError(
            f'user "{connection.user}": client-certificate and client-key: '
            f"not a usable PEM pair ({exc.reason or exc})"
        ) from exc


@contextmanager
def _memory_file(content: bytes) -> Iterator[str]:
    """A path to `content` for OpenSSL, which wants files; key material never touches a disk."""
    fd = os.memfd_create("orka-pem", os.MFD_CLOEXEC)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{fd}"
