"""One selected entry of a kubeconfig: its files and data read, its problems collected."""

from __future__ import annotations

from dataclasses import dataclass, field
from posixpath import dirname, isabs, join, normpath

from orka.daemon.kube.kubeconfig_files import Read, why_unreadable


@dataclass(slots=True)
class Checked:
    """Reads the fields of one entry and collects every problem with them."""

    what: str  # `cluster` or `user`
    name: str
    file: str  # "" for an entry that nobody wrote
    read: Read
    problems: list[str] = field(default_factory=list)

    def problem(self, field_name: str, why: str) -> None:
        """Add one: file, entry and field, and what was expected."""
        self.problems.append(f'{self.what} "{self.name}" ({self.file}): {field_name}: {why}')

    def path(self, value: str) -> str:
        """Absolute: relative to the file that named it; symlinks are not resolved."""
        if isabs(value):
            return value
        whole = normpath(join(dirname(self.file), value))
        # POSIX lets two slashes mean something else; Go makes one of them.
        return "/" + whole.lstrip("/")

    def one_of(self, name: str, path: str | None, data: bytes | None) -> bytes | None:
        """The bytes of a pair of fields like `client-key` and `client-key-data`."""
        if path and data:
            self.problem(name, f"given together with {name}-data, which would win")
            return None
        return self.content(name, path) if path else data or None

    def content(self, name: str, path: str) -> bytes | None:
        """A file that the entry names; None, with a problem, if it cannot be read."""
        full = self.path(path)
        try:
            return self.read(full)
        except (OSError, ValueError) as exc:
            self.problem(name, f"{full}: {why_unreadable(exc)}")
            return None
