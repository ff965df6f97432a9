"""A recorded file served instead of a cluster."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.harness import Orka

CORPUS = Path(__file__).parents[2] / "replay" / "corpus"
DIGESTS = re.compile(r"final snapshot kind=\S+ epoch=\d+ objects=\d+ digest=[0-9a-f]{16}")


def run_once(orka: Orka, recording: Path) -> tuple[str, list[str]]:
    """What a daemon that replays it answers and says at its end."""
    with orka.daemon("--replay", str(recording)) as daemon:
        orka.ctl("ls", "certificates", "-A", "-o", "name").ok()
        listed = orka.ctl("ls", "certificates", "-A", "-o", "json").ok().stdout
        assert daemon.stop() == 0
        return listed.partition('"items":')[2], DIGESTS.findall(daemon.log)


@pytest.mark.parametrize("recording", sorted(CORPUS.glob("*.ndjson")), ids=lambda path: path.stem)
def test_the_same_recording_gives_the_same_bytes(orka: Orka, recording: Path) -> None:
    """Two runs end in byte-identical items and the same digest."""
    first = run_once(orka, recording)
    second = run_once(orka, recording)

    assert first == second
    items, digests = first
    assert len(items.splitlines()) > 2
    assert digests


def test_a_recording_is_never_live_and_says_so(orka: Orka) -> None:
    """Truth names the recording; what could not be understood is counted."""
    orka.start("--replay", str(CORPUS / "malformed.ndjson"))

    done = orka.ctl("ls", "certificates", "-A")
    document = orka.ctl("ls", "certificates", "-A", "-o", "json").json()

    assert "stale" in done.ok().stderr
    assert "malformed.ndjson" in done.stderr
    assert "not understood" in done.stderr
    assert document["truth"]["quarantined"] > 0
    assert {item["name"] for item in document["items"]} >= {"good-1-tls"}


def test_a_recording_that_is_not_there_is_a_clear_error(orka: Orka) -> None:
    """Exit 1 with flag and path, before anything is served."""
    done = orka.orkad("--replay", "/nonexistent.ndjson")

    assert done.returncode == 1
    assert "--replay /nonexistent.ndjson" in done.stderr
    assert not orka.socket.exists()
