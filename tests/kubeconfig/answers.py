"""What orka makes of a setup that is laid out, in the shape of the oracle's answers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

from orka.daemon.kube.certificate_files import FileCertificate
from orka.daemon.kube.connection import (
    Basic,
    CertificateFiles,
    ClientCertificate,
    Connection,
    ExecPlugin,
    Impersonation,
    Proxy,
    StaticToken,
    TokenFile,
)
from orka.daemon.kube.in_cluster import SERVICE_ACCOUNT_DIR
from orka.daemon.kube.kubeconfig import load
from orka.daemon.kube.kubeconfig_files import Read, read_file
from orka.daemon.kube.tls import client_context
from orka.proto.address import kubeconfig_paths
from orka.proto.errors import ConfigError
from orka.proto.messages import Target
from tests.kubeconfig.oracle import Answer, Failure, Problem
from tests.kubeconfig.setups import ROOT, Setup


def orka_answer(setup: Setup, root: Path) -> Answer:
    """What orka does with `setup`, as `Setup.lay_out` returned it, started in `root`."""

    def read(path: str) -> bytes:
        inside = path.startswith(SERVICE_ACCOUNT_DIR)
        return read_file(str(root / path[1:]) if inside else path)

    with contextlib.chdir(root):
        source, paths = kubeconfig_paths(setup.flags.kubeconfig, setup.env)
    target = Target(source, paths, setup.flags.context or None)
    try:
        connection = load(target, setup.env, read=read)
    except ConfigError as exc:
        return Answer(error=_rooted_failure(exc, root))
    config = json.loads(json.dumps(_config(connection, read)).replace(str(root), ROOT))
    try:
        pair = connection.credentials.certificate
        if isinstance(pair, CertificateFiles):
            pair = FileCertificate(pair, user=connection.user, read=read).current()
        # Loading the system's CAs takes longer than all the rest, and cannot fail.
        no_ca = connection.ca is None
        client_context(replace(connection, insecure=True) if no_ca else connection, pair)
    except ConfigError as exc:
        failure = _rooted_failure(exc, root)
        return Answer(config=config, later=failure.problems[0])
    return Answer(config=config)


def _config(connection: Connection, read: Read) -> dict[str, object]:
    credentials = connection.credentials
    token, token_file = "", ""
    match credentials.token:
        case StaticToken(value):
            token = value
        case TokenFile(path, fallback):
            # client-go has the file's first content where there is no other token.
            token = read(path).decode() if fallback is None else fallback
            token_file = path
    ca = connection.ca_path or _hash(connection.ca)
    return {
        "scheme": "https" if connection.tls else "http",
        "host": connection.host,
        "port": str(connection.port),
        "path": connection.path_prefix,
        "namespace": connection.namespace,
        "context": connection.context,
        "cluster": connection.cluster,
        "user": connection.user,
        "in_cluster": connection.in_cluster,
        "ca": ca,
        "insecure": connection.insecure,
        "tls_server_name": connection.tls_server_name or "",
        "disable_compression": connection.disable_compression,
        "proxy": _proxy(connection.proxy),
        "token": token,
        "token_file": token_file,
        "basic": _basic(credentials.basic),
        "certificate": _certificate(credentials.certificate),
        "impersonate": _impersonation(credentials.impersonation),
        "plugin": _plugin(credentials.plugin),
    }


def _hash(data: bytes | None) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}" if data else ""


def _basic(basic: Basic | None) -> list[str] | None:
    return None if basic is None else [basic.username, basic.password]


def _proxy(proxy: Proxy | None) -> dict[str, object] | None:
    return (
        None
        if proxy is None
        else {
            "scheme": proxy.scheme,
            "host": proxy.host,
            "port": str(proxy.port),
            "basic": _basic(proxy.basic),
        }
    )


def _certificate(pair: ClientCertificate | CertificateFiles | None) -> list[str] | None:
    match pair:
        case ClientCertificate(certificate, key):
            return [_hash(certificate), _hash(key)]
        case CertificateFiles(certificate_path, key_path):
            return [certificate_path, key_path]
        case None:
            return None


def _impersonation(impersonation: Impersonation | None) -> dict[str, object] | None:
    return (
        None
        if impersonation is None
        else {
            "user": impersonation.user,
            "uid": impersonation.uid,
            "groups": list(impersonation.groups),
            "extra": {key: list(values) for key, values in impersonation.extra},
        }
    )


def _plugin(plugin: ExecPlugin | None) -> dict[str, object] | None:
    return (
        None
        if plugin is None
        else {
            "command": plugin.command,
            "args": list(plugin.args),
            "env": [list(pair) for pair in plugin.env],
            "api_version": plugin.api_version,
            "interactive_mode": plugin.interactive_mode,
            "install_hint": plugin.install_hint,
            "cluster": plugin.cluster_info and json.loads(plugin.cluster_info),
        }
    )


# How orka words each class. That a message names the file is checked by this too.
_MISSING = re.compile(r"kubeconfig .+ not found$")
_BROKEN = re.compile(r"kubeconfig (?P<file>.+?)(?: is not YAML)?: ")
_UNKNOWN = re.compile(r'(?:current-)?context "(?s:.*?)" does not exist in ')
_EMPTY = re.compile(
    r"no context is selected|kubeconfig .* has no contexts$|kubeconfig not found: |"
    r'no kubeconfig is named|context "(?s:.*?)" \(.+?\): cluster: '
)
_PROBLEM = re.compile(
    r'(?:^|: |; )(?P<entry>user|cluster) "(?s:.*?)"(?: \((?s:.*?)\))?: '
    r"(?P<field>[A-Za-z./-]+)(?P<rest>[^;]*)"
)
_SAME_FIELD = {
    "username/password": "token",
    "token/username": "token",
    "username": "token",
    "as-uid": "as",
    "as-groups": "as",
    "as-user-extra": "as",
}


def _rooted_failure(exc: ConfigError, root: Path) -> Failure:
    return _failure(exc.message.replace(str(root), ROOT))


def _failure(text: str) -> Failure:
    problems = tuple(
        Problem(_field(found["entry"], found["field"]), found.group())
        for found in _PROBLEM.finditer(text)
    )
    if problems:
        return Failure("invalid", problems=problems, text=text)
    if _MISSING.match(text):
        return Failure("missing", text=text)
    if _UNKNOWN.match(text):
        return Failure("context-unknown", text=text)
    if _EMPTY.match(text):
        return Failure("empty", text=text)
    broken = _BROKEN.match(text)
    if broken:
        return Failure("broken", files=(broken["file"],), text=text)
    return Failure("?", text=text)


def _field(entry: str, name: str) -> str:
    if name.startswith("environment."):
        return name
    name = name.removesuffix("-data")
    return f"{entry}.{_SAME_FIELD.get(name, name)}"
