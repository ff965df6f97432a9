"""Which kubeconfig files a shell means, as kubectl would find them there."""

from __future__ import annotations

from pathlib import Path

import pytest

from orka.client.target import target


def test_the_flag_wins_and_is_made_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The daemon has another working directory, so a relative path is settled here."""
    monkeypatch.chdir(tmp_path)
    meant = target({"KUBECONFIG": "/other"}, kubeconfig="kube/dev", context="dev")

    assert meant == {
        "source": "flag",
        "kubeconfig": [f"{tmp_path}/kube/dev"],
        "context": "dev",
    }


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ("/a", ["/a"]),
        ("/a:/b", ["/a", "/b"]),
        (":/a::/b:/a:", ["/a", "/b"]),
        (":", []),
    ],
)
def test_the_environment_is_split_without_empty_and_repeated_parts(
    value: str, paths: list[str]
) -> None:
    """A non-empty $KUBECONFIG counts, also one that names no file at all."""
    meant = target({"KUBECONFIG": value, "HOME": "/home/x"}, kubeconfig=None, context=None)

    assert meant == {"source": "env", "kubeconfig": paths, "context": None}


@pytest.mark.parametrize("environ", [{}, {"KUBECONFIG": ""}])
def test_the_default_is_in_the_home_folder(environ: dict[str, str]) -> None:
    """An empty variable and an empty flag count as unset."""
    meant = target({**environ, "HOME": "/home/x"}, kubeconfig="", context="")

    assert meant == {"source": "default", "kubeconfig": ["/home/x/.kube/config"], "context": None}
