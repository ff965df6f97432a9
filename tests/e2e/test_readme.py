"""The README's sessions are what a person sees: each command is run and compared, line by line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.harness import Orka
from tests.e2e.processes import eventually
from tests.e2e.servers import CERTIFICATES, NAMESPACES, Server

README = Path(__file__).parents[2] / "README.md"

# What differs from run to run, and what it is compared as.
VARYING = (
    (re.compile(r"^orkad \d+ serves \S+, log \S+$"), "orkad PID serves SOCKET, log LOG"),
    (re.compile(r"(?<=  )(\d+[ydhms])+$"), "AGE"),
    (re.compile(r"^(files|context|server|user|version): .+$"), r"\1: VALUE"),
    # The fake has no kube-system, and is said so.
    (re.compile(r"^(result: +authenticated).*$"), r"\1"),
)


@dataclass
class Step:
    """One command of a session and the lines it prints."""

    command: list[str]
    lines: list[str]


def sessions() -> Iterator[Step]:
    """Every command of the README's console blocks, in order."""
    for block in re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL):
        for part in block.removeprefix("$ ").split("\n$ "):
            command, *lines = part.rstrip("\n").split("\n")
            yield Step(shlex.split(command), lines)


def compared(lines: list[str]) -> list[str]:
    """The lines with what varies replaced."""
    found = []
    for line in lines:
        plain = line
        for pattern, name in VARYING:
            plain = pattern.sub(name, plain)
        found.append(plain)
    return found


def test_the_readmes_sessions_are_what_a_person_sees(orka: Orka, server: Server) -> None:
    """Started, listed, watched and mistyped as the README has it, on a server of each kind."""
    if ("", "shop") not in server.api.objects(NAMESPACES):
        server.api.create(NAMESPACES, "shop")
    for name in ("api-tls", "www-tls"):
        server.api.create(CERTIFICATES, name, "shop")
    for step in sessions():
        program, *arguments = step.command
        if program == "orkad":
            seen = orka.orkad(*arguments).stdout.splitlines()
        elif arguments[0] == "watch":
            seen = watched(orka, server, arguments)
        else:
            done = orka.ctl(*arguments)
            seen = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        assert compared(seen) == compared(step.lines), step.command


def watched(orka: Orka, server: Server, arguments: list[str]) -> list[str]:
    """What `orkactl watch` prints of the changes that the README shows."""
    watch = orka.running(*arguments)
    eventually(
        lambda: orka.kind("certificates.cert-manager.io")["watchers"] == 1, 10, "the watch is there"
    )
    server.api.create(CERTIFICATES, "new-tls", "shop")
    added = watch.line("+")
    server.api.touch(CERTIFICATES, "api-tls", "shop")
    changed = watch.line("~")
    server.api.delete(CERTIFICATES, "www-tls", "shop")
    return [added, changed, watch.line("- shop")]
