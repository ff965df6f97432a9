"""What a program printed to one short line that is safe to show: no controls, no secrets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

WORDS_MAX_CHARS = 400  # a line or two: the end of what was said, which is where the reason stands
CUT = "[cut]"
SECRET_MIN_CHARS = 8  # a shorter word of the output is more likely to be a word than a secret
OPAQUE_MIN_CHARS = 16  # letters and digits mixed, without a break: no word and no host name
LONG_MIN_CHARS = 32  # whatever it is made of

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.?)", re.DOTALL)
_PEM = re.compile(r"-----BEGIN [^-\n]*-----.*?(?:-----END [^-\n]*-----|\Z)", re.DOTALL)
_NAMED = re.compile(
    r"(?i)((?:token|password|passwd|secret|api[-_]?key|credential|authorization)[\w-]*[\"']?"
    r"\s*[:=]\s*[\"']?(?:(?:bearer|basic)\s+)?|\b(?:bearer|basic)\s+)[^\s\"',;]+"
)
_RUN = re.compile(rf"[A-Za-z0-9+/=_.~-]{{{OPAQUE_MIN_CHARS},}}")
_PIECE = re.compile(r"[A-Za-z0-9+]+")
_OUTPUT_WORD = re.compile(rf"[^\s\"',:{{}}\[\]\\]{{{SECRET_MIN_CHARS},}}")


def last_words(said: bytes, secrets: Iterable[str] = ()) -> str:
    """The end of `said` as one line.

    Cut are `secrets`, PEM blocks, what follows words like `token=`, and whatever looks like a
    token: better a reason with a hole in it than a credential in a log.
    """
    text = _ESCAPES.sub("", said.decode("utf-8", "replace"))
    text = _PEM.sub(CUT, text)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, CUT)
    text = _NAMED.sub(lambda match: match[1] + CUT, text)
    text = _RUN.sub(_unless_opaque, text)
    return plain(text)[-WORDS_MAX_CHARS:].strip()


def words_of(output: bytes) -> set[str]:
    """Every word of an output that may be a secret, so that it can be cut elsewhere."""
    return set(_OUTPUT_WORD.findall(output.decode("utf-8", "replace")))


def plain(text: str) -> str:
    """One line: control and format characters become spaces, white space is one space."""
    return " ".join("".join(" " if unicodedata.category(c)[0] == "C" else c for c in text).split())


def escaped(text: str) -> str:
    """One line in which every control character is shown as its escape."""
    line = " ".join(part.strip() for part in text.strip().splitlines())
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c)[0] == "C" else c
        for c in line
    )


def _unless_opaque(match: re.Match[str]) -> str:
    return CUT if any(_opaque(piece) for piece in _PIECE.findall(match[0])) else match[0]


def _opaque(piece: str) -> bool:
    mixed = any(c.isdigit() for c in piece) and any(c.isalpha() for c in piece)
    return len(piece) >= LONG_MIN_CHARS or (mixed and len(piece) >= OPAQUE_MIN_CHARS)
