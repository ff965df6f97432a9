"""docs/protocol.md is held to the code: its examples are golden, its tables complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from orka.client.cli import BROKEN_PIPE_EXIT
from orka.daemon.serve.client import DROP_SECONDS, LAGGING_SECONDS
from orka.daemon.serve.session import HELLO_SECONDS, REQUESTS_AHEAD
from orka.proto.address import SOCKET_PATH_MAX_BYTES
from orka.proto.errors import EXIT_OF_CODE
from orka.proto.handshake import CAPABILITIES
from orka.proto.names import (
    CLIENT_FRAME_MAX_BYTES,
    PAGE_MAX_ROWS,
    PROTOCOL,
    SERVER_FRAME_MAX_BYTES,
    STATES,
    TEXT_CHUNK_MAX_BYTES,
)
from tests.proto.examples import CLIENT, SERVER, golden

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()

EXAMPLES = dict(re.findall(r"<!-- golden: (\S+) -->\n```json\n(.*?)\n```", PAGE, re.DOTALL))


@pytest.mark.parametrize("name", [*CLIENT, *SERVER])
def test_every_message_is_explained_with_its_golden_example(name: str) -> None:
    """The example on the page is the readable form in the golden file."""
    assert json.loads(EXAMPLES[name]) == golden(name).message


def test_the_page_has_no_other_examples() -> None:
    """Each is held to a file."""
    assert set(EXAMPLES) == {*CLIENT, *SERVER}
    assert PAGE.count("```json") == len(EXAMPLES)


def test_the_frame_on_the_page_is_golden() -> None:
    """The one frame that is shown in bytes."""
    (shown,) = re.findall(r"```\n((?:[0-9a-f]{2} ?)+)\n```", PAGE)

    assert bytes.fromhex(shown) == golden("stop").frame


def test_the_table_of_codes_is_the_one_in_the_code() -> None:
    """Every code with its exit code, and no code that does not exist."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", PAGE, re.MULTILINE)

    assert [(code, int(status)) for code, status in rows] == [
        (code, int(status)) for code, status in EXIT_OF_CODE.items()
    ]


def test_the_table_of_states_is_the_one_in_the_code() -> None:
    """Every state, in the same order."""
    table = PAGE.split("| state | means |")[1].split("\n\n")[0]

    assert tuple(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == STATES


@pytest.mark.parametrize(
    "text",
    [
        f"`protocol` is {PROTOCOL}.",
        f"The path may have {SOCKET_PATH_MAX_BYTES} bytes.",
        f"| a client | {CLIENT_FRAME_MAX_BYTES // 1024} KiB |",
        f"| the daemon | {SERVER_FRAME_MAX_BYTES // 1024**2} MiB |",
        f"at most {PAGE_MAX_ROWS} rows",
        f"at most {TEXT_CHUNK_MAX_BYTES // 1024} KiB",
        f"says nothing for {HELLO_SECONDS:.0f} s",
        f"Up to {REQUESTS_AHEAD} requests",
        f"blocked for {LAGGING_SECONDS:.0f} s",
        f"taken no byte for {DROP_SECONDS:.0f} s",
        f"ends with {BROKEN_PIPE_EXIT}",
        *(f"| `{capability}` |" for capability in CAPABILITIES),
    ],
)
def test_the_numbers_on_the_page_are_those_of_the_code(text: str) -> None:
    """A limit that changes must change here too."""
    assert text in PAGE
