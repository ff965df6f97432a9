"""A target to its Connection, as kubectl would find it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from orka.daemon.kube.connection import (
    ClientCertificate,
    Connection,
    Credentials,
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
        credentials=Credentials(StaticToken("t0ken"), ClientCertificate(b"CERT", b"KEY")),
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
            "/team/kc/../u.crt": "CERT",
            "/abs/u.key": "KEY",
            "/team/kc/token": "t0ken\n",
        }
    )
    connection = load(Target("env", ("/other/config", "/team/kc/config")), {}, read=files.read)

    assert connection.ca == b"CA"
    assert connection.credentials == Credentials(
        TokenFile("/team/kc/token"), ClientCertificate(b"CERT", b"KEY")
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


def test_no_credentials_go_over_plain_http() -> None:
    """As in kubectl; so what would be refused is not needed there, and not refused."""
    connection = loaded(
        kubeconfig(
            cluster={"server": "http://localhost:8001"},
            user={"token": "t0ken", "exec": {}, "auth-provider": {}, "username": "x"},
        )
    )

    assert connection.credentials == Credentials()


@pytest.mark.parametrize("context", [{"user": None}, {"user": "nobody"}])
def test_a_context_without_a_known_user_is_anonymous(context: Mapping[str, object]) -> None:
    """No error, as in kubectl."""
    assert loaded(kubeconfig(context=context)).credentials == Credentials()


def test_insecure_servers_are_taken_as_they_are() -> None:
    """`insecure-skip-tls-verify` without a CA."""
    cluster = {"server": "https://api.test", "insecure-skip-tls-verify": True}

    assert loaded(kubeconfig(cluster=cluster)).insecure


@pytest.mark.parametrize(
    ("user", "field"),
    [
        ({"exec": {"command": "aws"}}, 'user "u" (/home/me/.kube/config): exec: '),
        ({"auth-provider": {"name": "oidc"}, "token": "x"}, "auth-provider: "),
        ({"username": "a", "password": "b"}, "username/password: "),
        ({"as": "root", "token": "x"}, "as: impersonation "),
        ({"as-uid": "1"}, "as-uid: "),
        ({"as-groups": ["g"]}, "as-groups: "),
        ({"as-user-extra": {"a": ["b"]}}, "as-user-extra: "),
    ],
)
def test_what_orka_cannot_do_yet_is_refused_by_name(user: Mapping[str, object], field: str) -> None:
    """File, entry and field; never half-obeyed."""
    message = refused(kubeconfig(user=user))

    assert message.startswith('context "dev": user "u" (/home/me/.kube/config): ')
    assert field in message


def test_a_proxy_is_refused_by_name() -> None:
    """Going around it would reach another server, or none."""
    cluster = {"server": "https://api.test", "proxy-url": "http://proxy:3128"}

    assert 'cluster "c" (/home/me/.kube/config): proxy-url: ' in refused(
        kubeconfig(cluster=cluster)
    )


def test_only_the_selected_context_is_checked() -> None:
    """A plugin in another context is none of our business."""
    other = kubeconfig(user={"exec": {"command": "aws"}}).replace('"dev"', '"other"')
    other = other.replace('"name": "u"', '"name": "u2"').replace('"user": "u"', '"user": "u2"')
    files = Files({"/1": kubeconfig(), "/2": other})

    connection = load(Target("env", ("/1", "/2")), {}, read=files.read)
    assert connection.context == "dev"
    with pytest.raises(ConfigError, match="exec"):
        load(Target("env", ("/1", "/2"), context="other"), {}, read=files.read)


def test_a_plugin_beside_another_credential_is_not_asked() -> None:
    """As in kubectl."""
    connection = loaded(kubeconfig(user={"exec": {"command": "aws"}, "token": "t0ken"}))

    assert connection.credentials == Credentials(StaticToken("t0ken"))


def test_all_problems_of_the_context_come_together() -> None:
    """One run, one list to fix."""
    message = refused(
        kubeconfig(
            cluster={
                "server": "ftp://api.test",
                "certificate-authority": "/ca.crt",
                "certificate-authority-data": "QQ==",
            },
            user={"client-certificate-data": "?", "client-key": "/gone.key", "token": "a b"},
        )
    )

    assert message.count("; ") == 4
    for words in (
        "server: ftp:// is neither http:// nor https://",
        "certificate-authority: given together with certificate-authority-data",
        "client-certificate-data: not base64",
        "client-key: /gone.key: No such file or directory",
        "token: holds characters that no token has",
    ):
        assert words in message


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ({"server": ""}, "server: missing"),
        ({"server": "https://"}, "server: not a URL with a host"),
        ({"server": "https://a b"}, "server: not a URL with a host"),
        ({"server": "https://[::1"}, "server: not a URL: "),
        ({"server": "https://api:http"}, "server: not a URL: "),
        ({"server": "https://u:p@api"}, "server: a user in the URL is not supported"),
        (
            {
                "server": "https://api",
                "certificate-authority-data": "QQ==",
                "insecure-skip-tls-verify": True,
            },
            "insecure-skip-tls-verify: given together with a certificate-authority",
        ),
    ],
)
def test_a_cluster_that_cannot_be_used(cluster: Mapping[str, object], words: str) -> None:
    """The field is named."""
    assert words in refused(kubeconfig(cluster=cluster))


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"client-certificate-data": "QQ=="}, "client-key: missing beside"),
        ({"tokenFile": "/empty"}, "tokenFile: /empty: empty, or not a token"),
        ({"tokenFile": "/gone"}, "tokenFile: /gone: No such file"),
    ],
)
def test_a_user_that_cannot_be_used(user: Mapping[str, object], words: str) -> None:
    """The field is named."""
    assert words in refused(kubeconfig(user=user), {"/empty": " \n"})


def test_a_key_without_a_certificate_is_no_credential() -> None:
    """Kubectl does not mind it, so we do not either."""
    assert loaded(kubeconfig(user={"client-key-data": "QQ=="})).credentials == Credentials()


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"cluster": "gone"}, 'context "dev" (/home/me/.kube/config): cluster: "gone" is not'),
        ({"cluster": None}, 'context "dev" (/home/me/.kube/config): cluster: missing'),
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
