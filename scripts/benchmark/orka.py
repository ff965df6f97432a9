"""Orka as its users have it: what pip would install, a home, a socket and a kubeconfig."""

from __future__ import annotations

import os
import shutil
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from scripts.benchmark.commands import Timed, said

ROOT = Path(__file__).parents[2]
SOURCES = ("orka", "bin", "pyproject.toml", "README.md", "LICENSE")
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")  # the rest of the caller's environment is the caller's


def install(folder: Path) -> Path:
    """Install orka and what it depends on into an environment in `folder`; where its programs are.

    A development environment is no measure: its editable install makes each start of Python
    15 ms slower, and httpx imports a command line of its own where the development tools
    have brought click, which costs orkad 60 ms and 5 MB.
    """
    source, wheels, environment = (folder / name for name in ("source", "wheels", "environment"))
    source.mkdir()  # a copy, because setuptools builds where the source lies
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name)
        else:
            shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["wheel", "--no-index", "--no-deps", "--no-build-isolation", f"--wheel-dir={wheels}"]
    said([*pip, *build, str(source)])
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    (wheel,) = wheels.iterdir()
    said([*pip, f"--python={python}", "install", "--no-index", "--no-deps", str(wheel)])
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = environment / "lib" / version / "site-packages"
    for entry in sorted(set(entries(dependencies("orka")))):
        (packages / entry.name).symlink_to(entry)
    return python.parent


def dependencies(name: str) -> dict[str, Distribution]:
    """The distributions that pip installs with this one, by name, from those that are here."""
    found: dict[str, Distribution] = {}
    pending = [name]
    while pending:
        for text in distribution(pending.pop()).requires or ():
            needed = Requirement(text)
            wanted = needed.marker is None or needed.marker.evaluate({"extra": ""})
            if wanted and needed.name not in found:
                found[needed.name] = distribution(needed.name)
                pending.append(needed.name)
    return found


def entries(distributions: dict[str, Distribution]) -> Iterator[Path]:
    """What these have in site-packages: packages, modules and their metadata."""
    for found in distributions.values():
        for file in found.files or ():
            if file.parts[0] not in ("..", "__pycache__"):
                yield Path(str(found.locate_file(file.parts[0])))


class Orka:
    """One user's orka, whose shell means `kubeconfig`."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self._folder = folder
        self._programs = programs

    @property
    def log(self) -> Path:
        """Of an orkad in the background, anew from each start."""
        return self._folder / "orka" / "orkad.log"

    @property
    def environ(self) -> dict[str, str]:
        """Of each of its processes."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return {
            **kept,
            "HOME": str(self._folder),
            "XDG_RUNTIME_DIR": str(self._folder),
            "KUBECONFIG": str(self.kubeconfig),
        }

    def argv(self, program: str, *args: str) -> list[str]:
        """A command line of orkad or orkactl."""
        return [str(self._programs / program), *args]

    def timed(self, program: str, *args: str, lines: int) -> Timed:
        """A command that is measured; it must print so many lines."""
        argv, output = self.argv(program, *args), self._folder / f"{program}.out"
        return Timed(argv, self.environ, output, lines)

    def said(self, program: str, *args: str) -> str:
        """What a command prints that is not measured."""
        return said(self.argv(program, *args), self.environ)

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """Run an orkad for the block."""
        self.said("orkad", "--background")
        try:
            yield
        finally:
            self.said("orkactl", "stop")
