"""Where the socket and the kubeconfig are, from the environment alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from orka.proto.address import kubeconfig_paths, socket_path


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"ORKA_SOCKET": "/x/y.sock", "XDG_RUNTIME_DIR": "/run/user/7"}, "/x/y.sock"),
        ({"ORKA_SOCKET": "y.sock"}, f"{Path.cwd()}/y.sock"),
        ({"ORKA_SOCKET": "", "XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/orka/orkad.sock"),
        ({"XDG_RUNTIME_DIR": ""}, "/tmp/orka-7/orkad.sock"),
        ({}, "/tmp/orka-7/orkad.sock"),
    ],
)
def test_the_first_of_three_places_that_is_set(environ: dict[str, str], path: str) -> None:
    """$ORKA_SOCKET, $XDG_RUNTIME_DIR, /tmp; empty variables count as unset."""
    assert socket_path(environ, 7) == path


def test_kubeconfig_comes_from_flag_environment_or_home() -> None:
    """As kubectl has it; without a home it is the working directory."""
    environ = {"KUBECONFIG": "a:/b::a", "HOME": "/home/x"}

    assert kubeconfig_paths("c", environ) == ("flag", (f"{Path.cwd()}/c",))
    assert kubeconfig_paths(None, environ) == ("env", (f"{Path.cwd()}/a", "/b"))
    assert kubeconfig_paths(None, {"HOME": "/home/x"}) == ("default", ("/home/x/.kube/config",))
    assert kubeconfig_paths(None, {}) == ("default", (f"{Path.cwd()}/.kube/config",))
    assert kubeconfig_paths("", {"HOME": "/home/x"}) == ("default", ("/home/x/.kube/config",))
