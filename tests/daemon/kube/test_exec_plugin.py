"""Credential plugins as real programs: good ones, slow ones, liars."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from orka.daemon.kube.connection import ExecPlugin
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.kube.exec_plugin import Plugin, Plugins
from orka.daemon.model import SystemClock
from tests.support.certificates import client_pair
from tests.support.plugins import printed, script

pytestmark = pytest.mark.slow  # processes take their time


@asynccontextmanager
async def running(environ: Mapping[str, str] | None = None) -> AsyncIterator[Plugins]:
    """Plugins that are run."""
    plugins = Plugins({**os.environ, **(environ or {})}, SystemClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(plugins.run)
        yield plugins
        nursery.cancel_scope.cancel(reason="the test is over")


async def refusal(plugin: ExecPlugin) -> KubeError:
    """Why it gives no credentials."""
    async with running() as plugins:
        with pytest.raises(KubeError) as caught:
            await plugins.of(plugin).credentials()
    assert caught.value.failure.kind is FailureKind.UNAUTHORIZED
    return caught.value


def counting(folder: Path, body: str) -> ExecPlugin:
    """A script that also counts its runs."""
    return script(folder, f"echo run >> {folder}/runs; {body}")


def runs(folder: Path) -> int:
    """How often it was run."""
    return len((folder / "runs").read_text().split())


async def test_a_token_from_a_script(tmp_path: Path) -> None:
    """Found through PATH, given its args; asked once for all who wait, and not again."""
    counting(tmp_path, f"""sleep 0.2; echo '{printed(token="from-@")}' | sed "s/@/$1/" """)
    plugin = ExecPlugin("login", args=("arg",))
    async with running({"PATH": f"{tmp_path}:{os.environ['PATH']}"}) as plugins:
        tokens = []

        async def ask() -> None:
            issued = await plugins.of(plugin).credentials()
            tokens.append(issued.credential.token)

        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(ask)
        await ask()

    assert tokens == ["from-arg"] * 41
    assert runs(tmp_path) == 1


async def test_a_certificate_from_a_script(tmp_path: Path) -> None:
    """The pair is tried before it is used."""
    certificate, key = client_pair()
    pair = {"clientCertificateData": certificate.decode(), "clientKeyData": key.decode()}
    (tmp_path / "good").write_text(printed(**pair))
    (tmp_path / "bad").write_text(printed(**{**pair, "clientKeyData": "s3cret"}))
    async with running() as plugins:
        good = plugins.of(script(tmp_path, f"cat {tmp_path}/good"))
        assert (await good.credentials()).credential.certificate is not None
    bad = await refusal(script(tmp_path, f"cat {tmp_path}/bad", "other"))

    assert "its certificate and key: not a usable PEM pair" in bad.message
    assert "s3cret" not in bad.message


async def test_what_expires_every_second_is_asked_for_again_but_not_by_everyone(
    tmp_path: Path,
) -> None:
    """Kinds that open their watches one after the other share one run."""
    program = (
        "import datetime as d, json; print(json.dumps({'kind': 'ExecCredential', 'apiVersion': "
        "'client.authentication.k8s.io/v1', 'status': {'token': 't', 'expirationTimestamp': "
        "(d.datetime.now(d.UTC) + d.timedelta(seconds=0.2)).isoformat()}}))"
    )
    (tmp_path / "p.py").write_text(program)
    plugin = counting(tmp_path, f"exec {sys.executable} {tmp_path}/p.py")
    async with running() as plugins:
        for _ in range(10):
            await plugins.of(plugin).credentials()
            await trio.sleep(0.1)

    assert runs(tmp_path) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("exit 1", "failed with exit code 1"),
        ("echo 'run: login'>&2; exit 7", "failed with exit code 7: run: login"),
        ("kill -KILL $$", "was ended by signal 9"),
        ("echo garbage", "no ExecCredential: not one JSON document"),
        ("true", "no ExecCredential: not one JSON document"),
        (f"echo '{printed('client.authentication.k8s.io/v1beta1', token='t')}'", "API version"),
        (f"echo '{printed()}'", "neither a token nor a certificate"),
        ("yes", "printed over 1048576 bytes"),
    ],
)
async def test_a_plugin_that_fails_is_explained_in_its_own_words(
    tmp_path: Path, body: str, words: str
) -> None:
    """Named, with how it ended."""
    error = await refusal(script(tmp_path, body))

    assert error.message.startswith(f"unauthorized: exec: executable {tmp_path}/login")
    assert words in error.message


async def test_secrets_that_a_plugin_prints_to_stderr_are_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its token, what its entry gave it, and whatever looks like a secret: error, log, status."""
    token = "a-token-without-any-look"
    body = f"""
        echo '{printed(token=token)}'
        echo "debug: {token}" "$LOGIN_SECRET" >&2
        echo "password=hunter2 eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln" >&2
        printf '\\033[31mnot logged in\\033[0m\\a' >&2
        exit 1"""
    plugin = replace(script(tmp_path, body), env=(("LOGIN_SECRET", "given-in-confidence"),))
    error = await refusal(plugin)
    shown = error.message + caplog.text + repr(plugin)

    assert error.message.endswith("not logged in")
    for secret in (token, "hunter2", "eyJ", "given-in-confidence", "\x1b", "\a"):
        assert secret not in shown


async def test_a_command_that_is_not_there_says_how_to_get_it() -> None:
    """With the entry's hint, its control characters shown and not obeyed."""
    hint = "To install it:\n\n  apt install login\x1b[2J"
    for command in ("no-such-login", "/nonexistent/no-such-login"):
        error = await refusal(ExecPlugin(command, install_hint=hint))

        assert error.message == f"unauthorized: exec: executable {command} not found"
        assert error.hint == "To install it:  apt install login\\x1b[2J"


async def test_a_command_that_is_no_program(tmp_path: Path) -> None:
    """The system's words; nothing is taken from the folder orkad was started in."""
    path = tmp_path / "login"
    path.write_text("")
    denied = await refusal(ExecPlugin(str(path)))
    async with running({"PATH": "::.:relative"}) as plugins:
        with pytest.raises(KubeError, match="executable login not found"):
            await plugins.of(ExecPlugin("login")).credentials()

    assert denied.message.endswith(": Permission denied")


async def test_an_environment_that_cannot_be_passed_on(tmp_path: Path) -> None:
    """Without quoting it."""
    plugin = replace(script(tmp_path, "true"), env=(("A", "s3cret\0"),))
    error = await refusal(plugin)

    assert error.message.endswith("its args or env cannot be passed on")


async def test_a_plugin_under_way_does_not_block_the_loop_and_dies_with_us(
    tmp_path: Path,
) -> None:
    """Others run meanwhile; its environment holds what exec needs and no key of ours."""
    plugin = script(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    ticks = 0
    async with running({"OURS": "1"}) as plugins:
        with trio.move_on_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_ask_forever, plugins.of(plugin))
                while True:
                    await trio.sleep(0.01)
                    ticks += 1
        pid = int((tmp_path / "pid").read_text())
        names = names_in_environ(pid)
    assert ticks > 50
    assert names <= {*os.environ, "OURS", "KUBERNETES_EXEC_INFO", "PWD", "OLDPWD", "SHLVL", "_"}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def names_in_environ(pid: int) -> set[str]:
    """The variables that a process was started with."""
    environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return {entry.partition(b"=")[0].decode() for entry in environ if entry}


async def _ask_forever(plugin: Plugin) -> None:
    await plugin.credentials()
