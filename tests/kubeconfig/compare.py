"""Two answers to one setup to what differs, and to the name of the difference if it is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from posixpath import join, normpath

from tests.kubeconfig.oracle import Answer, Failure
from tests.kubeconfig.setups import ROOT, Setup


@dataclass(frozen=True)
class Pair:
    """One setup with both answers."""

    setup: Setup
    oracle: Answer
    orka: Answer

    def differences(self) -> list[str]:
        """What differs, one line each; [] if orka does as client-go does."""
        ours, theirs = self.orka, self.oracle
        if theirs.error is not None or ours.error is not None:
            return _failures(theirs, ours)
        assert theirs.config is not None
        assert ours.config is not None
        if theirs.later is not None:
            # No request is ever sent: what it would have been does not matter.
            if ours.later is not None and _same_later(ours.later.field, theirs.later.field):
                return []
            return [f"later: client-go {theirs.later}, orka {ours.later}"]
        lines = [] if ours.later is None else [f"later: client-go none, orka {ours.later}"]
        left, right = _effective(theirs.config), _effective(ours.config)
        return lines + [
            f"{key}: client-go {left.get(key)!r}, orka {right.get(key)!r}"
            for key in sorted(left.keys() | right.keys())
            if left.get(key) != right.get(key)
        ]


def _same_later(ours: str, theirs: str) -> bool:
    # Which half of a pair is wrong cannot be told.
    return ours.replace("client-key", "client-certificate") == theirs


def _failures(theirs: Answer, ours: Answer) -> list[str]:
    if theirs.error is None:
        assert ours.error is not None
        # orka says at once what is wrong, client-go when it builds the first request.
        if theirs.later is not None and ours.error.class_ == "invalid":
            return []
        return [f"client-go takes it (later: {theirs.later}), orka: {ours.error.text}"]
    if ours.error is None:
        return [f"orka takes it (later: {ours.later}), client-go: {theirs.error.text}"]
    if theirs.error.class_ != ours.error.class_:
        said = f"client-go {theirs.error.class_} ({theirs.error.text})"
        return [f"class: {said}, orka {ours.error.class_} ({ours.error.text})"]
    # client-go names a file as $KUBECONFIG does, orka by its absolute path.
    files = [name if name.startswith(ROOT) else join(ROOT, name) for name in theirs.error.files]
    if ours.error.files and ours.error.files[0] not in map(normpath, files):
        return [f"files: client-go {theirs.error.files}, orka {ours.error.files}"]
    missing = _fields(theirs.error) - _fields(ours.error)
    if missing:
        return [f"problems of {sorted(missing)} only by client-go: {theirs.error.text}"]
    return []


def _fields(failure: Failure) -> set[str]:
    return {problem.field for problem in failure.problems}


def _effective(config: Mapping[str, object]) -> dict[str, object]:
    """A config less what cannot matter, in one form."""
    result = {key: value for key, value in config.items() if key != "auth_provider" or value}
    if result.get("in_cluster"):
        # Only orka has a name for what is no context.
        result["context"] = ""
    result["host"] = str(result["host"]).lower()
    if result["scheme"] == "http":
        for key in ("ca", "insecure", "tls_server_name"):
            result.pop(key, None)
    # White space around a token is cut when it is used, by both.
    result["token"] = str(result.get("token") or "").strip()
    for key in ("plugin", "impersonate"):
        inner = result.get(key)
        if isinstance(inner, dict):
            result[key] = {name: _none_if_empty(value) for name, value in inner.items()}
    return result


def _none_if_empty(value: object) -> object:
    if isinstance(value, dict):
        return {key: inner or None for key, inner in value.items()} or None
    return value or None


@dataclass(frozen=True)
class Known:
    """A difference that was chosen: its name, why, and how it shows."""

    name: str
    reason: str
    holds: Callable[[Pair], bool]


def name_of(pair: Pair, known: tuple[Known, ...]) -> str | None:
    """The first known difference that this one is, or None."""
    return next((one.name for one in known if one.holds(pair)), None)
