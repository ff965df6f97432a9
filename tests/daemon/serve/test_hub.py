"""However watchers come, read and go, each is led to the newest snapshot of its view."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.model import Delta, ResourceVersion, TruthChange
from orka.daemon.serve.client import Client
from orka.daemon.serve.hub import Hub, Restart, Watcher
from orka.daemon.world.diff import Journal
from orka.daemon.world.ingest import World
from orka.daemon.world.snapshot import View
from orka.proto.frames import FrameReader
from orka.proto.messages import Diff, LiteObj, StateChange, decode_server
from orka.proto.names import SERVER_FRAME_MAX_BYTES
from tests.support.builders import applied, deleted, lite
from tests.support.fakes import RecordingCounters, StoppedClock
from tests.support.serving import MemoryWire, truth_at

Keys = dict[tuple[str | None, str], LiteObj]


@dataclass
class Reader:
    """What a client makes of the frames it is sent."""

    watcher: Watcher
    epoch: int
    rows: Keys
    states: list[str] = field(default_factory=list)

    def take(self, frames: bytes) -> None:
        """Apply each message, and hold it to the protocol."""
        for payload in FrameReader(SERVER_FRAME_MAX_BYTES).receive_data(frames):
            message = decode_server(payload)
            if isinstance(message, StateChange):
                self.states.append(message.truth.state)
                continue
            assert isinstance(message, Diff)
            assert message.from_epoch == self.epoch
            assert message.to_epoch > message.from_epoch
            self.epoch = message.to_epoch
            assert message.changes
            for change in message.changes:
                self._apply(change.op, change.obj, change.old_uid)

    def _apply(self, op: str, obj: LiteObj, old_uid: bytes | None) -> None:
        key = (obj.namespace, obj.name)
        match op:
            case "ADD":
                assert key not in self.rows
            case "MOD":
                assert self.rows[key].uid == obj.uid
            case "REPL":
                assert self.rows[key].uid == old_uid != obj.uid
            case "DEL":
                assert self.rows.pop(key).uid == obj.uid
                return
        self.rows[key] = obj


class Stage:
    """A world that is fed by hand, its hub, and readers of it; all sync."""

    def __init__(self, journal_epochs: int) -> None:
        self.world = World(
            name="things",
            lineage="l1",
            queue_cap=100,
            journal=Journal(max_epochs=journal_epochs),
            clock=StoppedClock(),
            counters=RecordingCounters(),
        )
        self.world.replace([], ResourceVersion("1"))
        self.world.flush()
        self.hub = Hub(self.world, lambda snapshot: f"{snapshot.lineage}:{snapshot.epoch}")
        self.readers: list[Reader] = []

    def attach(self, view: View) -> None:
        """A new reader, at the newest snapshot."""
        snapshot = self.world.latest.value
        watcher = Watcher(
            client=Client(MemoryWire()),
            view=view,
            truth_of=truth_at,
            lineage=snapshot.lineage,
            sent_epoch=snapshot.epoch,
            at_epoch=snapshot.epoch,
            truth=snapshot.truth,
        )
        self.hub.attach(watcher)
        self.readers.append(Reader(watcher, snapshot.epoch, self.shown(view)))

    def shown(self, view: View) -> Keys:
        """The newest rows of a view."""
        rows = self.world.latest.value.rows(view)
        return {(row.namespace, row.name): row for page in rows for row in page}

    def lead(self, reader: Reader) -> None:
        """Send the reader all that it is owed, as a session does."""
        frames = self.hub.next_frames(reader.watcher)
        if isinstance(frames, Restart):
            snapshot = self.world.latest.value
            reader.watcher.move_to(snapshot, snapshot.epoch)
            reader.epoch, reader.rows = snapshot.epoch, self.shown(reader.watcher.view)
            frames = self.hub.next_frames(reader.watcher)
            assert isinstance(frames, bytes)
        reader.take(frames)


objects = st.builds(
    lambda name, ns, uid, rv: lite(name, namespace=ns, uid=f"{ns}/{name}/{uid}", rv=str(rv)),
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.integers(0, 1),
    st.integers(1, 4),
)
batches = st.lists(
    st.builds(lambda o, gone: (deleted if gone else applied)(o), objects, st.booleans()), min_size=1
)
views = st.sampled_from([None, frozenset("x"), frozenset("y")])
acts = st.lists(
    st.one_of(
        st.tuples(st.just("push"), batches),
        st.tuples(st.just("list"), st.lists(objects, unique_by=lambda o: (o.namespace, o.name))),
        st.tuples(st.just("attach"), views),
        st.tuples(st.just("lead"), st.integers(0, 5)),
        st.tuples(st.just("truth"), st.sampled_from(["live", "stale"])),
    ),
    max_size=40,
)


@given(acts, st.sampled_from([1, 3, 1000]))
def test_p3_every_reader_ends_at_the_newest_snapshot_of_its_view(
    steps: list[tuple[str, object]], journal_epochs: int
) -> None:
    """Each diff starts where the reader is; ADD, MOD, REPL and DEL mean what they say."""
    stage = Stage(journal_epochs)
    for act, argument in steps:
        match act, argument:
            case "push", list():
                stage.world.push([d for d in argument if isinstance(d, Delta)], None)
                stage.world.flush()
            case "list", list():
                found = [o for o in argument if isinstance(o, LiteObj)]
                stage.world.replace(found, ResourceVersion("9"))
                stage.world.flush()
            case "attach", (None | frozenset()) as view:
                stage.attach(view)
            case "lead", int() if stage.readers:
                stage.lead(stage.readers[argument % len(stage.readers)])
            case "truth", ("live" | "stale") as state:
                stage.world.truth(TruthChange(state, ""))
                stage.world.flush()

    for reader in stage.readers:
        stage.lead(reader)
        assert reader.rows == stage.shown(reader.watcher.view)
        assert stage.hub.next_frames(reader.watcher) == b""
        if reader.states:
            assert reader.states[-1] == stage.world.latest.value.truth.state
        stage.hub.detach(reader.watcher)
    assert stage.hub.watchers == 0


def test_a_diff_is_encoded_once_for_all_readers_of_a_view() -> None:
    """Readers that are up to date are sent the very same bytes."""
    stage = Stage(1000)
    for _ in range(3):
        stage.attach(None)
    stage.world.push([applied(lite("a"))], None)
    stage.world.flush()
    for reader in stage.readers:
        stage.hub.next_frames(reader.watcher)
    stage.world.push([applied(lite("b"))], None)
    stage.world.flush()

    sent = [stage.hub.next_frames(reader.watcher) for reader in stage.readers]

    assert sent[0]
    assert all(frames is sent[0] for frames in sent)


def test_a_change_of_everything_is_not_sent_as_a_diff() -> None:
    """Past 20 000 changes the snapshot is no larger than the diff that leads to it."""
    stage = Stage(1000)
    stage.attach(None)
    many = [lite(f"n{number}") for number in range(20_001)]
    stage.world.replace(many, ResourceVersion("5"))
    stage.world.flush()

    assert isinstance(stage.hub.next_frames(stage.readers[0].watcher), Restart)


def test_the_repr_says_who_is_there() -> None:
    """One line for logs."""
    stage = Stage(1000)
    stage.attach(None)

    assert repr(stage.hub) == "<Hub things watchers=1 parked=0>"
