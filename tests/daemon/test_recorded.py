"""A recorded file is served as a cluster, and always ends in the same snapshot."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from orka.daemon.instruments import Instruments
from orka.daemon.kinds import Settings, digest
from orka.daemon.model import DeltaKind
from orka.daemon.recorded import Recorded, RecordedCluster, Recording, read_recording
from orka.daemon.world.snapshot import Snapshot
from orka.proto.errors import ConfigError, Refused
from tests.support.fakes import TrioClock
from tests.support.whole import TARGET

CORPUS = Path(__file__).parents[2] / "replay" / "corpus"


@asynccontextmanager
async def replayed(recording: Recording, queue_cap: int = 2048) -> AsyncIterator[Recorded]:
    """The recording as a cluster that has been fed to its end."""
    settings = Settings(
        cluster=recording.digest,
        context="replay",
        queue_cap=queue_cap,
        idle_seconds=60,
        clock=TrioClock(),
        random=Random(0),
        instruments=Instruments(),
    )
    recorded = Recorded(RecordedCluster(recording, settings), TrioClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorded.run)
        await trio.sleep(60)
        await wait_all_tasks_blocked()
        yield recorded
        nursery.cancel_scope.cancel()


def snapshots(recorded: Recorded) -> dict[str, Snapshot]:
    """What every kind ended with."""
    return {
        kind.resource.gvk: kind.world.latest.value for cluster in recorded for kind in cluster.kinds
    }


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    """A recording of these lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def line(kind: str, name: str, uid: str, **metadata: str) -> dict[str, Any]:
    """A recorded line about a pod."""
    return {
        "kind": kind,
        "uid": uid,
        "raw": {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "ns", "uid": uid, **metadata},
        },
    }


@pytest.mark.parametrize("name", ["tiny", "malformed", "recreated"])
async def test_the_same_file_ends_in_the_same_snapshot(
    autojump_clock: MockClock, name: str
) -> None:
    """Byte for byte, at the same epoch, also with room for one delta at a time."""
    recording = read_recording(CORPUS / f"{name}.ndjson")
    async with replayed(recording) as first:
        once = snapshots(first)
    async with replayed(recording) as second:
        twice = snapshots(second)
    async with replayed(recording, queue_cap=1) as narrow:
        one_by_one = snapshots(narrow)

    assert once
    assert {k: (s.epoch, digest(s)) for k, s in once.items()} == {
        k: (s.epoch, digest(s)) for k, s in twice.items()
    }
    assert {k: digest(s) for k, s in once.items()} == {k: digest(s) for k, s in one_by_one.items()}


@pytest.mark.parametrize("name", ["tiny", "recreated"])
async def test_a_corpus_file_ends_as_a_plain_dict_says(
    autojump_clock: MockClock, name: str
) -> None:
    """The last word on each key, read without any of orka's stages."""
    model: dict[tuple[str, str, str], str] = {}
    for text in (CORPUS / f"{name}.ndjson").read_text().splitlines():
        entry = json.loads(text)
        meta = entry["raw"]["metadata"]
        key = (entry["raw"]["kind"], meta.get("namespace", ""), meta["name"])
        if entry["kind"] == "Applied":
            model[key] = entry["uid"]
        elif model.get(key) == entry["uid"]:
            del model[key]
    async with replayed(read_recording(CORPUS / f"{name}.ndjson")) as recorded:
        ended = {
            (gvk.rpartition("/")[2], row.namespace or "", row.name): row.uid
            for gvk, snapshot in snapshots(recorded).items()
            for rows in snapshot.rows(None)
            for row in rows
        }

    assert set(ended) == set(model)
    assert {key: uid.hex() for key, uid in ended.items()} == {
        key: uid.replace("-", "") for key, uid in model.items()
    }


@given(
    st.lists(
        st.tuples(
            st.sampled_from(DeltaKind), st.sampled_from("abc"), st.integers(0, 1), st.integers(1, 9)
        ),
        max_size=30,
    ),
    st.integers(1, 5),
)
def test_any_recording_ends_as_a_plain_dict_says(
    steps: list[tuple[DeltaKind, str, int, int]], queue_cap: int
) -> None:
    """Whatever the order of lines and however narrow the queue: nothing is dropped."""
    lines = [
        line(
            kind.value,
            name,
            f"00000000-0000-0000-0000-{ord(name):010}{uid:02}",
            resourceVersion=str(rv),
        )
        for kind, name, uid, rv in steps
    ]
    model: dict[str, str] = {}
    for entry in lines:
        name = entry["raw"]["metadata"]["name"]
        if entry["kind"] == "Applied":
            model[name] = entry["uid"]
        elif model.get(name) == entry["uid"]:
            del model[name]

    async def check(path: Path) -> None:
        async with replayed(read_recording(path), queue_cap) as recorded:
            rows = [
                row
                for snapshot in snapshots(recorded).values()
                for page in snapshot.rows(None)
                for row in page
            ]
        assert {row.name: row.uid.hex() for row in rows} == {
            name: uid.replace("-", "") for name, uid in model.items()
        }

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "r.ndjson", lines)
        trio.run(check, path, clock=MockClock(autojump_threshold=0))


async def test_p1_a_recording_is_never_live(autojump_clock: MockClock) -> None:
    """Every truth says that it is one, and when it has ended."""
    async with replayed(read_recording(CORPUS / "tiny.ndjson")) as recorded:
        truths = {snapshot.truth for snapshot in snapshots(recorded).values()}

    assert {truth.state for truth in truths} == {"stale"}
    assert {truth.reason for truth in truths} == {"the recording tiny.ndjson has ended"}


async def test_p7_what_is_malformed_is_quarantined_and_the_rest_is_served(
    autojump_clock: MockClock,
) -> None:
    """Counted by kind where the kind is known, else for the file."""
    recording = read_recording(CORPUS / "malformed.ndjson")
    async with replayed(recording) as recorded:
        quarantined = sum(
            kind.world.quarantined_total for cluster in recorded for kind in cluster.kinds
        )
        served = sum(snapshot.count for snapshot in snapshots(recorded).values())

    assert quarantined > 0
    assert recording.unattributed > 0
    assert served > 0


async def test_a_deletion_without_a_body_belongs_where_its_uid_was_seen(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """It is quarantined there: nobody can tell which key it means."""
    uid = "00000000-0000-0000-0000-000000000001"
    path = write(
        tmp_path / "r.ndjson", [line("Applied", "a", uid), {"kind": "Deleted", "uid": uid}]
    )
    async with replayed(read_recording(path)) as recorded:
        (kind,) = [kind for cluster in recorded for kind in cluster.kinds]

        assert kind.world.quarantined_total == 1


async def test_names_are_found_and_others_are_refused_with_what_there_is(
    autojump_clock: MockClock,
) -> None:
    """By GVK, kind, plural and singular."""
    async with replayed(read_recording(CORPUS / "recreated.ndjson")) as recorded:
        cluster, label = recorded.find(TARGET)
        (first, *_) = (await cluster.discover(label, prefer_crd=True)).resources
        for name in (first.gvk, first.kind, first.resource, first.kind.lower()):
            async with cluster.lease(label, name) as lease:
                assert lease.resource is first
        with pytest.raises(Refused) as caught:
            await cluster.start("nothing")

    assert caught.value.exit_code == 6
    assert first.gvk in (caught.value.hint or "")
    assert label.context == "replay"
    assert cluster.describe()["server"] == "recreated.ndjson"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With the flag it came from."""
    with pytest.raises(ConfigError, match=r"--replay .*/none: No such file"):
        read_recording(tmp_path / "none")
