"""Flags before environment before defaults, and what cannot be obeyed is named."""

from __future__ import annotations

import logging

import pytest

from orka.daemon.config import (
    IDLE_SECONDS_DEFAULT,
    QUEUE_CAP_DEFAULT,
    RELIST_SECONDS_DEFAULT,
    Given,
    config_from,
    parse_log_filter,
)
from orka.proto.errors import Refused
from orka.proto.messages import Target

HOME = {"HOME": "/home/me"}


def test_without_flags_and_environment_the_defaults_hold() -> None:
    """The socket in /tmp, the kubeconfig in the home directory, nothing pinned."""
    config = config_from(Given(), HOME, 1000)

    assert config.socket == "/tmp/orka-1000/orkad.sock"
    assert config.target == Target("default", ("/home/me/.kube/config",))
    assert not config.pinned
    assert config.queue_cap == QUEUE_CAP_DEFAULT
    assert config.relist_seconds == RELIST_SECONDS_DEFAULT
    assert config.idle_seconds == IDLE_SECONDS_DEFAULT
    assert (config.log, config.log_format) == ("info", "text")


def test_the_environment_is_obeyed_and_flags_win() -> None:
    """Each variable, and a flag over it."""
    environ = HOME | {
        "ORKA_SOCKET": "/run/env.sock",
        "ORKA_QUEUE_CAP": "7",
        "ORKA_RELIST_SECS": "1.5",
        "ORKA_IDLE_SECS": "60",
        "ORKA_LOG": "debug",
        "KUBECONFIG": "/a:/b",
    }
    from_environment = config_from(Given(), environ, 1000)
    from_flags = config_from(
        Given(socket="/run/flag.sock", queue_cap="8", kubeconfig="/c", log="error"), environ, 1000
    )

    assert from_environment.socket == "/run/env.sock"
    assert from_environment.queue_cap == 7
    assert from_environment.relist_seconds == 1.5
    assert from_environment.idle_seconds == 60
    assert from_environment.log == "debug"
    assert from_environment.target == Target("env", ("/a", "/b"))
    assert not from_environment.pinned
    assert from_flags.socket == "/run/flag.sock"
    assert from_flags.queue_cap == 8
    assert from_flags.target == Target("flag", ("/c",))
    assert from_flags.pinned
    assert from_flags.log == "error"


def test_a_context_pins_the_daemon() -> None:
    """An orkad for one context serves no other."""
    assert config_from(Given(context="dev"), HOME, 0).pinned


@pytest.mark.parametrize(
    ("given", "environ", "names"),
    [
        (Given(queue_cap="0"), {}, "--queue-cap 0"),
        (Given(queue_cap="abc"), {}, "--queue-cap abc"),
        (Given(queue_cap="-1"), {}, "--queue-cap -1"),
        (Given(), {"ORKA_QUEUE_CAP": "0"}, "ORKA_QUEUE_CAP 0"),
        (Given(relist_seconds="soon"), {}, "--relist-secs soon"),
        (Given(relist_seconds="inf"), {}, "--relist-secs inf"),
        (Given(), {"ORKA_IDLE_SECS": "0"}, "ORKA_IDLE_SECS 0"),
        (Given(log="loud"), {}, "--log loud"),
        (Given(log="info,httpx=debug"), {}, "'httpx=debug'"),
        (Given(socket="/" + "x" * 200), {}, "201 bytes"),
    ],
)
def test_what_cannot_be_obeyed_is_a_usage_error(
    given: Given, environ: dict[str, str], names: str
) -> None:
    """It names the flag or the variable, and the value."""
    with pytest.raises(Refused) as caught:
        config_from(given, HOME | environ, 1000)

    assert names in caught.value.message
    assert caught.value.exit_code == 2


def test_a_log_filter_names_levels_by_logger() -> None:
    """The nameless part is for all of orka."""
    assert parse_log_filter("--log", "warning, orka.kube=debug") == {
        "": logging.WARNING,
        "orka.kube": logging.DEBUG,
    }
