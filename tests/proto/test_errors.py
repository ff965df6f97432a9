"""Every failure has a code, and every code an exit status."""

from __future__ import annotations

import pytest

from orka.proto import errors
from orka.proto.errors import EXIT_OF_CODE, ConfigError, ExitCode, OrkaError, Refused, exit_code_of


@pytest.mark.parametrize(
    "error", [error for error in vars(errors).values() if isinstance(error, type)]
)
def test_the_default_code_of_every_error_is_in_the_table(error: type) -> None:
    """An error without a code of its own still ends with a known status."""
    if issubclass(error, OrkaError):
        assert error.code in EXIT_OF_CODE
        assert str(error("it broke")) == "it broke"


def test_an_error_may_have_another_code_than_its_family() -> None:
    """The code decides the exit status."""
    assert ConfigError("x").exit_code is ExitCode.ERROR
    assert Refused("x", code="not-found", hint="y").exit_code is ExitCode.NOT_FOUND
    assert Refused("x", hint="y").hint == "y"


def test_an_unknown_code_is_an_error() -> None:
    """Never a success."""
    assert exit_code_of("novel") is ExitCode.ERROR


def test_every_exit_status_is_some_code() -> None:
    """The table of the README has no row that cannot happen."""
    assert set(EXIT_OF_CODE.values()) == set(ExitCode)
