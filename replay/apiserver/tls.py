"""A host name turned into a server's TLS context and the CA that vouches for it (trustme)."""

from __future__ import annotations

import ssl

import trustme


def make_server_tls(host: str) -> tuple[ssl.SSLContext, bytes]:
    """A context with a fresh certificate for this host, and the CA's certificate as PEM."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The server speaks HTTP/1.1 only, so it offers nothing else to a client that asks by ALPN.
    context.set_alpn_protocols(["http/1.1"])
    ca.issue_cert(host).configure_cert(context)
    return context, ca.cert_pem.bytes()
