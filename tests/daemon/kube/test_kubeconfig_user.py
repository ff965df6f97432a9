"""User entries."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orka.daemon.kube.connection import (
    Basic,
    CertificateFiles,
    ClientCertificate,
    Credentials,
    ExecPlugin,
    Impersonation,
    StaticToken,
    TokenFile,
)
from orka.daemon.kube.kubeconfig_entry import Checked
from orka.daemon.kube.kubeconfig_fields import (
    AuthProviderFields,
    Base64,
    EnvVar,
    ExecFields,
    UserFields,
)
from orka.daemon.kube.kubeconfig_user import V1, V1ALPHA1, V1BETA1, credentials_of
from tests.support.kubeconfigs import Files

FILES = {"/kc/crt": "CERT", "/kc/key": "KEY", "/kc/token": "f1le\n", "/kc/empty": " \n"}
EXEC = ExecFields(command="aws", api_version=V1, interactive_mode="Never")
PLUGIN = ExecPlugin("aws", interactive_mode="Never")
DATA = Base64(b"DATA")


def credentials(
    fields: UserFields, *, tls: bool = True, in_url: Basic | None = None
) -> tuple[Credentials, list[str]]:
    """What the fields come to, and their problems without the entry's name."""
    checked = Checked("user", "u", "/kc/config", Files(FILES).read)
    found = credentials_of(checked, fields, tls=tls, in_url=in_url, cluster_info=lambda: "{}")
    return found, [problem.partition(": ")[2] for problem in checked.problems]


def obeyed(fields: UserFields, *, tls: bool = True, in_url: Basic | None = None) -> Credentials:
    """Without problems."""
    found, problems = credentials(fields, tls=tls, in_url=in_url)
    assert problems == []
    return found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (UserFields(), Credentials()),
        (UserFields(token="t0ken\n"), Credentials(StaticToken("t0ken"))),
        (UserFields(token_file="token"), Credentials(TokenFile("/kc/token"))),
        (UserFields(token="t", token_file="later"), Credentials(TokenFile("/kc/later", "t"))),
        (UserFields(username="u"), Credentials(basic=Basic("u", ""))),
        (UserFields(password="p"), Credentials()),
        (UserFields(password="p", token_file="token"), Credentials(TokenFile("/kc/token"))),
        (
            UserFields(client_certificate="crt", client_key="key"),
            Credentials(certificate=CertificateFiles("/kc/crt", "/kc/key")),
        ),
        (
            UserFields(client_certificate="crt", client_key_data=DATA),
            Credentials(certificate=ClientCertificate(b"CERT", b"DATA")),
        ),
        (
            UserFields(client_certificate_data=DATA, client_key="key", token="t"),
            Credentials(StaticToken("t"), certificate=ClientCertificate(b"DATA", b"KEY")),
        ),
        (UserFields(client_key="gone", client_key_data=DATA), Credentials()),
        (
            UserFields(username="u", client_certificate="crt", client_key="key"),
            Credentials(basic=Basic("u", ""), certificate=CertificateFiles("/kc/crt", "/kc/key")),
        ),
        (UserFields(exec=EXEC), Credentials(plugin=PLUGIN)),
        (UserFields(exec=EXEC, token="t"), Credentials(StaticToken("t"))),
        (UserFields(exec=EXEC, token_file="token"), Credentials(TokenFile("/kc/token"))),
        (UserFields(exec=EXEC, username="u"), Credentials(basic=Basic("u", ""))),
        (UserFields(exec=EXEC, password="p"), Credentials(plugin=PLUGIN)),
        (
            UserFields(exec=EXEC, client_certificate_data=DATA, client_key_data=DATA),
            Credentials(certificate=ClientCertificate(b"DATA", b"DATA")),
        ),
        (
            UserFields(impersonate="a", as_uid="1", as_groups=["g", None], as_user_extra={}),
            Credentials(impersonation=Impersonation("a", "1", ("g", ""))),
        ),
        (
            UserFields(impersonate="a", as_user_extra={"z": ["1", None], "b": None}),
            Credentials(impersonation=Impersonation("a", extra=(("b", ()), ("z", ("1", ""))))),
        ),
    ],
)
def test_fields_become_credentials(fields: UserFields, expected: Credentials) -> None:
    """A plugin is asked only where there is nothing else; a password alone is nothing."""
    assert obeyed(fields) == expected


def test_over_plain_http_nobody_is_told_who_we_are() -> None:
    """But whom we act as; and what would be refused is not needed, so not refused."""
    fields = UserFields(
        token="a b",
        token_file="gone",
        exec=ExecFields(command="aws", api_version=V1ALPHA1),
        impersonate="jane",
    )
    assert obeyed(fields, tls=False) == Credentials(impersonation=Impersonation("jane"))
    assert obeyed(UserFields(auth_provider=AuthProviderFields("gcp")), tls=False) == Credentials()


def test_a_user_in_the_servers_url_is_sent_instead() -> None:
    """As Go's HTTP client does, over http:// too."""
    in_url = Basic("me", "pw")

    for fields in (UserFields(token="t"), UserFields(username="u"), UserFields(exec=EXEC)):
        for tls in (True, False):
            assert obeyed(fields, tls=tls, in_url=in_url) == Credentials(basic=in_url)


@pytest.mark.parametrize(
    ("exec_fields", "plugin"),
    [
        (ExecFields("bin/x", [], [], V1BETA1), ExecPlugin("/kc/bin/x", api_version=V1BETA1)),
        (ExecFields("../x", interactive_mode="Always", api_version=V1), None),
        (ExecFields("/a//b", interactive_mode="IfAvailable", api_version=V1), ExecPlugin("/a/b")),
        (
            ExecFields(
                "x",
                ["a", None],
                [EnvVar("N", "v"), EnvVar("M")],
                V1,
                "get \x1b[1mit\n",
                provide_cluster_info=True,
                interactive_mode="Never",
            ),
            ExecPlugin(
                "x", ("a", ""), (("N", "v"), ("M", "")), V1, "Never", "{}", "get U+001B[1mit\n"
            ),
        ),
    ],
)
def test_plugins(exec_fields: ExecFields, plugin: ExecPlugin | None) -> None:
    """A command with a slash is a path; the hint moves no cursor."""
    plugin = plugin or ExecPlugin("/x", interactive_mode="Always")

    assert obeyed(UserFields(exec=exec_fields)) == Credentials(plugin=plugin)


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        (UserFields(token="a b"), ["token: holds characters that no token has"]),
        (UserFields(token_file="gone"), ["tokenFile: /kc/gone: No such file"]),
        (UserFields(token_file="empty"), ["tokenFile: /kc/empty: empty, or not a token"]),
        (
            UserFields(token="t", password="p"),
            ["token: given together with username/password"],
        ),
        (
            UserFields(token_file="token", username="u"),
            ["token: given together with username/password"],
        ),
        (
            UserFields(client_certificate_data=DATA),
            ["client-key: missing beside the client-certificate"],
        ),
        (
            UserFields(client_certificate="crt", client_certificate_data=DATA, client_key="gone"),
            ["client-certificate: given together with", "client-key: /kc/gone: No such file"],
        ),
        (UserFields(as_uid="1"), ["as-uid: given without the user to act as: as"]),
        (UserFields(as_groups=["g"]), ["as-groups: given without"]),
        (UserFields(as_user_extra={"a": ["b"]}), ["as-user-extra: given without"]),
        (
            UserFields(exec=ExecFields(env=[EnvVar("", "v")])),
            [
                "exec.command: missing",
                "exec.apiVersion: missing, expected client",
                "exec.env: a variable without a name",
                "exec.interactiveMode: missing, expected one of Never, IfAvailable, Always",
            ],
        ),
        (UserFields(exec=ExecFields("x", env=[None], api_version=V1BETA1)), ["exec.env: a variab"]),
        (
            UserFields(exec=ExecFields("x", api_version=V1, interactive_mode="Sometimes")),
            ["exec.interactiveMode: expected one of"],
        ),
        (UserFields(exec=ExecFields("x", api_version=V1ALPHA1)), ["exec.apiVersion: expected"]),
        (
            UserFields(token="t", exec=ExecFields("x", api_version="v1", interactive_mode="Never")),
            ["exec.apiVersion: expected client.authentication.k8s.io/v1 or"],
        ),
        (
            UserFields(exec=EXEC, auth_provider=AuthProviderFields("gcp")),
            ["auth-provider: given together with exec"],
        ),
        (
            UserFields(token="t", auth_provider=AuthProviderFields("gcp")),
            ["auth-provider: the gcp auth plugin has been removed, use the exec plugin gke-gcloud"],
        ),
        (
            UserFields(auth_provider=AuthProviderFields("azure")),
            ["auth-provider: the azure auth plugin has been removed, use the exec plugin kube"],
        ),
        (
            UserFields(auth_provider=AuthProviderFields("oidc")),
            ["auth-provider: orka does not refresh OpenID tokens, which means writing to your"],
        ),
        (
            UserFields(auth_provider=AuthProviderFields()),
            ['auth-provider: no Auth Provider found for name ""'],
        ),
    ],
)
def test_a_user_that_cannot_be_used(fields: UserFields, problems: Sequence[str]) -> None:
    """All problems, each with its field and what was expected."""
    found = credentials(fields)[1]

    assert len(found) == len(problems), found
    assert all(one.startswith(words) for one, words in zip(found, problems, strict=True)), found


@pytest.mark.parametrize(
    "fields",
    [
        UserFields(token="t", username="u"),
        UserFields(exec=ExecFields("x", api_version=V1)),
        UserFields(as_uid="1"),
        UserFields(client_certificate="gone", client_key="key"),
    ],
)
def test_over_plain_http_what_is_wrong_in_any_case_is_still_told(fields: UserFields) -> None:
    """As client-go does, which checks these before it looks at the server."""
    assert len(credentials(fields, tls=False)[1]) == 1
