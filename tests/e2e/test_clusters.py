"""Several clusters in one daemon: each command is answered from the one that its shell means."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Orka, write_atomically
from tests.e2e.processes import COMMAND_SECONDS
from tests.e2e.servers import CONFIGMAPS, RealServer, Server, kubeconfig_of, new_namespace

Two = tuple[Server, Server]


@pytest.fixture
def names(two_servers: Two) -> tuple[str, str]:
    """A namespace on each that the other does not have, with a ConfigMap called as it."""
    one, two = two_servers
    first, second = new_namespace(one), new_namespace(two)
    one.api.create(CONFIGMAPS, first, first)
    two.api.create(CONFIGMAPS, second, second)
    return first, second


def shown(orka: Orka, *args: str, **variables: str) -> set[str]:
    """The names that `ls` prints."""
    return {
        row[1]
        for row in orka.ctl("ls", "cm", "-A", *args, seconds=COMMAND_SECONDS, **variables).rows()
    }


def use_context(orka: Orka, servers: Two, current: int) -> None:
    """As `kubectl config use-context` does, and by it where there is one."""
    server = servers[current]
    if isinstance(server, RealServer):
        server.plane.kubectl("config", "use-context", server.context, kubeconfig=orka.kubeconfig)
    else:
        orka.use(*servers, current=current)


def test_context_flag_and_kubeconfig_variable_choose_the_cluster(
    orka: Orka, two_servers: Two, names: tuple[str, str]
) -> None:
    """One daemon holds both; neither --context nor $KUBECONFIG is answered from the other."""
    one, two = two_servers
    orka.use(one, two)
    orka.start()

    default = shown(orka)
    by_context = shown(orka, "--context", two.context)
    by_variable = shown(orka, KUBECONFIG=str(two.kubeconfig))
    by_list = shown(orka, KUBECONFIG=f"/nonexistent:{two.kubeconfig}:{one.kubeconfig}")
    by_flag = shown(orka, "--kubeconfig", str(two.kubeconfig))
    document = orka.ctl("ls", "cm", "-A", "--context", two.context, "-o", "json").json()
    status = orka.status()

    assert (names[0] in default, names[1] in default) == (True, False)
    for found in (by_context, by_variable, by_list, by_flag):
        assert (names[0] in found, names[1] in found) == (False, True)
    assert (document["truth"]["context"], document["truth"]["server"]) == (two.context, two.url)
    assert {cluster["server"] for cluster in status["clusters"]} == {one.url, two.url}
    assert len(status["clusters"]) == 2


def test_a_changed_current_context_is_followed_by_the_next_command_alone(
    orka: Orka, two_servers: Two, names: tuple[str, str]
) -> None:
    """A watch that runs stays with the cluster it asked for; the next command has the new one."""
    one, two = two_servers
    orka.use(one, two)
    orka.start()
    watch = orka.watch("cm", "--ns", names[0], "--initial")
    watch.record("ITEM", name=names[0])
    before = shown(orka)

    use_context(orka, two_servers, 1)
    after = shown(orka)
    one.api.touch(CONFIGMAPS, names[0], names[0])
    watch.record("MOD", name=names[0])
    use_context(orka, two_servers, 0)
    back = shown(orka)

    assert (names[0] in before, names[0] in after, names[0] in back) == (True, False, True)
    assert (names[1] in before, names[1] in after, names[1] in back) == (False, True, False)
    assert watch.record("SYNC")["truth"]["context"] == one.context


def test_two_contexts_of_one_server_and_user_share_a_cluster(
    orka: Orka, two_servers: Two, names: tuple[str, str]
) -> None:
    """`status` shows one cluster and one watch, and each answer the context it was asked with."""
    one, _ = two_servers
    entry = {"cluster": one.context.removesuffix("-admin"), "user": one.context}
    alias = {"name": "alias", "context": {**entry, "namespace": names[0]}}
    write_atomically(orka.kubeconfig, kubeconfig_of(one, context=alias))
    orka.start()

    first = orka.ctl("ls", "cm", "-A", "-o", "json").json()["truth"]
    second = orka.ctl("ls", "cm", "--context", "alias", "-o", "json").json()
    (cluster,) = orka.status()["clusters"]

    assert (first["context"], second["truth"]["context"]) == (one.context, "alias")
    assert [item["name"] for item in second["items"]] == [names[0]]
    assert cluster["upstream"]["watchlist"] == {"configmaps": 1}


def test_a_pinned_orkad_refuses_another_cluster_with_exit_2(
    orka: Orka, two_servers: Two, names: tuple[str, str]
) -> None:
    """It says which one it serves, and never answers from it what was asked of another."""
    one, two = two_servers
    orka.use(one, two)
    orka.start("--context", one.context)

    same = shown(orka)
    refused = [
        orka.ctl("ls", "cm", "-A", "--context", two.context),
        orka.ctl("watch", "cm", "-A", "--context", two.context),
        orka.ctl("discover", KUBECONFIG=str(two.kubeconfig)),
    ]
    use_context(orka, two_servers, 1)
    switched = orka.ctl("ls", "cm", "-A")

    assert names[0] in same
    for done in (*refused, switched):
        assert (done.returncode, done.stdout) == (2, "")
        assert one.context in done.stderr
        assert two.context in done.stderr


def test_one_clusters_end_is_not_the_others(
    orka: Orka, two_servers: Two, names: tuple[str, str]
) -> None:
    """While one API server is away, what is asked of the other is live."""
    one, two = two_servers
    orka.use(one, two)
    orka.start()
    first = orka.watch("cm", "--ns", names[0], "--initial")
    first.record("SYNCED")
    second = orka.watch("cm", "--ns", names[1], "--initial", "--context", two.context)
    second.record("SYNCED")
    seen = len(first.records())

    two.kill()
    try:
        stale = second.state("stale")
        one.api.touch(CONFIGMAPS, names[0], names[0])
        first.record("MOD", name=names[0])
    finally:
        two.start()

    second.state("live", 60, after=second.records().index(stale))
    assert [record["type"] for record in first.records()[seen:]] == ["MOD"]


def test_tokens_token_files_and_client_certificates_are_obeyed(
    orka: Orka, real_other_server: RealServer
) -> None:
    """Each kind of user of a kubeconfig reaches the real server, and is a cluster of its own."""
    plane = real_other_server.plane
    token = orka.folder / "token"
    token.write_text(real_other_server.api.token + "\n")
    users = {
        "file": {"tokenFile": "token"},  # relative to the kubeconfig
        "certificate": {
            "client-certificate": str(plane.directory / "pki" / "client.crt"),
            "client-key": str(plane.directory / "pki" / "client.key"),
        },
        "wrong": {"token": "not-a-token"},
    }
    tls: dict[str, dict[str, object]] = {
        "insecure": {"insecure-skip-tls-verify": True},
        "named": {"certificate-authority": str(plane.ca), "tls-server-name": "localhost"},
        "misnamed": {"certificate-authority": str(plane.ca), "tls-server-name": "other.test"},
        "untrusted": {},
    }
    orka.kubeconfig.write_text(variants(real_other_server, users, tls))
    orka.start()

    good = [
        orka.ctl("ls", "ns", "--context", context)
        for context in ("file", "certificate", "insecure", "named")
    ]
    cert = orka.ctl("ls", "ns", KUBECONFIG=str(plane.cert_kubeconfig))
    bad = {
        context: orka.ctl("ls", "ns", "--context", context)
        for context in ("wrong", "misnamed", "untrusted")
    }

    for done in (*good, cert):
        assert done.ok().stderr == ""
        assert "default" in done.stdout
    for done in bad.values():
        assert (done.returncode, done.stdout) == (1, "")
    assert "401" in bad["wrong"].stderr
    assert "other.test" in bad["misnamed"].stderr
    assert "certificate" in bad["untrusted"].stderr
    assert "not-a-token" not in "".join(done.stderr for done in bad.values())


def variants(
    server: RealServer, users: dict[str, dict[str, str]], tls: dict[str, dict[str, object]]
) -> str:
    """One context for each user and for each way of TLS."""
    import json

    ca: dict[str, object] = {"certificate-authority": str(server.plane.ca)}
    admin: dict[str, str] = {"token": server.api.token}
    names = [*((name, user, ca) for name, user in users.items())]
    names += [(name, admin, way) for name, way in tls.items()]
    return json.dumps(
        {
            "clusters": [
                {"name": name, "cluster": {"server": server.url, **way}} for name, _, way in names
            ],
            "users": [{"name": name, "user": user} for name, user, _ in names],
            "contexts": [
                {"name": name, "context": {"cluster": name, "user": name}} for name, _, _ in names
            ],
        }
    )
