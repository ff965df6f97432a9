"""What cannot be obeyed: each gets one clear line and its exit status, and breaks nothing."""

from __future__ import annotations

import json
import socket
from functools import partial

import pytest

from orka.proto.frames import frame
from orka.proto.messages import Hello, encode
from orka.proto.names import CLIENT_FRAME_MAX_BYTES
from tests.e2e.harness import Orka, write_atomically
from tests.e2e.servers import CERTIFICATES, Server, fake_server


@pytest.mark.parametrize(
    ("flags", "variables", "said"),
    [
        (("--queue-cap", "0"), {}, "--queue-cap 0"),
        (("--queue-cap", "abc"), {}, "--queue-cap abc"),
        ((), {"ORKA_QUEUE_CAP": "0"}, "ORKA_QUEUE_CAP 0"),
        ((), {"ORKA_QUEUE_CAP": "many"}, "ORKA_QUEUE_CAP many"),
        (("--relist-secs", "-1"), {}, "--relist-secs -1"),
        ((), {"ORKA_RELIST_SECS": "soon"}, "ORKA_RELIST_SECS soon"),
        (("--idle-secs", "nan"), {}, "--idle-secs nan"),
        ((), {"ORKA_LOG": "info,orka.kube=loud"}, "ORKA_LOG info,orka.kube=loud"),
        (("--log-format", "xml"), {}, "xml"),
        (("--nonsense",), {}, "--nonsense"),
        (("--socket", f"/tmp/{'x' * 120}"), {}, "x" * 120),
    ],
)
def test_a_bad_setting_is_a_usage_error_that_names_it(
    orka: Orka, flags: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    """Exit 2 with one line that has the name and the value, and nothing was started."""
    done = orka.orkad(*flags, **variables)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not orka.socket.exists()


def test_a_bad_setting_is_said_before_orkad_goes_to_the_background(orka: Orka) -> None:
    """The same line on the same stderr, and no log to look for it in."""
    done = orka.orkad("--background", "--queue-cap", "0")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "orkad: --queue-cap 0: expected a whole number of at least 1\n"
    assert not orka.socket.with_suffix(".log").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("ls",), "kind"),
        (("ls", "cert", "--timeout", "-1"), "--timeout"),
        (("ls", "cert", "--max-age", "young"), "--max-age"),
        (("ls", "cert", "-o", "yaml"), "yaml"),
        (("ls", "cert", "--ns", ""), "--ns"),
        (("watch", "cert", "-o", "name"), "name"),
        (("nonsense",), "nonsense"),
    ],
)
def test_bad_usage_of_orkactl_exits_2_and_names_the_flag(
    orka: Orka, args: tuple[str, ...], said: str
) -> None:
    """One line that says what is wrong; no orkad is needed to say it."""
    done = orka.ctl(*args)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.lower()
    assert "Traceback" not in done.stderr


CONTEXT = {"name": "dev", "context": {"cluster": "dev", "user": "dev"}}
KUBECONFIGS = {
    "missing": (None, "not found"),
    "empty": ("", "has no contexts"),
    "broken YAML": ("clusters: [", "kubeconfig"),
    "no YAML at all": ("\x00\x01", "kubeconfig"),
    "a list": ("[1, 2]", "kubeconfig"),
    "unknown current-context": ("current-context: prod\n", '"prod" does not exist'),
    "no server": (
        json.dumps({"current-context": "dev", "contexts": [CONTEXT], "clusters": []}),
        '"dev" is not defined',
    ),
    "dead server": (
        json.dumps(
            {
                "current-context": "dev",
                "contexts": [CONTEXT],
                "clusters": [{"name": "dev", "cluster": {"server": "http://127.0.0.1:1"}}],
            }
        ),
        "127.0.0.1:1",
    ),
    "a credential plugin": (
        json.dumps(
            {
                "current-context": "dev",
                "contexts": [CONTEXT],
                "clusters": [{"name": "dev", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "dev", "user": {"exec": {"command": "get-token"}}}],
            }
        ),
        "exec",
    ),
}


def test_a_kubeconfig_that_cannot_be_used_is_named(orka: Orka) -> None:
    """Exit 1 with what is wrong and where, each time anew; orkad itself lives through them all."""
    orka.start()
    for name, (text, said) in KUBECONFIGS.items():
        if text is not None:
            write_atomically(orka.kubeconfig, text)

        done = [orka.ctl("ls", "cert"), orka.ctl("watch", "cert")]

        for one in done:
            assert (one.returncode, one.stdout) == (1, ""), (name, one)
            assert said in one.stderr, (name, one)
            assert "Traceback" not in one.stderr
        if name != "dead server":
            assert all(str(orka.kubeconfig) in one.stderr for one in done), (name, done)
    with fake_server(orka.folder, "fake") as server:
        orka.use(server)
        orka.ctl("ls", "cert").ok()


def test_an_unknown_context_is_refused_with_those_that_there_are(
    orka: Orka, server: Server
) -> None:
    """By the client's flag and by orkad's own; then the right one works."""
    wrong = orka.orkad("--context", "nosuch", "--watch", CERTIFICATES.gvk)
    orka.start()
    asked = orka.ctl("ls", "cert", "--context", "nosuch")

    for done in (wrong, asked):
        assert done.returncode == 1
        assert '"nosuch" does not exist' in done.stderr
        assert server.context in done.stderr
    orka.ctl("ls", "cert", "--context", server.context).ok()


NONSENSE = (
    ((CLIENT_FRAME_MAX_BYTES + 1).to_bytes(4, "big"), b"oversize"),
    (b"\x00\x00\x00\x05hello", b"not understood"),
    (b"GET / HTTP/1.1\r\n\r\n", b"oversize"),
    (b"\x00\x00\x00\xffcut", b"truncated"),
    (frame(encode(Hello(99, "9")), CLIENT_FRAME_MAX_BYTES), b"protocol 99"),
)


def test_a_client_that_talks_nonsense_is_told_so_and_harms_nobody(
    orka: Orka, server: Server
) -> None:
    """A typed error and the end of that connection; a watcher beside it goes on."""
    orka.start()
    watch = orka.watch("cert", "-A")
    watch.record("SYNCED")

    for sent, said in NONSENSE:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(10)
            client.connect(str(orka.socket))
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            heard = b"".join(iter(partial(client.recv, 65536), b""))

        assert said in heard
    assert watch.process.poll() is None
    assert [client["asks"] for client in orka.status()["clients"]] == ["watch cert", "status"]
