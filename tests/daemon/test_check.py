"""`orkad --check`: what a user runs first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from orka.daemon.check import Report, check
from orka.daemon.command import run
from orka.proto.errors import ExitCode
from orka.proto.messages import Target
from tests.support.plugins import printed, script
from tests.support.scripted_http import Script, ScriptedServer, answer_each, whole

VERSION = whole(b'{"gitVersion": "v1.36.2"}')
OK = whole(b'{"metadata": {"uid": "x"}}')
FORBIDDEN = whole(
    b'{"kind":"Status","code":403,"message":"namespaces is forbidden: User \\"me\\" cannot get"}',
    b"HTTP/1.1 403 Forbidden\r\n",
)
ANONYMOUS = whole(
    b'{"kind":"Status","code":403,"message":"forbidden: User \\"system:anonymous\\" cannot get"}',
    b"HTTP/1.1 403 Forbidden\r\n",
)
UNAUTHORIZED = whole(
    b'{"kind":"Status","code":401,"message":"Unauthorized"}', b"HTTP/1.1 401 Unauthorized\r\n"
)
NOT_FOUND = whole(b'{"kind":"Status","code":404}', b"HTTP/1.1 404 Not Found\r\n")
BROKEN = whole(b"<html>", b"HTTP/1.1 500 Internal Server Error\r\n")


@contextmanager
def serving(*answers: bytes) -> Iterator[int]:
    """A server in another thread, since `check` runs a loop of its own; its port."""
    import threading

    port: list[int] = []
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        scripts: list[Script] = [answer_each(*answers)]
        async with ScriptedServer(scripts).tcp() as number:
            port.append(number)
            ready.set()
            while not done.is_set():
                await trio.sleep(0.01)

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    try:
        ready.wait(10)
        yield port[0]
    finally:
        done.set()
        thread.join()


def checked(folder: Path, server: str, user: str = "{}") -> Report:
    """The report on a kubeconfig of one context."""
    path = folder / "config"
    path.write_text(
        f"current-context: dev\n"
        f"clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n"
        f"users: [{{name: me, user: {user}}}]\n"
        f"contexts: [{{name: dev, context: {{cluster: c, user: me, namespace: shop}}}}]\n"
    )
    path.chmod(0o600)
    return check(Target("default", (str(path),)), dict(os.environ))


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        ((OK, VERSION), "not authenticated, which this server does not ask for"),
        ((FORBIDDEN, VERSION), "though not allowed to read the namespace kube-system"),
        ((NOT_FOUND, VERSION), "the server has no namespace kube-system"),
    ],
)
def test_what_was_found_is_said_in_a_few_lines(
    answers: tuple[bytes, ...], result: str, tmp_path: Path
) -> None:
    """And it will do: a forbidden request is an authenticated one."""
    with serving(*answers) as port:
        report = checked(tmp_path, f"http://127.0.0.1:{port}")

    assert report.error is None
    assert report.lines[:-1] == (
        f"files:     {tmp_path}/config",
        "context:   dev",
        f"server:    http://127.0.0.1:{port}",
        "namespace: shop",
        "user:      me",
        "auth:      anonymous",
        "version:   v1.36.2",
    )
    assert report.lines[-1].startswith("result:")
    assert result in report.lines[-1]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ((ANONYMOUS,), "system:anonymous"),
        ((UNAUTHORIZED,), "401: Unauthorized"),
        ((BROKEN, VERSION), "500: <html>"),
    ],
)
def test_a_server_that_does_not_know_us_is_a_failure(
    answers: tuple[bytes, ...], why: str, tmp_path: Path
) -> None:
    """Its own words, after what was found."""
    with serving(*answers) as port:
        report = checked(tmp_path, f"http://127.0.0.1:{port}")

    assert report.error is not None
    assert report.error.exit_code is ExitCode.ERROR
    assert why in report.error.message
    assert "auth:      anonymous" in report.lines


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """What it would have been asked for stands above the reason."""
    report = checked(tmp_path, "http://127.0.0.1:1")

    assert report.error is not None
    assert "Connection refused" in report.error.message
    assert "server:    http://127.0.0.1:1" in report.lines


def test_a_kubeconfig_that_cannot_be_used_names_its_file(tmp_path: Path) -> None:
    """Nothing is asked."""
    report = check(Target("flag", (str(tmp_path / "missing"),)), {})

    assert report.error is not None
    assert report.error.code == "config"
    assert report.lines == (f"files:     {tmp_path}/missing",)


def test_a_failing_plugin_is_the_reason(tmp_path: Path) -> None:
    """In its own words; without secrets."""
    script(tmp_path, f"echo '{printed(token='s3cret-token')}'; echo s3cret-token no >&2; exit 1")
    exec_entry = (
        "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login, "
        "interactiveMode: Never}}"
    )
    report = checked(tmp_path, "https://127.0.0.1:1", exec_entry)

    assert report.error is not None
    assert report.error.message.endswith("login failed with exit code 1: [cut] no")
    assert "auth:      plugin login" in report.lines


def test_a_check_serves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """So it cannot be detached, and has nothing to do with a recording."""
    assert run(["--check", "--background"]) == ExitCode.USAGE
    assert run(["--check", "--replay", "x"]) == ExitCode.USAGE
    assert "--check serves nothing" in capsys.readouterr().err
