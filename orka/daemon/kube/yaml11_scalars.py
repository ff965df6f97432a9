"""YAML's scalars to plain values, as Kubernetes resolves them: goyaml v2, then JSON."""

from __future__ import annotations

import binascii
import math
import re
import struct

TAG = "tag:yaml.org,2002:"
INT64 = range(-(2**63), 2**63)
UINT64 = range(2**64)
JSON_INTEGER_BELOW = 1e21  # Go's JSON writes larger floats with an exponent

_WORDS: dict[str, object] = {
    **dict.fromkeys(
        ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True
    ),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE"), False),
    **dict.fromkeys(("off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_MAYBE_NO_STRING = frozenset("+-.0123456789~yYnNtTfFoO")  # first characters of all but strings
_NUMBER_BEGINS = frozenset("+-.0123456789")
_INTEGER = re.compile(
    r"([-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)"
    r"|(?P<dec>0|[1-9][0-9]*))"
)
_BASES = {"hex": 16, "bin": 2, "oct": 8, "dec": 10}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_STRAY_UNDERSCORE = re.compile(r"(?<![0-9])_|_(?![0-9])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?\Z")
_TYPES_OF_TAGS: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "null": (type(None),),
    "timestamp": (str,),
}


class YamlError(ValueError):
    """Not YAML, or YAML that no JSON can say; the text never quotes a value of the file."""


def resolve(text: str) -> object:
    """What a plain scalar means: YAML 1.1 words and numbers, but no dates and no base 60."""
    if not text:
        return None
    first = text[0]
    if first not in _MAYBE_NO_STRING:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if first not in _NUMBER_BEGINS:
        return text
    if first == "." and _STRAY_UNDERSCORE.search(text):
        return text  # all other numbers may have them anywhere
    plain = text.replace("_", "")
    found = _INTEGER.fullmatch(plain)
    if found is not None and found.lastgroup is not None:
        number = int(found[1] + found[found.lastgroup], _BASES[found.lastgroup])
        if number in INT64 or (not found[1] and number in UINT64):
            return number
    if _FLOAT.fullmatch(plain):
        fraction = float(plain)
        if math.isfinite(fraction):
            whole = fraction.is_integer() and abs(fraction) < JSON_INTEGER_BELOW
            return int(fraction) if whole else fraction
    return text


def tagged(tag: str, text: str) -> object:
    """What a scalar with a tag means; YamlError if it is not what the tag says."""
    name = tag.removeprefix(TAG) if tag.startswith(TAG) else ""
    if name == "binary":
        try:
            return decode_base64(text).decode("utf-8", "replace")
        except ValueError as exc:
            raise YamlError("!!binary that is not base64") from exc
    expected = _TYPES_OF_TAGS.get(name)
    if expected is None:
        return text  # !!str, or a tag that nobody knows
    value = resolve(text)
    if name == "timestamp" and not _DATE.match(text):
        raise YamlError("a scalar that is no !!timestamp")
    if not isinstance(value, expected) or (isinstance(value, bool) and name != "bool"):
        raise YamlError(f"a scalar that is no !!{name}")
    return value


def decode_base64(text: str) -> bytes:
    """Base64 as Go reads it: line breaks are skipped, nothing else; ValueError if it is not."""
    if "\n" in text or "\r" in text:
        text = text.replace("\n", "").replace("\r", "")
    # The strict mode takes padding that nothing needs.
    if len(text) % 4 or text.endswith("==="):
        raise ValueError("not base64")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as exc:
        raise ValueError("not base64") from exc


def key_of(value: object) -> str:
    """A key as JSON has it, which knows strings only; YamlError for what has no such form."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() if value in INT64:
            return str(value)
        case float():
            return _short(value)
    raise YamlError("a key that JSON cannot say")


def _short(value: float) -> str:
    """The shortest text that a 32-bit float reads as the same number."""
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    single = struct.pack("f", value)
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return next(text for text in texts if struct.pack("f", float(text)) == single)
