"""A lease to the messages of an answer: names, truth, refusals, and the wait for a first sync."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from orka.daemon.model import Resource
from orka.daemon.serve.hub import framed
from orka.daemon.serve.service import Discovered, Lease
from orka.daemon.world.cursor import Cursor
from orka.daemon.world.snapshot import Snapshot, View
from orka.proto.errors import OrkaError, Refused, exit_code_of
from orka.proto.messages import (
    AllNamespaces,
    DefaultNamespace,
    Error,
    Kind,
    Progress,
    Resources,
    ServedKind,
    Truth,
)
from orka.proto.messages import View as AskedView

PROGRESS_SECONDS = 0.25  # how often a waiting client is told how far the first sync is

Send = Callable[[bytes], Awaitable[None]]


def kind_of(resource: Resource) -> Kind:
    """The wire's name for a resource."""
    return Kind(
        resource.group, resource.version, resource.kind, resource.resource, resource.namespaced
    )


def served_kind(resource: Resource) -> ServedKind:
    """One line of `discover`."""
    return ServedKind(
        group=resource.group,
        version=resource.version,
        kind=resource.kind,
        resource=resource.resource,
        singular=resource.singular,
        short_names=resource.short_names,
        namespaced=resource.namespaced,
        verbs=tuple(sorted(resource.verbs)),
        categories=resource.categories,
        preferred=resource.preferred,
        watchable=resource.watchable,
        crd=resource.crd,
    )


def resources_message(found: Discovered, *, all_versions: bool) -> Resources:
    """The rows answer to `discover`: preferred versions, or all of them."""
    resources = [
        served_kind(resource) for resource in found.resources if all_versions or resource.preferred
    ]
    return Resources(found.label.context, found.label.server, resources, dict(found.failed))


def cursor_at(lease: Lease, snapshot: Snapshot) -> str:
    """The cursor of everything up to this snapshot."""
    return str(
        Cursor(
            lease.cluster,
            lease.resource.group_resource,
            snapshot.lineage,
            snapshot.epoch,
            snapshot.resource_version,
        )
    )


def truth_of(lease: Lease, snapshot: Snapshot) -> Truth:
    """How far this snapshot can be believed, as of now."""
    world = lease.world
    return Truth(
        kind=kind_of(lease.resource),
        context=lease.label.context,
        server=lease.label.server,
        default_namespace=lease.label.default_namespace,
        state=snapshot.truth.state,
        reason=snapshot.truth.reason,
        since=snapshot.truth_since,
        age_seconds=world.age_seconds(),
        synced=snapshot.synced,
        objects=snapshot.count,
        dropped=world.coalescer.dropped_total,
        cursor=cursor_at(lease, snapshot),
        scope=lease.scope,
        quarantined=world.quarantined_total,
        hint=snapshot.truth.hint,
    )


def view_of(asked: AskedView, lease: Lease) -> View:
    """The namespaces to show; a cluster-scoped kind has one view, whatever was asked."""
    if not lease.resource.namespaced or isinstance(asked, AllNamespaces):
        return None
    if isinstance(asked, DefaultNamespace):
        return frozenset({lease.label.default_namespace})
    if not asked.names or not all(asked.names):
        raise Refused("an empty namespace name was asked for", hint="use -A for all namespaces")
    return frozenset(asked.names)


def error_message(error: OrkaError) -> Error:
    """The wire's form of an error raised on purpose."""
    return Error(error.code, error.message, int(error.exit_code), error.hint)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A truth that ends an answer: its code, and what to say."""

    code: str
    message: str
    hint: str | None

    def error(self) -> Error:
        """As a message."""
        return Error(self.code, self.message, int(exit_code_of(self.code)), self.hint)


def refusal(lease: Lease, snapshot: Snapshot) -> Refusal | None:
    """Why no rows may be shown at all, or None: no permission, or no such kind any more."""
    name, truth = lease.resource.gvk, snapshot.truth
    if truth.state == "forbidden":
        return Refusal("forbidden", f"{name} is forbidden: {truth.reason}", truth.hint)
    if truth.state == "gone":
        return Refusal("gone", f"{name} is no longer served: {truth.reason}", truth.hint)
    return None


async def first_sync(lease: Lease, *, timeout_seconds: float, progress: Send | None) -> Snapshot:
    """The first snapshot that can answer, or the latest one when the time is up."""
    version = 0
    snapshot = lease.world.latest.value
    with trio.move_on_after(timeout_seconds):
        while True:
            with trio.move_on_after(PROGRESS_SECONDS):
                snapshot, version = await lease.world.latest.wait_newer(version)
                if snapshot.synced or refusal(lease, snapshot) is not None:
                    return snapshot
            if progress is not None:
                await progress(framed(Progress(lease.world.progress_objects)))
    return lease.world.latest.value
