"""A pod's own service account."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest

from orka.daemon.kube.connection import Connection, Credentials, Proxy, TokenFile
from orka.daemon.kube.in_cluster import in_cluster, pod_namespace
from orka.proto.errors import ConfigError
from tests.support.certificates import ca_pem
from tests.support.kubeconfigs import Files

DIR = "/var/run/secrets/kubernetes.io/serviceaccount"
ENVIRON = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
FILES: dict[str, str | bytes | OSError] = {
    f"{DIR}/token": "t0ken",
    f"{DIR}/ca.crt": ca_pem(),
    f"{DIR}/namespace": "shop\n",
}


def test_a_pod_has_a_connection() -> None:
    """Server from the environment, the rest from the mounted files."""
    assert in_cluster(ENVIRON, Files(FILES).read) == Connection(
        server="https://10.0.0.1:443",
        ca=ca_pem(),
        ca_path=f"{DIR}/ca.crt",
        credentials=Credentials(TokenFile(f"{DIR}/token")),
        namespace="shop",
        context="in-cluster",
        in_cluster=True,
    )


def test_what_a_pod_may_lack_has_defaults() -> None:
    """Without ca.crt the system's roots, without a namespace `default`; IPv6 in brackets."""
    connection = in_cluster(
        {**ENVIRON, "KUBERNETES_SERVICE_HOST": "fd00::1"}, Files({f"{DIR}/token": "t"}).read
    )

    assert connection is not None
    assert connection.server == "https://[fd00::1]:443"
    assert (connection.ca, connection.namespace) == (None, "default")


def test_the_namespace_of_the_environment_wins() -> None:
    """$POD_NAMESPACE."""
    connection = in_cluster({**ENVIRON, "POD_NAMESPACE": "mine"}, Files(FILES).read)

    assert connection is not None
    assert connection.namespace == "mine"


@pytest.mark.parametrize(
    ("environ", "files"),
    [
        ({}, FILES),
        ({**ENVIRON, "KUBERNETES_SERVICE_PORT": ""}, FILES),
        (ENVIRON, {}),
        (ENVIRON, {f"{DIR}/token": IsADirectoryError(21, "Is a directory")}),
    ],
)
def test_outside_a_pod_there_is_none(
    environ: Mapping[str, str], files: Mapping[str, str | bytes | OSError]
) -> None:
    """Both variables and the token make a pod."""
    assert pod_namespace(environ, Files(files).read) is None
    assert in_cluster(environ, Files(files).read) is None


@pytest.mark.parametrize(
    ("environ", "files", "words"),
    [
        (ENVIRON, {f"{DIR}/token": ""}, f"user .* \\({DIR}/token\\): token: empty, or not a token"),
        (
            ENVIRON,
            {f"{DIR}/token": PermissionError(13, "Permission denied")},
            f"token: {DIR}/token: Permission denied",
        ),
        (
            {**ENVIRON, "KUBERNETES_SERVICE_PORT": "https"},
            FILES,
            r"cluster .* \(the environment\): server: no port behind its host",
        ),
        (
            {**ENVIRON, "HTTPS_PROXY": "ftp://p"},
            FILES,
            r"environment.proxy: HTTPS_PROXY names a proxy of the unknown scheme ftp://",
        ),
    ],
)
def test_a_broken_pod_says_so(
    environ: Mapping[str, str], files: Mapping[str, str | bytes | OSError], words: str
) -> None:
    """What was found where, and what was expected."""
    with pytest.raises(ConfigError, match="in-cluster configuration: .*" + words):
        in_cluster(environ, Files(files).read)


@pytest.mark.parametrize("ca", ["", "garbage", "garb\0ge", PermissionError(13, "no")])
def test_an_unusable_ca_is_left_out_and_told(
    ca: str | OSError, caplog: pytest.LogCaptureFixture
) -> None:
    """As by client-go, which then trusts the system's roots."""
    with caplog.at_level(logging.WARNING):
        connection = in_cluster(ENVIRON, Files({**FILES, f"{DIR}/ca.crt": ca}).read)

    assert connection is not None
    assert (connection.ca, connection.ca_path) == (None, None)
    assert "in-cluster-ca-unusable" in caplog.text


def test_a_ca_with_a_comment_in_any_language_is_usable() -> None:
    """Bundles are full of them."""
    ca = "# Kübernetes\n".encode() + ca_pem()
    connection = in_cluster(ENVIRON, Files({**FILES, f"{DIR}/ca.crt": ca}).read)

    assert connection is not None
    assert connection.ca == ca


def test_a_pod_may_have_a_proxy() -> None:
    """Of its environment."""
    connection = in_cluster({**ENVIRON, "HTTPS_PROXY": "p.test"}, Files(FILES).read)

    assert connection is not None
    assert connection.proxy == Proxy("http", "p.test", 80)
