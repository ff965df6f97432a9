"""The recorded deltas: well-formed where they should be, hostile where they say so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).parents[2] / "replay" / "corpus"
README = CORPUS.parent / "README.md"


def deltas(name: str) -> list[Any]:
    """All lines of a well-formed file."""
    return [json.loads(line) for line in (CORPUS / name).read_text().splitlines()]


@pytest.mark.parametrize("name", ["tiny.ndjson", "recreated.ndjson"])
def test_well_formed_files_follow_the_format(name: str) -> None:
    """Each line has kind, uid and raw, and raw is an object with that uid."""
    for delta in deltas(name):
        assert set(delta) == {"kind", "uid", "raw"}
        assert delta["kind"] in ("Applied", "Deleted")
        raw = delta["raw"]
        assert (raw["apiVersion"], raw["kind"]) == ("cert-manager.io/v1", "Certificate")
        assert raw["metadata"]["uid"] == delta["uid"]


def test_the_tiny_file_has_some_of_everything() -> None:
    """A few dozen lines: objects that come, change, stay and go."""
    found = deltas("tiny.ndjson")

    uids = [delta["uid"] for delta in found]
    gone = {delta["uid"] for delta in found if delta["kind"] == "Deleted"}
    assert 24 <= len(found) <= 60
    assert len(set(uids)) < len(uids)
    assert 0 < len(gone) < len(set(uids))


def test_recreated_names_have_two_uids() -> None:
    """Both with a delete in between and without one."""
    found = deltas("recreated.ndjson")

    uids: dict[tuple[str, str], set[str]] = {}
    replaced_in_silence = 0
    present: dict[tuple[str, str], str] = {}
    for delta in found:
        meta = delta["raw"]["metadata"]
        key = (meta["namespace"], meta["name"])
        uids.setdefault(key, set()).add(delta["uid"])
        if delta["kind"] == "Deleted":
            if present.get(key) == delta["uid"]:
                del present[key]
            continue
        replaced_in_silence += present.get(key, delta["uid"]) != delta["uid"]
        present[key] = delta["uid"]
    assert max(len(of_name) for of_name in uids.values()) == 3
    assert replaced_in_silence == 3


def test_the_table_of_malformed_lines_is_complete() -> None:
    """The README says of every line what is wrong with it, and the good ones are good."""
    lines = (CORPUS / "malformed.ndjson").read_bytes().split(b"\n")
    table = re.findall(r"^\| (\d+) \| (.+) \|$", README.read_text(), re.MULTILINE)

    assert [int(number) for number, _ in table] == list(range(1, len(lines) + 1))
    good = [line for line, (_, said) in zip(lines, table, strict=True) if said == "good"]
    assert len(good) == 5
    assert all(json.loads(line)["raw"]["metadata"]["name"].endswith("-tls") for line in good)
    assert lines[-1] != b""
    with pytest.raises(json.JSONDecodeError):
        json.loads(lines[-1])
