"""A client certificate in two files that somebody else renews."""

from __future__ import annotations

import logging

import pytest

from orka.daemon.kube.certificate_files import FileCertificate
from orka.daemon.kube.connection import CertificateFiles, ClientCertificate
from orka.proto.errors import ConfigError
from tests.support.certificates import client_pair
from tests.support.kubeconfigs import Files

OLD, NEW = client_pair("old"), client_pair("new")


def files_with(pair: tuple[bytes, bytes]) -> Files:
    """The two files."""
    return Files({"/c": pair[0], "/k": pair[1]})


def source_of(files: Files) -> FileCertificate:
    """What follows them."""
    return FileCertificate(CertificateFiles("/c", "/k"), user="u", read=files.read)


def test_a_renewed_pair_is_used_once_both_halves_are_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Files are written one after the other; what does not belong together is not shown."""
    files = files_with(OLD)
    source = source_of(files)
    with caplog.at_level(logging.WARNING):
        assert source.current() == ClientCertificate(*OLD)
        files.content["/c"] = NEW[0]
        assert source.current() == ClientCertificate(*OLD)
        assert source.current() == ClientCertificate(*OLD)
        assert source.last_failure == "not a usable PEM pair (KEY_VALUES_MISMATCH)"
        files.content["/k"] = NEW[1]
        assert source.current() == ClientCertificate(*NEW)

    assert "failure=None" in repr(source)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("broken", [FileNotFoundError(2, "No such file or directory", "/k"), b""])
def test_files_that_are_gone_or_empty_are_ignored(broken: OSError | bytes) -> None:
    """The pair before them is still good."""
    files = files_with(OLD)
    source = source_of(files)
    files.content["/k"] = broken

    assert source.current() == ClientCertificate(*OLD)
    assert source.last_failure


def test_without_a_pair_to_begin_with_the_user_must_know() -> None:
    """The files are named."""
    with pytest.raises(ConfigError, match=r'user "u": /k: No such file'):
        source_of(Files({"/c": OLD[0]}))
    with pytest.raises(ConfigError, match=r"client-certificate /c and client-key /k: not a usable"):
        source_of(Files({"/c": OLD[0], "/k": NEW[1]}))
