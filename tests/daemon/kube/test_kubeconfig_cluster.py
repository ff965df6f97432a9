"""Cluster entries."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from orka.daemon.kube.connection import Proxy
from orka.daemon.kube.kubeconfig_cluster import ClusterPart, cluster_info, cluster_part
from orka.daemon.kube.kubeconfig_entry import Checked
from orka.daemon.kube.kubeconfig_fields import Base64, ClusterFields, Extension
from tests.support.kubeconfigs import Files

FILES = {"/kc/ca.crt": "CA"}


def part_of(
    fields: ClusterFields, environ: Mapping[str, str] | None = None
) -> tuple[ClusterPart, list[str]]:
    """What the fields come to, and their problems without the entry's name."""
    checked = Checked("cluster", "c", "/kc/config", Files(FILES).read)
    part = cluster_part(checked, fields, environ or {})
    return part, [problem.partition(": ")[2] for problem in checked.problems]


def obeyed(fields: ClusterFields) -> ClusterPart:
    """Without problems."""
    part, problems = part_of(fields)
    assert problems == []
    return part


def test_every_field_is_obeyed() -> None:
    """Over https://."""
    part = obeyed(
        ClusterFields(
            server="https://Api.test:6443/x",
            certificate_authority="ca.crt",
            tls_server_name="kube",
            proxy_url="socks5://proxy.test",
        )
    )

    assert (part.server, part.url.prefix, part.tls) == ("https://api.test:6443", "/x", True)
    assert (part.ca, part.ca_path) == (b"CA", "/kc/ca.crt")
    assert part.tls_server_name == "kube"
    assert part.proxy == Proxy("socks5", "proxy.test", 1080)


def test_data_comes_from_no_file() -> None:
    """So there is none to look at again."""
    part = obeyed(ClusterFields(server="https://a", certificate_authority_data=Base64(b"CA")))

    assert (part.ca, part.ca_path) == (b"CA", None)


def test_nothing_of_tls_counts_over_plain_http() -> None:
    """Nor is it an error there."""
    part = obeyed(
        ClusterFields(
            server="a:1",
            certificate_authority="ca.crt",
            insecure_skip_tls_verify=True,
            tls_server_name="kube",
        )
    )

    assert part == ClusterPart(part.url)
    assert (part.server, part.tls) == ("http://a:1", False)


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        (ClusterFields(), ["server: missing"]),
        (ClusterFields(server="https://a b"), ["server: not a URL with a host: a character in"]),
        (ClusterFields(server="ftp://a"), ["server: ftp:// is neither http:// nor https://"]),
        (
            ClusterFields(server="http://a", proxy_url="ftp://p"),
            ["proxy-url: expected http://, https:// or socks5://, not ftp://"],
        ),
        (
            ClusterFields(
                server="https://a",
                certificate_authority="ca.crt",
                certificate_authority_data=Base64(b"CA"),
                insecure_skip_tls_verify=True,
            ),
            [
                "certificate-authority: given together with certificate-authority-data",
                "insecure-skip-tls-verify: given together with a certificate-authority",
            ],
        ),
        (
            ClusterFields(server="http://a", certificate_authority="gone"),
            ["certificate-authority: /kc/gone: No such file"],
        ),
    ],
)
def test_a_cluster_that_cannot_be_used(fields: ClusterFields, problems: list[str]) -> None:
    """All problems, each with its field and what was expected."""
    found = part_of(fields)[1]

    assert len(found) == len(problems)
    assert all(one.startswith(words) for one, words in zip(found, problems, strict=True))


def test_a_proxy_of_the_environment_that_cannot_be_used() -> None:
    """It is a problem of the cluster that would need it."""
    problems = part_of(ClusterFields(server="https://a"), {"HTTPS_PROXY": "ftp://p"})[1]

    assert problems == ["environment.proxy: HTTPS_PROXY names a proxy of the unknown scheme ftp://"]


def told(fields: ClusterFields, environ: Mapping[str, str] | None = None) -> object:
    """What a plugin is told."""
    return json.loads(cluster_info(fields, part_of(fields, environ)[0]))


def test_a_plugin_is_told_of_its_cluster() -> None:
    """The contents of the CA's file, and the config that is meant for it."""
    fields = ClusterFields(
        server="https://Api.test/x/?q",
        certificate_authority="ca.crt",
        tls_server_name="kube",
        proxy_url="HTTP://u:p@Proxy.test/",
        disable_compression=True,
        extensions=[
            None,
            Extension("other", 1),
            Extension("client.authentication.k8s.io/exec", {"audience": "a"}),
        ],
    )

    assert told(fields) == {
        "server": "https://Api.test/x/",
        "tls-server-name": "kube",
        "certificate-authority-data": "Q0E=",
        "proxy-url": "http://u:p@Proxy.test/",
        "disable-compression": True,
        "config": {"audience": "a"},
    }


def test_a_plugin_is_told_nothing_that_is_not_there() -> None:
    """Only `config` is there in any case; no proxy of the environment, as in client-go."""
    fields = ClusterFields(server="https://a.test", insecure_skip_tls_verify=True)

    assert told(fields, {"HTTPS_PROXY": "p.test"}) == {
        "server": "https://a.test",
        "insecure-skip-tls-verify": True,
        "config": None,
    }
