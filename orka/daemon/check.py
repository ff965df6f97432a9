"""A target to a few lines: what it means, and whether its cluster knows us (`orkad --check`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import trio

from orka.daemon.kube.client import HttpxKubeClient
from orka.daemon.kube.connection import Connection
from orka.daemon.kube.credentials import method
from orka.daemon.kube.errors import FailureKind, KubeError, failure_of_response
from orka.daemon.kube.exec_plugin import Plugins
from orka.daemon.kube.http import JSON, Response
from orka.daemon.kube.identity import KUBE_SYSTEM
from orka.daemon.kube.kubeconfig import load
from orka.daemon.kube.kubeconfig_files import Read, read_file
from orka.daemon.model import SystemClock
from orka.proto.errors import OrkaError, Refused
from orka.proto.messages import Target

ANSWER_SECONDS = 15.0  # for one answer; what a plugin takes comes before it
NAME_CHARS = 11  # of the longest name of a line, and a gap


@dataclass(frozen=True, slots=True)
class Report:
    """What was found; `error` is why it will not do, None if it will."""

    lines: tuple[str, ...]
    error: OrkaError | None = None


class _Version(msgspec.Struct):
    gitVersion: str = "unknown"  # noqa: N815 -- the API's name


def check(target: Target, environ: Mapping[str, str], *, read: Read = read_file) -> Report:
    """Load everything and make one authenticated request. Raises nothing that a user can repair."""
    lines: list[str] = []
    files: dict[str, str] = {}

    def noting(path: str) -> bytes:
        try:
            content = read(path)
        except OSError:
            files[path] = " (not found or not readable)"
            raise
        files[path] = ""
        return content

    try:
        connection = load(target, environ, read=noting)
        lines += [
            _line("files", ", ".join(f"{path}{why}" for path, why in files.items()) or "none")
        ]
        lines += _described(connection)
        result = trio.run(_asked, connection, environ, lines)
    except OrkaError as error:
        if not lines:
            lines.append(_line("files", ", ".join(target.kubeconfig) or "none"))
        return Report(tuple(lines), error)
    return Report((*lines, _line("result", result)))


def _described(connection: Connection) -> list[str]:
    acting = connection.credentials.impersonation
    how = method(connection.credentials)
    return [
        _line("context", connection.context or "none"),
        _line("server", connection.url),
        _line("namespace", connection.namespace),
        _line("user", connection.user or "none"),
        _line("auth", f"{how}, acting as {acting.user}" if acting is not None else how),
    ]


async def _asked(connection: Connection, environ: Mapping[str, str], lines: list[str]) -> str:
    """Add the server's version to `lines`; the result in words. Raises OrkaError."""
    plugins = Plugins(environ, SystemClock())
    client = HttpxKubeClient(connection, plugins=plugins)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(plugins.run, name="plugins")
        result: str | OrkaError
        try:
            result = await _result(client, lines)
        except OrkaError as error:
            result = error  # raised outside, where no nursery wraps it
        await client.aclose()
        nursery.cancel_scope.cancel(reason="asked")
    if isinstance(result, OrkaError):
        raise result
    return result


async def _result(client: HttpxKubeClient, lines: list[str]) -> str:
    # The one answer that proves who we are: version and discovery are often open to anybody.
    answer = await _get(client, KUBE_SYSTEM)
    failure = failure_of_response(answer.status, answer.headers, answer.body)
    if failure.kind is FailureKind.UNAUTHORIZED:
        raise KubeError(failure, hint=f"{client.connection.url} does not know these credentials")
    lines.append(_line("version", _version(await _get(client, "/version"))))
    who = "not authenticated, which this server does not ask for"
    if method(client.connection.credentials) != "anonymous":
        who = "authenticated"
    if answer.status == 200:
        return who
    if failure.kind is FailureKind.FORBIDDEN:
        return f"{who}, though not allowed to read the namespace kube-system"
    if failure.kind is FailureKind.NOT_FOUND:
        return f"{who}; the server has no namespace kube-system"
    raise KubeError(failure)


async def _get(client: HttpxKubeClient, path: str) -> Response:
    while True:
        try:
            with trio.move_on_after(ANSWER_SECONDS):
                return await client.get(path, {}, JSON)
        except KubeError:
            if not client.authenticator.busy:
                raise
        else:
            raise Refused(f"{path}: no answer within {ANSWER_SECONDS:g} s", code="timeout")


def _version(response: Response) -> str:
    try:
        return msgspec.json.decode(response.body, type=_Version).gitVersion
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"not told ({response.status})"


def _line(name: str, value: str) -> str:
    return f"{name + ':':<{NAME_CHARS}}{value}"
