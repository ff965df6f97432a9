"""A pod's own service account."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from orka.daemon.kube.connection import Connection, Credentials, TokenFile
from orka.daemon.kube.in_cluster import in_cluster
from orka.proto.errors import ConfigError
from tests.support.kubeconfigs import Files

DIR = "/var/run/secrets/kubernetes.io/serviceaccount"
ENVIRON = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
FILES = {f"{DIR}/token": "t0ken", f"{DIR}/ca.crt": "CA", f"{DIR}/namespace": "shop\n"}


def test_a_pod_has_a_connection() -> None:
    """Server from the environment, the rest from the mounted files."""
    assert in_cluster(ENVIRON, Files(FILES).read) == Connection(
        server="https://10.0.0.1:443",
        ca=b"CA",
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
    ],
)
def test_outside_a_pod_there_is_none(environ: Mapping[str, str], files: Mapping[str, str]) -> None:
    """Both variables and the token make a pod."""
    assert in_cluster(environ, Files(files).read) is None


@pytest.mark.parametrize(
    ("environ", "files"),
    [
        (ENVIRON, {f"{DIR}/token": ""}),
        ({**ENVIRON, "KUBERNETES_SERVICE_PORT": "https"}, FILES),
    ],
)
def test_a_broken_pod_says_so(environ: Mapping[str, str], files: Mapping[str, str]) -> None:
    """A token file without a token, a port that is none."""
    with pytest.raises(ConfigError, match="in-cluster configuration"):
        in_cluster(environ, Files(files).read)
