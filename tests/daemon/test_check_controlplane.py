"""`orkad --check` against a real kube-apiserver: each way to authenticate, known and unknown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.fixture import (
    ADMIN_TOKEN,
    NOBODY_TOKEN,
    ControlPlane,
    binaries,
    control_plane,
)
from tests.support.plugins import printed, script

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A server that takes tokens and client certificates."""
    if binaries() is None:
        pytest.skip("no Go toolchain")
    with control_plane(tmp_path_factory.mktemp("plane"), client_ca=True) as running:
        yield running


def user_of(how: str, plane: ControlPlane, folder: Path) -> str:
    """A user entry of a kubeconfig, as YAML."""
    script(folder, f"echo '{printed(token=ADMIN_TOKEN)}'")
    command = "{apiVersion: client.authentication.k8s.io/v1, command: ./login"
    (folder / "token").write_text(ADMIN_TOKEN + "\n")
    pair = "client-certificate: {0}/client.crt, client-key: {0}/client.key"
    return {
        "token": f"{{token: {ADMIN_TOKEN}}}",
        "token file": "{tokenFile: token}",
        "certificate files": "{" + pair.format(plane.directory / "pki") + "}",
        "plugin login": f"{{exec: {command}, interactiveMode: IfAvailable}}}}",
        "token, acting as ann": f"{{token: {ADMIN_TOKEN}, as: ann, as-groups: [a, b]}}",
        "nobody": f"{{token: {NOBODY_TOKEN}}}",
        "unknown": "{token: s3cret}",
        "anonymous": "{}",
        "terminal": f"{{exec: {command}, interactiveMode: Always}}}}",
    }[how]


def checked(how: str, plane: ControlPlane, folder: Path) -> subprocess.CompletedProcess[str]:
    """What `orkad --check` does with that user."""
    path = folder / "config"
    path.write_text(
        f"current-context: dev\n"
        f"clusters: [{{name: c, cluster: "
        f"{{server: '{plane.server}', certificate-authority: {plane.ca}}}}}]\n"
        f"users: [{{name: me, user: {user_of(how, plane, folder)}}}]\n"
        f"contexts: [{{name: dev, context: {{cluster: c, user: me}}}}]\n"
    )
    path.chmod(0o600)
    return subprocess.run(
        [Path(sys.executable).with_name("orkad"), "--check"],
        env={**os.environ, "KUBECONFIG": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("how", "result"),
    [
        ("token", "authenticated"),
        ("token file", "authenticated"),
        ("certificate files", "authenticated"),
        ("plugin login", "authenticated"),
        (
            "token, acting as ann",
            "authenticated, though not allowed to read the namespace kube-system",
        ),
    ],
)
def test_who_is_known_is_told_so(
    how: str, result: str, plane: ControlPlane, tmp_path: Path
) -> None:
    """How, by whom, and what for; nothing on stderr."""
    done = checked(how, plane, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert f"auth:      {how}" in lines
    assert any(line.startswith("version:   v1.") for line in lines)
    assert lines[-1] == f"result:    {result}"
    assert ADMIN_TOKEN not in done.stdout


def test_who_may_do_nothing_is_known_all_the_same(plane: ControlPlane, tmp_path: Path) -> None:
    """Authentication is what is checked."""
    assert checked("nobody", plane, tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("unknown", "Unauthorized"),
        ("anonymous", "system:anonymous"),
        ("terminal", "standard input is not a terminal"),
    ],
)
def test_who_is_not_known_is_told_why(
    how: str, why: str, plane: ControlPlane, tmp_path: Path
) -> None:
    """Exit 1, with a reason and without a secret."""
    done = checked(how, plane, tmp_path)

    assert done.returncode == 1
    assert why in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
