"""The built wheel in an environment of its own, with the source tree out of reach."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from orka import __version__
from tests.e2e.processes import eventually

ROOT = Path(__file__).parents[2]
NOT_SOURCE = (".*", "tests", "build", "*.egg-info", "__pycache__")  # no wheel is made of these
SECONDS = 120.0


def run(*argv: str | Path, cwd: Path, **environ: str) -> str:
    """Its stdout, if it ends with 0."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that has orka from its wheel, and only its dependencies.

    Built from a copy, so that nothing is left in the tree; the dependencies are those of the
    environment of this test, so that no network is needed.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder)
    run(*pip, *build, source, cwd=folder)
    (wheel,) = folder.glob("orka-*.whl")
    shutil.rmtree(source)
    venv = folder / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=folder)
    run(*pip, "--python", venv, "install", "--no-index", "--no-deps", wheel, cwd=folder)
    purelib = sysconfig.get_path("purelib")
    site = sysconfig.get_path("purelib", vars={"base": str(venv)})
    # A path in a .pth file is only that: the editable installation there is not taken along.
    Path(site, "dependencies.pth").write_text(f"{purelib}\n")
    return venv / "bin"


def test_the_wheel_has_both_programs_and_they_know_their_version(
    installed: Path, tmp_path: Path
) -> None:
    """`orkad --version` and `orkactl --version`, from the installed package alone."""
    where = run(installed / "python", "-c", "import orka; print(orka.__file__)", cwd=tmp_path)

    assert Path(where.strip()).is_relative_to(installed.parent)
    assert run(installed / "orkad", "--version", cwd=tmp_path) == f"orkad {__version__}\n"
    assert run(installed / "orkactl", "--version", cwd=tmp_path) == f"orkactl {__version__}\n"


def test_the_wheel_serves_a_recording(installed: Path, tmp_path: Path) -> None:
    """Daemon and client work with the source tree absent."""
    recording = tmp_path / "tiny.ndjson"
    shutil.copy(ROOT / "replay" / "corpus" / "tiny.ndjson", recording)
    environ = {"HOME": str(tmp_path), "ORKA_SOCKET": str(tmp_path / "run" / "orkad.sock")}

    run(installed / "orkad", "--background", "--replay", recording, cwd=tmp_path, **environ)
    try:
        ls = ("ls", "certificates", "-A", "-o", "name")
        listed = run(installed / "orkactl", *ls, cwd=tmp_path, **environ)
    finally:
        run(installed / "orkactl", "stop", cwd=tmp_path, **environ)

    assert "www-tls" in listed
    eventually(lambda: not (tmp_path / "run" / "orkad.sock").exists(), 5, "it has stopped")
