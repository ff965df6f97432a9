"""A pod's environment and service account files to a Connection, or to None outside a pod."""

from __future__ import annotations

from collections.abc import Mapping

from orka.daemon.kube.connection import Connection, Credentials, TokenFile
from orka.daemon.kube.credentials import clean_token
from orka.daemon.kube.kubeconfig_files import Read
from orka.proto.errors import ConfigError

SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"
CONTEXT = "in-cluster"


def in_cluster(environ: Mapping[str, str], read: Read) -> Connection | None:
    """The API server that this pod was told of, as its own service account.

    None unless both variables are set and the token file is there: then this is no pod.
    ConfigError if the token is there but cannot be used.
    """
    host = environ.get("KUBERNETES_SERVICE_HOST")
    port = environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        return None
    token_path = f"{SERVICE_ACCOUNT_DIR}/token"
    token = _optional(token_path, read)
    if token is None:
        return None
    if clean_token(token) is None or not port.isascii() or not port.isdigit():
        raise ConfigError(
            f"in-cluster configuration: {token_path} or the port {port!r} is unusable"
        )
    namespace_file = (_optional(f"{SERVICE_ACCOUNT_DIR}/namespace", read) or b"").decode(
        "utf-8", "replace"
    )
    return Connection(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        # Without the file the system's roots are used, as by client-go.
        ca=_optional(f"{SERVICE_ACCOUNT_DIR}/ca.crt", read),
        credentials=Credentials(token=TokenFile(token_path)),
        namespace=environ.get("POD_NAMESPACE") or namespace_file.strip() or "default",
        context=CONTEXT,
        in_cluster=True,
    )


def _optional(path: str, read: Read) -> bytes | None:
    try:
        return read(path)
    except OSError:
        return None
