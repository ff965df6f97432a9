"""What cannot be obeyed: each gets one clear line and its exit status, and breaks nothing."""

from __future__ import annotations

import json
import socket

import pytest

from orka.proto.names import CLIENT_FRAME_MAX_BYTES
from tests.e2e.harness import START_SECONDS, Orka
from tests.e2e.servers import CERTIFICATES, Server


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
    """Exit 2, in the foreground and with --background, and nothing was started."""
    for more in ((), ("--background",)):
        done = orka.orkad(*more, *flags, seconds=START_SECONDS, **variables)

        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not orka.socket.exists()


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


@pytest.mark.parametrize("name", KUBECONFIGS)
def test_a_kubeconfig_that_cannot_be_used_is_named(orka: Orka, name: str) -> None:
    """Exit 1 with what is wrong and where; orkad lives, and has it right once it is right."""
    text, said = KUBECONFIGS[name]
    if text is not None:
        orka.kubeconfig.write_text(text)
    orka.start()

    done = [orka.ctl(*args) for args in (("ls", "cert"), ("watch", "cert"), ("discover",))]

    for one in done:
        assert (one.returncode, one.stdout) == (1, "")
        assert said in one.stderr
        assert "Traceback" not in one.stderr
    if name != "dead server":
        assert all(str(orka.kubeconfig) in one.stderr for one in done)
    orka.status()


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


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ((CLIENT_FRAME_MAX_BYTES + 1).to_bytes(4, "big"), b"oversize"),
        (b"\x00\x00\x00\x05hello", b"not understood"),
        (b"GET / HTTP/1.1\r\n\r\n", b"oversize"),
        (b"\x00\x00\x00\xffcut", b"truncated"),
        (b"\x00\x00\x00\x21\x83\xa4type\xa5hello\xa8protocol\x63\xa7version\xa19", b"protocol"),
    ],
)
def test_a_client_that_talks_nonsense_is_told_so_and_harms_nobody(
    orka: Orka, server: Server, sent: bytes, said: bytes
) -> None:
    """A typed error and the end of that connection; a watcher beside it goes on."""
    orka.start()
    watch = orka.watch("cert", "-A")
    watch.record("SYNCED")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(str(orka.socket))
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        heard = b"".join(iter(lambda: client.recv(65536), b""))

    assert said in heard
    assert watch.process.poll() is None
    orka.status()
