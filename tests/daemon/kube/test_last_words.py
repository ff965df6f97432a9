"""The words of a foreign program, made fit to be shown."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.kube.last_words import WORDS_MAX_CHARS, escaped, last_words, plain, words_of

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJlLXMzY3JldA"
PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGBy\nqGSM49AgEG\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"error: not logged in\n", "error: not logged in"),
        (b"\x1b[31mred\x1b[0m \x1b]0;title\x07plain\x00\r\n\tend", "red plain end"),
        ("\u202egnp.exe\u200b".encode(), "gnp.exe"),
        (b"\xff bytes", "\ufffd bytes"),
        (f"got {JWT} from".encode(), "got [cut] from"),
        (f"key {PEM} end".encode(), "key [cut] end"),
        (PEM[:40].encode(), "[cut]"),
        (b"password=hunter2 was refused", "password=[cut] was refused"),
        (b'{"token": "abc"}', '{"token": "[cut]"}'),
        (b"Authorization: Bearer abc", "Authorization: Bearer [cut]"),
        (b"sent Bearer abc", "sent Bearer [cut]"),
        (b"id 6f1ed002ab5595859014ebf0951522d9", "id [cut]"),
        (b"token expired, run: login", "token expired, run: login"),
        (
            b"Get https://sts.eu-central-1.amazonaws.com/: i/o timeout",
            "Get https://sts.eu-central-1.amazonaws.com/: i/o timeout",
        ),
        (b"open https://login.example.org/device", "open https://login.example.org/device"),
        (b"no file /home/me/.config/login/state.json", "no file /home/me/.config/login/state.json"),
    ],
)
def test_reasons_stay_and_secrets_go(said: bytes, shown: str) -> None:
    """Host names, paths and words are what a user needs."""
    assert last_words(said) == shown


def test_what_was_given_in_confidence_is_cut_wherever_it_is_repeated() -> None:
    """A plugin that prints its output to stderr as well."""
    output = b'{"status": {"token": "short-and-simple"}}'

    assert last_words(b"debug: short-and-simple!", words_of(output)) == "debug: [cut]!"


def test_only_the_end_is_shown() -> None:
    """The reason stands there."""
    shown = last_words(b"x " * 5000 + b"the reason")

    assert shown.endswith("the reason")
    assert len(shown) <= WORDS_MAX_CHARS


@given(st.binary(min_size=24, max_size=200), st.text(max_size=50), st.text(max_size=50))
def test_encoded_bytes_never_show(secret: bytes, before: str, after: str) -> None:
    """Whatever stands around them."""
    token = base64.b64encode(secret).decode().rstrip("=")
    if "/" in token or "+" in token:
        token = secret.hex()

    assert token not in last_words(f"{before} {token} {after}".encode("utf-8", "replace"))


@given(st.binary())
def test_no_control_character_gets_through(said: bytes) -> None:
    """Nothing reaches a terminal raw."""
    assert all(character.isprintable() for character in last_words(said))


def test_a_hint_keeps_its_words_and_shows_its_control_characters() -> None:
    """It is the kubeconfig's text; lines are joined."""
    assert escaped("install it:\n  apt install login\x1b[2J\n") == (
        "install it: apt install login\\x1b[2J"
    )
    assert plain("a\x1bb\n") == "a b"
