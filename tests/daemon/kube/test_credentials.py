"""What requests are sent with, and what a 401 leads to: on virtual time, plugins in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from orka.daemon.kube.connection import (
    Basic,
    CertificateFiles,
    ClientCertificate,
    Connection,
    Credentials,
    ExecPlugin,
    Impersonation,
    StaticToken,
    TokenFile,
)
from orka.daemon.kube.credentials import PROVEN_SECONDS, Authenticator, Presented, method
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.kube.exec_plugin import PLUGIN_SECONDS, RENEWED_RECENTLY_SECONDS, Plugins
from orka.proto.errors import ConfigError
from tests.support.certificates import client_pair
from tests.support.fakes import StoppedClock, TrioClock
from tests.support.kubeconfigs import Files
from tests.support.plugins import FakeProgram, printed

LOGIN = ExecPlugin("/bin/sh")
PLUGIN = Credentials(plugin=LOGIN)


def connection(credentials: Credentials) -> Connection:
    """A connection of the user `u`."""
    return Connection("https://api.test", user="u", credentials=credentials)


def fixed(credentials: Credentials, files: Files | None = None) -> Authenticator:
    """An authenticator without a plugin, its clock standing still."""
    clock = StoppedClock()
    read = (files or Files({})).read
    return Authenticator(connection(credentials), read=read, now=clock.monotonic, clock=clock)


@asynccontextmanager
async def with_plugin(
    program: FakeProgram, plugin: ExecPlugin = LOGIN
) -> AsyncIterator[Authenticator]:
    """One whose plugin is this program."""
    plugins = Plugins({}, TrioClock(), program=program)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(plugins.run)
        credentials = Credentials(plugin=plugin)
        yield Authenticator(connection(credentials), plugins=plugins, clock=TrioClock())
        nursery.cancel_scope.cancel(reason="the test is over")


def names(presented: Presented) -> list[tuple[str, str]]:
    """Its headers as text."""
    return [(name.decode(), value.decode()) for name, value in presented.headers]


async def failure(authenticator: Authenticator) -> KubeError:
    """Why there are no headers."""
    with pytest.raises(KubeError) as caught:
        await authenticator.headers()
    assert caught.value.failure.kind is FailureKind.UNAUTHORIZED
    return caught.value


# -- headers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credentials", "headers", "how"),
    [
        (Credentials(), [], "anonymous"),
        (Credentials(StaticToken("t")), [("authorization", "Bearer t")], "token"),
        (Credentials(TokenFile("/t")), [("authorization", "Bearer file")], "token file"),
        (
            Credentials(basic=Basic("me", "pä:ss")),
            [("authorization", "Basic bWU6cMOkOnNz")],
            "basic",
        ),
        (
            Credentials(certificate=ClientCertificate(b"c", b"k")),
            [],
            "certificate",
        ),
        (
            Credentials(StaticToken("t"), certificate=ClientCertificate(b"c", b"k")),
            [("authorization", "Bearer t")],
            "token and certificate",
        ),
    ],
)
async def test_each_kind_of_credential_has_its_header(
    credentials: Credentials, headers: list[tuple[str, str]], how: str
) -> None:
    """A certificate has none; it may stand beside a token."""
    presented = await fixed(credentials, Files({"/t": "file"})).headers()

    assert names(presented) == headers
    assert presented.certificate == credentials.certificate
    assert method(credentials) == how


async def test_impersonation_is_four_kinds_of_headers() -> None:
    """Groups and values repeat; bytes that no header name has are escaped as client-go does."""
    acting = Impersonation(
        "ann", "42", ("dev", "ops"), (("a/b%c é", ("1", "2")), ("plain", ("x",)))
    )
    presented = await fixed(Credentials(StaticToken("t"), impersonation=acting)).headers()

    assert names(presented) == [
        ("authorization", "Bearer t"),
        ("impersonate-user", "ann"),
        ("impersonate-uid", "42"),
        ("impersonate-group", "dev"),
        ("impersonate-group", "ops"),
        ("impersonate-extra-a%2Fb%25c%20%C3%A9", "1"),
        ("impersonate-extra-a%2Fb%25c%20%C3%A9", "2"),
        ("impersonate-extra-plain", "x"),
    ]


def test_nothing_can_be_smuggled_into_a_header() -> None:
    """A line break would end it, or the request."""
    with pytest.raises(ConfigError, match='user "u": impersonate-user: holds control characters'):
        fixed(Credentials(impersonation=Impersonation("a\r\nX-Evil: 1")))


async def test_nothing_shows_a_secret() -> None:
    """Reprs and status are read by people."""
    authenticator = fixed(
        Credentials(
            StaticToken("s3cret"), Basic("me", "s3cret"), ClientCertificate(b"c", b"s3cret")
        )
    )
    presented = await authenticator.headers()

    assert "s3cret" not in f"{authenticator!r} {presented!r} {authenticator.describe()}"


def test_a_plugin_without_anybody_to_run_it_is_refused() -> None:
    """By name of the field."""
    with pytest.raises(ConfigError, match='user "u": exec'):
        Authenticator(connection(PLUGIN))


# -- files ---------------------------------------------------------------------------------


async def test_a_401_has_the_token_file_read_again() -> None:
    """It may have been rotated a second ago."""
    files = Files({"/t": "one"})
    authenticator = fixed(Credentials(TokenFile("/t")), files)
    used = await authenticator.headers()
    files.content["/t"] = "two"

    assert await authenticator.rejected(used)
    assert names(await authenticator.headers()) == [("authorization", "Bearer two")]


async def test_renewed_certificate_files_are_shown_from_the_next_request_on() -> None:
    """And a 401 for the old ones is asked again with the new ones."""
    old, new = client_pair("old"), client_pair("new")
    files = Files({"/c": old[0], "/k": old[1]})
    authenticator = fixed(Credentials(certificate=CertificateFiles("/c", "/k")), files)
    used = await authenticator.headers()
    assert used.certificate == ClientCertificate(*old) == authenticator.certificate
    files.content |= {"/c": new[0], "/k": new[1]}

    assert await authenticator.rejected(used)
    assert (await authenticator.headers()).certificate == ClientCertificate(*new)


# -- plugins -------------------------------------------------------------------------------


async def test_forty_requests_refused_at_once_cost_one_run(autojump_clock: MockClock) -> None:
    """All are asked again with what it gives."""
    program = FakeProgram(seconds=1)
    async with with_plugin(program) as authenticator:
        first = [await authenticator.headers() for _ in range(40)]
        again = []

        async def refused(used: Presented) -> None:
            again.append(await authenticator.rejected(used))

        async with trio.open_nursery() as nursery:
            for used in first:
                nursery.start_soon(refused, used)
        assert program.runs == 2
        assert again == [True] * 40
        assert names(await authenticator.headers()) == [("authorization", "Bearer t2")]
        # One that had been on its way all the time does not start another run.
        assert await authenticator.rejected(first[0])

    assert program.runs == 2


async def test_fresh_credentials_that_are_refused_make_all_kinds_wait_together(
    autojump_clock: MockClock,
) -> None:
    """From 5 s to a minute, one run for each wait; accepted at last, all is as before."""
    program = FakeProgram()
    waits = []
    async with with_plugin(program) as authenticator:
        assert await authenticator.rejected(await authenticator.headers())
        for _ in range(6):
            used = [await authenticator.headers() for _ in range(3)]
            assert [await authenticator.rejected(each) for each in used] == [False] * 3
            error = await failure(authenticator)
            assert error.failure.retry_after_seconds is not None
            assert 'the server refused the credentials of user "u" (plugin sh)' in error.message
            waits.append(error.failure.retry_after_seconds)
            await trio.sleep(waits[-1])
        runs = program.runs
        authenticator.accepted(await authenticator.headers())
        await authenticator.headers()
        assert authenticator.describe()["last_failure"] is None

    assert waits == [5, 10, 20, 40, 60, 60]
    assert runs <= 2 + len(waits)


async def test_one_path_that_refuses_us_is_no_trouble_for_the_others(
    autojump_clock: MockClock,
) -> None:
    """An aggregated server that knows nobody, beside one that has just taken the same token."""
    authenticator = Authenticator(connection(Credentials(StaticToken("t"))), clock=TrioClock())
    used = await authenticator.headers()
    authenticator.accepted(used)

    assert not await authenticator.rejected(used)
    assert (await authenticator.headers()).same(used)
    await trio.sleep(PROVEN_SECONDS)
    assert not await authenticator.rejected(used)
    assert (await failure(authenticator)).failure.retry_after_seconds == 5


async def test_an_answer_that_was_under_way_does_not_end_the_wait(
    autojump_clock: MockClock,
) -> None:
    """Only a request made after the refusal proves anything."""
    authenticator = Authenticator(connection(Credentials(StaticToken("t"))), clock=TrioClock())
    used = await authenticator.headers()
    await authenticator.rejected(used)
    authenticator.accepted(used)

    await failure(authenticator)


async def test_expired_credentials_are_renewed_before_they_are_used(
    autojump_clock: MockClock,
) -> None:
    """`now > expirationTimestamp`, without leeway; the status says when."""
    program = FakeProgram(status={"expirationTimestamp": "2025-06-15T15:07:40Z"})  # in 60 s
    async with with_plugin(program) as authenticator:
        await authenticator.headers()
        assert authenticator.describe() == {
            "method": "plugin sh",
            "impersonating": None,
            "since": TrioClock.EPOCH,
            "next_refresh": TrioClock.EPOCH + 60,
            "last_failure": None,
        }
        await trio.sleep(60)
        await authenticator.headers()
        assert program.runs == 1
        program.status.clear()
        await trio.sleep(0.1)
        await authenticator.headers()
        await trio.sleep(86_400)
        await authenticator.headers()

    assert program.runs == 2


async def test_a_401_long_after_a_renewal_renews_again(autojump_clock: MockClock) -> None:
    """Tokens without an expirationTimestamp end like this."""
    program = FakeProgram()
    async with with_plugin(program) as authenticator:
        for runs in (2, 3, 4):
            assert await authenticator.rejected(await authenticator.headers())
            assert program.runs == runs
            await trio.sleep(RENEWED_RECENTLY_SECONDS)


async def test_a_plugin_that_gives_the_same_again_is_not_asked_for_more(
    autojump_clock: MockClock,
) -> None:
    """It has nothing better, so the request is not repeated."""
    program = FakeProgram(outputs=[printed(token="same")] * 2)
    async with with_plugin(program) as authenticator:
        assert not await authenticator.rejected(await authenticator.headers())


async def test_a_failing_plugin_is_run_ever_less_often_however_many_ask(
    autojump_clock: MockClock,
) -> None:
    """At once after 5 s, at most once a minute; everyone is told why and for how long."""
    program = FakeProgram(outputs=[1] * 1000, stderr=b"no network")
    async with with_plugin(program) as authenticator:
        assert "exec: executable /bin/sh failed with exit code 1: no network" in str(
            await failure(authenticator)
        )
        for _ in range(600):
            await trio.sleep(1)
            error = await failure(authenticator)
            assert "no network" in error.message
        assert error.failure.retry_after_seconds is not None
        assert program.runs in range(10, 16)
        assert "no network" in str(authenticator.describe()["last_failure"])
        program.outputs.clear()
        await trio.sleep(60)
        await authenticator.headers()
        assert authenticator.describe()["last_failure"] is None


async def test_a_slow_plugin_is_waited_for_by_the_next_request_too(
    autojump_clock: MockClock,
) -> None:
    """Nobody waits for longer than a request may; what it asks of its user is passed on."""
    program = FakeProgram(seconds=20, stderr=b"open https://login.example.org and confirm")
    async with with_plugin(program) as authenticator:
        for _ in range(2):
            error = await failure(authenticator)
            assert error.message.endswith(
                "has given no answer yet: open https://login.example.org and confirm"
            )
            assert authenticator.busy
        await authenticator.headers()
        assert not authenticator.busy

    assert program.runs == 1


async def test_a_hanging_plugin_is_given_up_after_a_minute(autojump_clock: MockClock) -> None:
    """And run again only after a wait."""
    program = FakeProgram(seconds=1e6)
    async with with_plugin(program) as authenticator:
        with trio.move_on_after(PLUGIN_SECONDS + 4):
            while True:
                error = await failure(authenticator)
                await trio.sleep(0.5)
        assert "gave no answer within 60 s" in error.message
        assert (program.runs, program.running) == (1, 0)


async def test_a_request_that_is_given_up_does_not_end_the_run(
    autojump_clock: MockClock,
) -> None:
    """A login in a browser takes longer than any request."""
    program = FakeProgram(seconds=5)
    async with with_plugin(program) as authenticator:
        with trio.move_on_after(1):
            await authenticator.headers()
        await trio.sleep(5)
        started = trio.current_time()
        await authenticator.headers()

        assert (program.runs, trio.current_time()) == (1, started)


async def test_a_plugin_for_a_terminal_is_never_run(autojump_clock: MockClock) -> None:
    """Explained instead."""
    program = FakeProgram()
    async with with_plugin(program, replace(LOGIN, interactive_mode="Always")) as authenticator:
        error = await failure(authenticator)

    assert "interactiveMode is Always, but standard input is not a terminal" in error.message
    assert program.runs == 0


async def test_users_of_one_entry_share_its_credentials(autojump_clock: MockClock) -> None:
    """As in client-go, for the life of the process; another entry has its own."""
    program = FakeProgram()
    plugins = Plugins({}, TrioClock(), program=program)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(plugins.run)
        for plugin in (LOGIN, LOGIN, replace(LOGIN, args=("other",))):
            credentials = Credentials(plugin=plugin)
            await Authenticator(connection(credentials), plugins=plugins).headers()
        nursery.cancel_scope.cancel(reason="the test is over")

    assert program.runs == 2


def test_forgotten_entries_make_room() -> None:
    """Kubeconfigs come and go."""
    plugins = Plugins({}, StoppedClock())
    for number in range(200):
        plugins.of(replace(LOGIN, args=(str(number),)))

    assert repr(plugins).count("<Plugin ") == 64
