"""Certificates of a made-up authority, made once per run."""

from __future__ import annotations

import ssl
from functools import cache

import trustme


@cache
def authority(name: str) -> trustme.CA:
    """A certificate authority; another name is another one."""
    return trustme.CA(organization_name=name)


@cache
def server_context(*names: str, client_ca: str | None = None) -> ssl.SSLContext:
    """A server that is these names; with `client_ca` it demands a certificate from that one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority("kube").issue_cert(*names).configure_cert(context)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        authority(client_ca).configure_trust(context)
    return context


def ca_pem(name: str = "kube") -> bytes:
    """What goes into `certificate-authority-data`."""
    return authority(name).cert_pem.bytes()


@cache
def client_pair(ca: str = "clients") -> tuple[bytes, bytes]:
    """A client's certificate chain and key."""
    leaf = authority(ca).issue_cert("admin@example.org", common_name="admin")
    return b"".join(blob.bytes() for blob in leaf.cert_chain_pems), leaf.private_key_pem.bytes()
