"""YAML as Kubernetes reads it."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.kube.yaml11 import DEPTH_MAX_COUNT, load
from orka.daemon.kube.yaml11_scalars import YamlError, decode_base64, resolve

BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("y", True),
        ("On", True),
        ("no", False),
        ("OFF", False),
        ("nO", "nO"),
        ("~", None),
        ("Null", None),
        ("", None),
        ("12", 12),
        ("-0x1F", -31),
        ("0b11", 3),
        ("017", 15),
        ("0o17", 15),
        ("08", 8),
        ("+1_000", 1000),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 18446744073709551616),  # a float, which JSON writes like this
        ("0xFFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFF"),
        ("1.5e3", 1500),
        ("1.25", 1.25),
        (".5", 0.5),
        (".5_0", 0.5),
        (".5_", ".5_"),
        (".", "."),
        ("-", "-"),
        ("1e400", "1e400"),
        ("1e30", 1e30),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"),
        ("<<", "<<"),
        ("word", "word"),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    """Go's reading of YAML 1.1: many words are booleans, dates and base 60 are text."""
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("'12'", "12"),
        ("! 12", "12"),
        ("! '12'", "12"),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
        ("!!float 1", 1),
        ("!!bool yes", True),
        ("!!null ''", None),
        ("!!timestamp 2001-01-01", "2001-01-01"),
        ("!!binary aGk=", "hi"),
        ("!mine 12", "12"),
        ("a\n---\nb: [", "a"),  # what follows the first document is not even read
        ("{1: a, yes: b, 1.5: c, 0.1: d}", {"1": "a", "true": "b", "1.5": "c", "0.1": "d"}),
        ("{a: 1, a: 2}", {"a": 2}),
        ("[&x {a: 1}, *x, &x 2, *x]", [{"a": 1}, {"a": 1}, 2, 2]),
        ("{&k a: 1, b: *k}", {"a": 1, "b": "a"}),
        ("{a: 0, <<: {a: 1, b: 1}, b: 2}", {"a": 1, "b": 2}),
        ("{<<: [{a: 1}, {a: 2, b: 2}]}", {"a": 1, "b": 2}),
        ("[&m {a: 1}, {<<: *m}]", [{"a": 1}, {"a": 1}]),
        ("{<<: {<<: {a: 1}}}", {"a": 1}),
        ("[<<]", ["<<"]),
        ("{a: <<, '<<': b}", {"a": "<<", "<<": "b"}),
        ("%YAML 1.1\n---\na", "a"),
        ("\ufeffa", "a"),
    ],
)
def test_documents(text: str, value: object) -> None:
    """Keys are strings, the last of two wins, and a << wins over the keys before it."""
    assert load(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "line 2, column 1: did not find"),
        ("a: *x", "an alias without its anchor"),
        ("&x [*x]", "an anchor that contains itself"),
        (BOMB, "most of it comes from aliases"),
        ("{~: a}", "a key that JSON cannot say"),
        ("{18446744073709551615: a}", "a key that JSON cannot say"),
        ("{[a]: b}", "a key that JSON cannot say"),
        ("{<<: a}", "a << that is no mapping"),
        ("{<<: [a]}", "a << that is no mapping"),
        ("a: .inf", "a number that JSON cannot say"),
        ("a: [&x .nan, *x]", "a number that JSON cannot say"),
        ("!!int secret", "a scalar that is no !!int"),
        ("!!int yes", "a scalar that is no !!int"),
        ("!!timestamp secret", "a scalar that is no !!timestamp"),
        ("!!bool 1", "a scalar that is no !!bool"),
        ("!!binary secret!", "!!binary that is not base64"),
        ("%YAML 1.2\n---\na", "a %YAML directive of another version than 1.1"),
        ("a: \x01", "bytes that are not text"),
        ("[" * (DEPTH_MAX_COUNT + 1), "nested too deeply"),
    ],
)
def test_what_is_no_yaml_or_no_json(text: str, words: str) -> None:
    """The place where it is known, and never a value: it may be a secret."""
    with pytest.raises(YamlError) as caught:
        load(text.encode())

    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_number_that_is_not_finite_may_be_a_key_or_be_replaced() -> None:
    """JSON has to say only what is left in the end."""
    text = "{a: &x .nan, a: 1, .inf: b, -.inf: c, .nan: d}"

    assert load(text.encode()) == {"a": 1, ".inf": "b", "-.inf": "c", ".nan": "d"}


def test_bytes_that_are_no_text() -> None:
    """Neither UTF-8 nor UTF-16."""
    with pytest.raises(YamlError, match="bytes that are not text"):
        load(b"a: \xff\xfe")


def test_utf_16_is_text() -> None:
    """With its mark."""
    assert load("a: ü".encode("utf-16")) == {"a": "ü"}


def test_many_aliases_of_little_are_no_bomb() -> None:
    """Anchors are used for what they are for."""
    text = "a: &a {b: c}\nlist: [" + "*a, " * 200 + "]\n" + "plain: [" + "x, " * 1000 + "]"

    value = load(text.encode())
    assert isinstance(value, dict)
    assert value["list"] == [{"b": "c"}] * 200


def test_the_share_of_aliases_shrinks_with_size() -> None:
    """As goyaml has it: a tenth of a document of millions of values."""
    text = "a: &a [" + "x, " * 1000 + "]\nb: [" + "*a, " * 900 + "]"

    with pytest.raises(YamlError, match="most of it comes from aliases"):
        load(text.encode())


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn", "Zl", "Zp"])
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(JSON)
def test_json_is_yaml(value: object) -> None:
    """Every JSON document reads as what it says."""
    assert load(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_an_error(data: bytes) -> None:
    """Nothing else is raised."""
    with suppress(YamlError):
        load(data)


@pytest.mark.parametrize("text", ["QQ", "QQ=", "QQ==QQ==", "Q Q==", "QQ==\t", "ü", "Q-==", "="])
def test_base64_is_strict(text: str) -> None:
    """As Go's: padding is needed, blanks are not skipped."""
    with pytest.raises(ValueError, match="not base64"):
        decode_base64(text)


def test_base64_may_have_line_breaks() -> None:
    """Go skips these two characters and no other."""
    assert decode_base64("Q\r\nQ=\n=") == b"A"
    assert decode_base64("") == b""
