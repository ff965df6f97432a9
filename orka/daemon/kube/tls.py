"""A Connection to the `ssl.SSLContext` that verifies its server and shows its certificate."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from orka.daemon.kube.connection import ClientCertificate, Connection
from orka.daemon.kube.kubeconfig_files import Read, why_unreadable
from orka.proto.errors import ConfigError

CA_FRESH_SECONDS = 300.0  # as client-go: a CA is renewed months before the old one ends

log = logging.getLogger("orka.kube.credentials")


def client_context(
    connection: Connection, certificate: ClientCertificate | None = None
) -> ssl.SSLContext:
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
    if certificate is not None:
        _show(context, connection, certificate)
    return context


class Contexts:
    """The context for the next connection, made anew when the CA's file or the certificate changed.

    The file is read again when the copy is older than five minutes. One that is empty, broken or
    gone is ignored and logged once: what was trusted before still is.
    """

    def __init__(
        self,
        connection: Connection,
        certificate: ClientCertificate | None,
        *,
        read: Read,
        now: Callable[[], float],
    ) -> None:
        """Raises ConfigError for what cannot be used now."""
        self._connection = connection
        self._read = read
        self._now = now
        self._ca_fresh_until = now() + CA_FRESH_SECONDS if connection.ca_path else float("inf")
        self._ca_failing = False
        self._certificate = certificate
        self._context = client_context(connection, certificate)

    def __repr__(self) -> str:
        return f"<Contexts {self._connection.server}>"

    def current(self, certificate: ClientCertificate | None) -> ssl.SSLContext:
        """The same object for as long as nothing changed; ConfigError for an unusable pair."""
        ca = self._connection.ca
        if self._now() >= self._ca_fresh_until:
            ca = self._read_ca()
        if ca != self._connection.ca or certificate != self._certificate:
            self._connection = replace(self._connection, ca=ca)
            self._context = client_context(self._connection, certificate)
            self._certificate = certificate
        return self._context

    def _read_ca(self) -> bytes | None:
        path = self._connection.ca_path
        assert path is not None
        self._ca_fresh_until = self._now() + CA_FRESH_SECONDS
        try:
            ca = self._read(path)
            if ca != self._connection.ca:
                client_context(replace(self._connection, ca=ca))
        except (OSError, ConfigError) as exc:
            if not self._ca_failing:
                why = why_unreadable(exc) if isinstance(exc, OSError) else exc.message
                log.warning("ca-file-unusable path=%s why=%r kept-old=True", path, why)
            self._ca_failing = True
            return self._connection.ca
        self._ca_failing = False
        return ca


def why_no_pair(pair: ClientCertificate) -> str:
    """Why a certificate and its key cannot be shown to anybody; "" if they can."""
    encrypted = False

    def password() -> str:
        nonlocal encrypted
        encrypted = True
        return ""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        with _memory_file(pair.certificate) as certificate, _memory_file(pair.key) as key:
            context.load_cert_chain(certificate, key, password)
    except ssl.SSLError as exc:
        if encrypted:
            return "the key is encrypted, and there is nobody to ask"
        return f"not a usable PEM pair ({exc.reason or 'no PEM'})"
    return ""


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
