"""Token files, and what of them can be a header."""

from __future__ import annotations

import logging

import pytest

from orka.daemon.kube.connection import TokenFile
from orka.daemon.kube.errors import FailureKind, KubeError
from orka.daemon.kube.tokens import TOKEN_FRESH_SECONDS, FileToken, clean_token
from tests.support.fakes import StoppedClock
from tests.support.kubeconfigs import Files


def source_of(files: Files, clock: StoppedClock, fallback: str | None = None) -> FileToken:
    """A source over the file /token."""
    return FileToken(TokenFile("/token", fallback), read=files.read, now=clock.monotonic)


@pytest.mark.parametrize(
    ("content", "token"),
    [
        (b" t0ken\r\n", "t0ken"),
        (b"", None),
        (b" \n", None),
        (b"two words", None),
        (b"a\r\nHost: b", None),
        ("tökén".encode(), None),
    ],
)
def test_only_what_can_be_a_header_is_a_token(content: bytes, token: str | None) -> None:
    """White space around it is dropped; inside, it would end the header."""
    assert clean_token(content) == token


def test_a_token_file_is_read_again_when_the_copy_is_old() -> None:
    """And not before, unless the server refuses it."""
    files, clock = Files({"/token": "one\n"}), StoppedClock()
    source = source_of(files, clock, fallback="static")

    assert source.current() == "one"
    files.content["/token"] = "two"
    clock.now = TOKEN_FRESH_SECONDS - 1
    assert source.current() == "one"
    clock.now = TOKEN_FRESH_SECONDS
    assert source.current() == "two"
    assert files.reads == ["/token"] * 2
    files.content["/token"] = "three"
    source.forget()
    assert source.current() == "three"


@pytest.mark.parametrize("broken", [PermissionError(13, "Permission denied"), "", "\x00"])
def test_a_failed_read_keeps_the_old_token(
    broken: OSError | str, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted at each try, logged once, without the secret; the next good read heals it."""
    files, clock = Files({"/token": "s3cret"}), StoppedClock()
    source = source_of(files, clock)
    source.current()
    files.content["/token"] = broken
    clock.now = TOKEN_FRESH_SECONDS
    with caplog.at_level(logging.WARNING):
        assert source.current() == "s3cret"
        assert source.current() == "s3cret"

    assert source.failed_reads == 2
    assert source.last_failure is not None
    assert [record.getMessage().split(" why=")[0] for record in caplog.records] == [
        "token-file-unreadable path=/token"
    ]
    assert "s3cret" not in caplog.text + repr(source)
    files.content["/token"] = "new"
    assert source.current() == "new"
    assert source.last_failure is None


def test_a_static_token_stands_in_until_the_file_is_there() -> None:
    """And is not used any more afterwards."""
    files, clock = Files({}), StoppedClock()
    source = source_of(files, clock, fallback="static")

    assert source.current() == "static"
    files.content["/token"] = "file"
    assert source.current() == "file"
    files.content.clear()
    clock.now = TOKEN_FRESH_SECONDS
    assert source.current() == "file"


def test_without_any_token_the_request_is_unauthorized() -> None:
    """A failure that a reflector understands, not a crash; never a request as somebody else."""
    source = source_of(Files({}), StoppedClock())
    with pytest.raises(KubeError) as caught:
        source.current()

    assert caught.value.failure.kind is FailureKind.UNAUTHORIZED
    assert "token file /token: No such file" in caught.value.message
