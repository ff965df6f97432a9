"""A pod's environment and service account files to a Connection, or to None outside a pod."""

from __future__ import annotations

import errno
import logging
import ssl
from collections.abc import Mapping

from orka.daemon.kube import urls
from orka.daemon.kube.connection import Connection, Credentials, TokenFile
from orka.daemon.kube.kubeconfig_entry import Checked
from orka.daemon.kube.kubeconfig_files import Read
from orka.daemon.kube.proxy import proxy_for
from orka.daemon.kube.tokens import clean_token
from orka.proto.errors import ConfigError

SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_PATH = f"{SERVICE_ACCOUNT_DIR}/token"
CA_PATH = f"{SERVICE_ACCOUNT_DIR}/ca.crt"
CONTEXT = "in-cluster"
# What reading a path gives where no file is: then this is no pod.
NO_FILE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL))

log = logging.getLogger("orka.kube.in-cluster")


def in_cluster(environ: Mapping[str, str], read: Read) -> Connection | None:
    """The API server that this pod was told of, as its own service account.

    None unless both variables are set and the token file is there: then this is no pod.
    ConfigError if it is one and what it was given cannot be used.
    """
    if not _is_pod(environ, read):
        return None
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
    user = Checked("user", CONTEXT, TOKEN_PATH, read)
    token = user.content("token", TOKEN_PATH)
    if token is not None and clean_token(token) is None:
        user.problem("token", "empty, or not a token")
    cluster = Checked("cluster", CONTEXT, "the environment", read)
    url, proxy, field = urls.Url(""), None, "server"
    try:
        url = urls.parse(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}")
        urls.check_port(url)
        field = "environment.proxy"
        proxy = proxy_for(url, None, environ)
    except ValueError as exc:
        cluster.problem(field, str(exc))
    problems = cluster.problems + user.problems
    if problems:
        raise ConfigError("in-cluster configuration: " + "; ".join(problems))
    ca = _ca(read)
    return Connection(
        server=f"https://{url.authority.lower()}",
        ca=ca,
        ca_path=None if ca is None else CA_PATH,
        credentials=Credentials(token=TokenFile(TOKEN_PATH)),
        namespace=pod_namespace(environ, read) or "default",
        context=CONTEXT,
        proxy=proxy,
        in_cluster=True,
    )


def pod_namespace(environ: Mapping[str, str], read: Read) -> str | None:
    """The namespace this pod is in, None outside one.

    As for kubectl it is the default of a kubeconfig's context without a namespace, too.
    """
    if not _is_pod(environ, read):
        return None
    try:
        content = read(f"{SERVICE_ACCOUNT_DIR}/namespace")
    except OSError:
        content = b""
    return environ.get("POD_NAMESPACE") or content.decode("utf-8", "replace").strip() or None


def _is_pod(environ: Mapping[str, str], read: Read) -> bool:
    names = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
    if not all(environ.get(name) for name in names):
        return False
    try:
        read(TOKEN_PATH)
    except OSError as exc:
        return exc.errno not in NO_FILE
    return True


def _ca(read: Read) -> bytes | None:
    """The mounted CA; None, told in the log, where client-go would trust the system's roots."""
    try:
        content = read(CA_PATH)
        _check_certificates(content)
    except (OSError, ValueError) as exc:
        log.warning("in-cluster-ca-unusable path=%s why=%s", CA_PATH, exc)
        return None
    return content


def _check_certificates(content: bytes) -> None:
    """ValueError or ssl.SSLError if there is none; text around them may be in any language."""
    text = content.decode("latin-1").encode("ascii", "replace").decode("ascii")
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
