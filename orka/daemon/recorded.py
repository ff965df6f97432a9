"""A recorded file as a cluster: its lines sorted by kind, each kind fed from its own lines."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import msgspec
import trio

from orka.daemon.clusters import AnyCluster
from orka.daemon.kinds import Kind, Kinds, Settings
from orka.daemon.model import Clock, Resource
from orka.daemon.objects import UNREADABLE
from orka.daemon.serve.service import Discovered, Label, Lease
from orka.daemon.world.source import ReplaySource
from orka.proto.errors import ConfigError, Refused
from orka.proto.messages import Target

CONTEXT = "replay"

logger = logging.getLogger("orka.replay")


class _Metadata(msgspec.Struct):
    namespace: str | None = None


class _Raw(msgspec.Struct):
    apiVersion: str | None = None  # noqa: N815 -- the API's name
    kind: str | None = None
    metadata: _Metadata | None = None


class _Line(msgspec.Struct):
    uid: str | None = None
    raw: _Raw | None = None


_decoder = msgspec.json.Decoder(_Line)


@dataclass(slots=True)
class RecordedKind:
    """One kind of a recording."""

    api_version: str
    kind: str
    namespaced: bool = False
    lines: list[bytes] = field(default_factory=list)

    def resource(self) -> Resource:
        """The kind as a resource. A recording has no discovery, so its plural is only a name."""
        group, _, version = self.api_version.rpartition("/")
        name = self.kind.lower()
        return Resource(
            group=group,
            version=version,
            kind=self.kind,
            resource=f"{name}es" if name.endswith("s") else f"{name}s",
            singular=name,
            namespaced=self.namespaced,
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole file."""

    name: str
    digest: str
    kinds: dict[tuple[str, str], RecordedKind]
    unattributed: int  # lines of which nobody can tell the kind


def read_recording(path: Path) -> Recording:
    """Read a file of recorded deltas; ConfigError if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"--replay {path}: {exc.strerror}") from exc
    kinds: dict[tuple[str, str], RecordedKind] = {}
    kind_of_uid: dict[str, RecordedKind] = {}
    unattributed = 0
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        found = _kind_of(line, kinds, kind_of_uid)
        if found is None:
            unattributed += 1
        else:
            found.lines.append(line)
    digest = blake2b(content, digest_size=5).hexdigest()
    return Recording(path.name, digest, kinds, unattributed)


def _kind_of(
    line: bytes,
    kinds: dict[tuple[str, str], RecordedKind],
    kind_of_uid: dict[str, RecordedKind],
) -> RecordedKind | None:
    """The kind a line belongs to; a deletion without a body belongs where its uid was seen."""
    try:
        decoded = _decoder.decode(line)
    except UNREADABLE:
        return None
    raw = decoded.raw
    if raw is None or not raw.apiVersion or not raw.kind:
        return kind_of_uid.get(decoded.uid or "")
    key = (raw.apiVersion, raw.kind)
    kind = kinds.setdefault(key, RecordedKind(*key))
    if raw.metadata is not None and raw.metadata.namespace:
        kind.namespaced = True
    if decoded.uid:
        kind_of_uid[decoded.uid] = kind
    return kind


class RecordedCluster:
    """A cluster that serves a recording; implements `clusters.AnyCluster`."""

    def __init__(self, recording: Recording, settings: Settings) -> None:
        self.kinds = Kinds(settings)
        self.label = Label(CONTEXT, recording.name, "default")
        self.unattributed = recording.unattributed
        self._recording = recording
        self._resources = {kind.resource(): kind for _, kind in sorted(recording.kinds.items())}

    async def run(self) -> None:
        """See `AnyCluster`."""
        await self.kinds.run()

    async def discover(self, label: Label, *, prefer_crd: bool) -> Discovered:
        """The kinds of the recording."""
        resources = tuple(self._resources)
        return Discovered(label, resources[:1] if prefer_crd else resources, {})

    @asynccontextmanager
    async def lease(self, label: Label, name: str) -> AsyncIterator[Lease]:
        """See `AnyCluster`."""
        kind = await self.start(name)
        with kind.held():
            yield Lease(label, self.kinds.settings.cluster, kind.resource, kind.world, kind.hub)

    async def start(self, name: str) -> Kind:
        """See `AnyCluster`; a recorded kind is never dropped, since its file is read once."""
        resource = self._resolve(name)
        lines = self._resources[resource].lines
        kind = self.kinds.start(
            resource,
            lambda world: ReplaySource(world, lines, self._recording.name),
            lineage=self._recording.digest,
        )
        kind.pinned = True
        return kind

    def _resolve(self, name: str) -> Resource:
        for resource in self._resources:
            names = (resource.gvk, resource.kind, resource.group_resource, resource.resource)
            if name in names or name.lower() in (resource.singular, resource.resource):
                return resource
        raise Refused(
            f"the recording {self._recording.name} has no {name}",
            code="not-served",
            hint="it has " + (", ".join(resource.gvk for resource in self._resources) or "nothing"),
        )

    def describe(self) -> dict[str, object]:
        """Its part of `status`."""
        return {
            "context": CONTEXT,
            "server": self._recording.name,
            "user": None,
            "namespace": "default",
            "kinds": [kind.describe() for kind in self.kinds],
            "upstream": {},
        }


class Recorded:
    """Implements `clusters.Clusters` with one recording, whatever cluster is asked for."""

    def __init__(self, cluster: RecordedCluster, clock: Clock) -> None:
        self.clock = clock
        self._cluster = cluster

    def __iter__(self) -> Iterator[AnyCluster]:
        return iter((self._cluster,))

    def find(self, target: Target) -> tuple[AnyCluster, Label]:
        """The recording; a daemon that replays has nothing else, and every truth names it."""
        del target
        return self._cluster, self._cluster.label

    async def run(self) -> None:
        """Start every kind of the recording, and own their tasks."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cluster.run, name="recording")
            if self._cluster.unattributed:
                logger.warning(
                    "recording lines of no known kind count=%d", self._cluster.unattributed
                )
            found = await self._cluster.discover(self._cluster.label, prefer_crd=False)
            for resource in found.resources:
                await self._cluster.start(resource.gvk)

    def stop_feeding(self) -> None:
        """See `Clusters`."""
        self._cluster.kinds.stop_feeding()
