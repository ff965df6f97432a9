"""A target to its Connection, as kubectl would find it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from orka.daemon.kube.connection import (
    CertificateFiles,
    ClientCertificate,
    Connection,
    Credentials,
    Proxy,
    StaticToken,
    TokenFile,
)
from orka.daemon.kube.kubeconfig import load
from orka.proto.errors import ConfigError
from orka.proto.messages import Target
from tests.support.kubeconfigs import HOME, Files, default_target, kubeconfig

POD_ENVIRON = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
POD_FILES = {"/var/run/secrets/kubernetes.io/serviceaccount/token": "pod-token"}


def loaded(text: str, files: Mapping[str, str | bytes] | None = None) -> Connection:
    """The connection of a single kubeconfig in the home directory."""
    return load(default_target(), {}, read=Files({HOME: text, **(files or {})}).read)


def refused(text: str, files: Mapping[str, str | bytes] | None = None) -> str:
    """The message of the ConfigError that loading gives."""
    with pytest.raises(ConfigError) as caught:
        loaded(text, files)
    return caught.value.message


def b64(content: bytes) -> str:
    """Base64 with line breaks, as some tools write it."""
    return base64.encodebytes(content).decode()


def test_a_context_becomes_a_connection() -> None:
    """Every field that orka obeys."""
    connection = loaded(
        kubeconfig(
            cluster={
                "server": "https://api.test:6443/k8s/clusters/c-1/?x=1#y",
                "certificate-authority-data": b64(b"CA" * 50),
                "tls-server-name": "kube",
                "disable-compression": True,
            },
            user={
                "client-certificate-data": b64(b"CERT"),
                "client-key-data": b64(b"KEY"),
                "token": "t0ken",
            },
            context={"namespace": "shop"},
        )
    )

    assert connection == Connection(
        server="https://api.test:6443",
        path_prefix="/k8s/clusters/c-1",
        ca=b"CA" * 50,
        tls_server_name="kube",
        credentials=Credentials(
            StaticToken("t0ken"), certificate=ClientCertificate(b"CERT", b"KEY")
        ),
        namespace="shop",
        context="dev",
        user="u",
        cluster="c",
        disable_compression=True,
    )


def test_relative_paths_begin_at_the_file_that_names_them() -> None:
    """Also when that file is not the first one."""
    text = kubeconfig(
        cluster={"server": "https://api.test", "certificate-authority": "pki/ca.crt"},
        user={
            "client-certificate": "../u.crt",
            "client-key": "/abs/u.key",
            "tokenFile": "token",
        },
    )
    files = Files(
        {
            "/other/config": "",
            "/team/kc/config": text,
            "/team/kc/pki/ca.crt": "CA",
            "/team/u.crt": "CERT",
            "/abs/u.key": "KEY",
            "/team/kc/token": "t0ken\n",
        }
    )
    connection = load(Target("env", ("/other/config", "/team/kc/config")), {}, read=files.read)

    assert (connection.ca, connection.ca_path) == (b"CA", "/team/kc/pki/ca.crt")
    assert connection.credentials == Credentials(
        TokenFile("/team/kc/token"),
        certificate=CertificateFiles("/team/u.crt", "/abs/u.key"),
    )


def test_the_token_file_wins_and_the_token_is_its_fallback() -> None:
    """With a token beside it the file need not be there yet."""
    connection = loaded(kubeconfig(user={"token": "t0ken", "tokenFile": "/later"}))

    assert connection.credentials.token == TokenFile("/later", "t0ken")


@pytest.mark.parametrize(
    ("server", "expected", "prefix"),
    [
        ("https://api.test", "https://api.test", ""),
        ("https://API.test:443/", "https://api.test:443", ""),
        ("http://[fd00::1]:8080/x/", "http://[fd00::1]:8080", "/x"),
        ("localhost:8080", "http://localhost:8080", ""),
    ],
)
def test_server_urls(server: str, expected: str, prefix: str) -> None:
    """Scheme, host and port; the path goes before every request."""
    connection = loaded(kubeconfig(cluster={"server": server}))

    assert (connection.server, connection.path_prefix) == (expected, prefix)


@pytest.mark.parametrize("context", [{"user": None}, {"user": "nobody"}])
def test_a_context_without_a_known_user_is_anonymous(context: Mapping[str, object]) -> None:
    """No error, as in kubectl."""
    assert loaded(kubeconfig(context=context)).credentials == Credentials()


def test_insecure_servers_are_taken_as_they_are() -> None:
    """`insecure-skip-tls-verify` without a CA."""
    cluster = {"server": "https://api.test", "insecure-skip-tls-verify": True}

    assert loaded(kubeconfig(cluster=cluster)).insecure


def test_only_the_selected_context_is_checked() -> None:
    """A plugin in another context is none of our business."""
    other = kubeconfig(user={"exec": {"apiVersion": "v1"}}).replace('"dev"', '"other"')
    other = other.replace('"name": "u"', '"name": "u2"').replace('"user": "u"', '"user": "u2"')
    files = Files({"/1": kubeconfig(), "/2": other})

    connection = load(Target("env", ("/1", "/2")), {}, read=files.read)
    assert connection.context == "dev"
    with pytest.raises(ConfigError, match=r"exec\.command: missing"):
        load(Target("env", ("/1", "/2"), context="other"), {}, read=files.read)


def test_all_problems_of_the_context_come_together() -> None:
    """One run, one list to fix."""
    message = refused(
        kubeconfig(
            cluster={
                "server": "https://api.test",
                "proxy-url": "ftp://proxy.test",
                "certificate-authority": "/ca.crt",
                "certificate-authority-data": "QQ==",
            },
            user={"client-certificate": "/gone.crt", "client-key": "/gone.key", "token": "a b"},
        )
    )

    assert message.count("; ") == 4
    for words in (
        "proxy-url: expected http://, https:// or socks5://, not ftp://",
        "certificate-authority: given together with certificate-authority-data",
        "client-certificate: /gone.crt: No such file or directory",
        "client-key: /gone.key: No such file or directory",
        "token: holds characters that no token has",
    ):
        assert words in message


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"cluster": "gone"}, 'context "dev" (/home/me/.kube/config): cluster: "gone" is not'),
        ({"cluster": None}, 'context "dev" (/home/me/.kube/config): cluster: missing'),
        ({"cluster": None, "user": "gone"}, "config): cluster: missing"),
    ],
)
def test_a_context_without_its_cluster(context: Mapping[str, object], words: str) -> None:
    """Never a guessed server."""
    assert words in refused(kubeconfig(context=context))


def test_an_unknown_context_names_the_known_ones() -> None:
    """Whether it was asked for or is the current one."""
    files = Files({HOME: kubeconfig(current="old")})
    for target, said in (
        (default_target(context="prod"), 'context "prod" does not exist in /home/me'),
        (default_target(), 'current-context "old" does not exist in /home/me'),
    ):
        with pytest.raises(ConfigError) as caught:
            load(target, {}, read=files.read)

        assert caught.value.message.startswith(said)
        assert caught.value.hint == "contexts there: dev"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target("flag", ("/gone",)), "kubeconfig /gone not found"),
        (Target("env", ("/gone", "/away")), "kubeconfig not found: /gone, /away"),
        (Target("default", ("/gone",)), "kubeconfig not found: /gone"),
        (Target("env", ()), "no kubeconfig is named, and this is not a pod"),
        (Target("env", ("/gone", "/empty")), "kubeconfig /empty has no contexts"),
        (Target("flag", ("/unset",)), "no context is selected: current-context is empty in /unset"),
        (Target("env", ("/gone",), "x"), 'context "x" does not exist in /gone (not found)'),
        (Target("env", (), "x"), 'context "x" does not exist in no kubeconfig at all'),
    ],
)
def test_missing_empty_and_unset_are_told_apart(target: Target, words: str) -> None:
    """Each has its own words."""
    files = Files({"/empty": "", "/unset": kubeconfig(current=None)})
    with pytest.raises(ConfigError) as caught:
        load(target, {}, read=files.read)

    assert words in caught.value.message


def test_a_pod_is_used_only_where_the_kubeconfig_says_nothing() -> None:
    """Kubeconfig first; an error in it is not papered over."""
    files = Files({HOME: kubeconfig(), **POD_FILES})

    assert load(default_target(), POD_ENVIRON, read=files.read).context == "dev"
    assert load(default_target("/gone"), POD_ENVIRON, read=files.read).in_cluster
    with pytest.raises(ConfigError):
        load(default_target(context="prod"), POD_ENVIRON, read=files.read)
    with pytest.raises(ConfigError):
        load(Target("flag", ("/gone",)), POD_ENVIRON, read=files.read)


def test_problems_of_the_user_come_with_those_of_a_cluster_that_is_not_there() -> None:
    """One run, one list to fix."""
    message = refused(kubeconfig(user={"as-uid": "1"}, context={"cluster": "gone"}))

    assert 'cluster "gone" (): server: "gone" is not defined; user "u" (/home/me/' in message
    assert "as-uid: given without the user to act as: as" in message


def test_a_context_never_becomes_the_pods_own_cluster() -> None:
    """Though it would for client-go, where the context's cluster is not defined."""
    files = Files({HOME: kubeconfig(context={"cluster": "gone"}), **POD_FILES})

    with pytest.raises(ConfigError, match='"gone" is not defined'):
        load(default_target(), POD_ENVIRON, read=files.read)


def test_a_pods_namespace_is_the_default_of_its_kubeconfig() -> None:
    """As for kubectl; a context that names one keeps it."""
    environ = {**POD_ENVIRON, "POD_NAMESPACE": "mine"}
    files = Files({HOME: kubeconfig(), **POD_FILES})
    assert load(default_target(), environ, read=files.read).namespace == "mine"

    files = Files({HOME: kubeconfig(context={"namespace": "default"}), **POD_FILES})
    assert load(default_target(), environ, read=files.read).namespace == "default"


def test_entries_without_a_name_are_used_without_a_context() -> None:
    """An empty context means the cluster and the user of the empty name, as in client-go."""
    text = kubeconfig(current=None).replace('"name": "c"', '"name": ""')
    connection = loaded(text.replace('"name": "u"', '"name": ""').replace('"dev"', '"x"'))

    assert (connection.server, connection.context) == ("https://api.test:6443", "")
    assert connection.credentials == Credentials(StaticToken("t0ken"))


def test_the_daemons_own_environment_says_which_proxy() -> None:
    """Since it is the daemon that connects."""
    files = Files({HOME: kubeconfig()})
    environ = {"HTTPS_PROXY": "http://proxy.test:3128"}

    assert load(default_target(), environ, read=files.read).proxy == Proxy(
        "http", "proxy.test", 3128
    )
