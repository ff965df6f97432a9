"""What a one-shot command may import: start-up is a feature, and imports are most of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orka.proto.messages import End, Text
from tests.support.scripted_daemon import ScriptedDaemon

FORBIDDEN = ("trio", "httpx", "rich", "yaml", "msgspec", "httptools", "immutables", "asyncio")

# `-m` would load runpy; this runs main as the installed script does.
PROGRAM = """
import sys
from orka.client.cli import main
status = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(status)
"""


def modules_of(environ: dict[str, str], *arguments: str) -> set[str]:
    """The modules that a command has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=environ,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.decode().split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls", "v1/Pod", "-A", "-o", "json", "--max-age", "5"],
        ["status"],
        ["discover"],
        ["metrics"],
        ["socket"],
        ["version"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_one_shot_commands_stay_light(
    socket_path: Path, environ: dict[str, str], arguments: list[str]
) -> None:
    """No event loop, HTTP client, decoder or painter is loaded to print what orkad rendered."""
    with ScriptedDaemon(socket_path, [Text(b"x\n"), End()], asked=arguments[0] != "version"):
        loaded = modules_of(environ, *arguments)

    assert not loaded.intersection(FORBIDDEN)
    assert "orka.proto.messages" not in loaded


def test_the_version_flag_imports_nothing(environ: dict[str, str]) -> None:
    """`--version` is answered before even the parser is loaded."""
    loaded = modules_of(environ, "--version")

    assert "cyclopts" not in loaded
    assert {name for name in loaded if name.startswith("orka")} == {
        "orka",
        "orka.client",
        "orka.client.cli",
    }
