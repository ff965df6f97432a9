"""A kubeconfig setup as one JSON file: files, environment and flags, and how it is laid out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

ROOT = "$ROOT"  # in a setup and in answers: the folder where it is laid out
SERVICE_ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount"  # below the root, for a pod
HERE = Path(__file__).parent
CASES = HERE / "cases"
ANSWERS = HERE / "answers.json"  # by the name of the case, one line each


class Flags(msgspec.Struct, frozen=True, omit_defaults=True):
    """The command line; None and "" are both no flag."""

    kubeconfig: str | None = None
    context: str | None = None


class Setup(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one shell has. Its working directory is the root.

    A path in `files` that ends with "/" is an empty folder. Lone surrogates stand for bytes
    that are not UTF-8, as Python's `surrogateescape` has them.
    """

    files: dict[str, str] = {}
    modes: dict[str, str] = {}  # octal; 0600 where it has none
    env: dict[str, str] = {}
    flags: Flags = Flags()

    @property
    def pod(self) -> bool:
        """Whether it brings a service account, which client-go looks for at a fixed path."""
        return any(path.startswith(SERVICE_ACCOUNT) for path in self.files)

    def lay_out(self, root: Path) -> Setup:
        """Write the files below `root`; the setup with the root's path in its strings."""
        for name, content in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir(exist_ok=True)
            else:
                text = content.replace(ROOT, str(root))
                path.write_bytes(text.encode("utf-8", "surrogateescape"))
                path.chmod(int(self.modes.get(name, "0600"), 8))

        def rooted(text: str) -> str:
            return text.replace(ROOT, str(root))

        return Setup(
            env={name: rooted(value) for name, value in self.env.items()},
            flags=Flags(
                rooted(self.flags.kubeconfig or ""),
                self.flags.context or "",
            ),
        )


@contextmanager
def laid_out(setup: Setup) -> Iterator[tuple[Setup, Path]]:
    """The setup in a folder of its own, as `lay_out` returns it, and that folder."""
    memory = Path("/dev/shm")  # a hundred thousand small files, none of them to be kept
    with TemporaryDirectory(
        prefix="orka-kubeconfig-", dir=memory if memory.is_dir() else None
    ) as folder:
        root = Path(folder)
        yield setup.lay_out(root), root


def read_setup(path: Path) -> Setup:
    """The setup in a file; ValueError if it is none."""
    # Not msgspec's decoder: it takes no lone surrogates.
    return msgspec.convert(json.loads(path.read_text("utf-8")), Setup)


def write_setup(path: Path, setup: Setup) -> None:
    """As `read_setup` takes it."""
    path.write_text(json.dumps(msgspec.to_builtins(setup), indent=1) + "\n", "utf-8")
