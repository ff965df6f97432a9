"""One cluster: a kubeconfig's connection, its discovery, and the kinds it is watched for."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio

from orka.daemon.kinds import Kind, Kinds, Settings
from orka.daemon.kube import discovery
from orka.daemon.kube.catalog import Catalog
from orka.daemon.kube.client import HttpxKubeClient
from orka.daemon.kube.connection import Connection
from orka.daemon.kube.identity import ClusterIdentity
from orka.daemon.kube.watch import ReflectorConfig, ReflectorSource
from orka.daemon.model import Resource, UpstreamLedger
from orka.daemon.serve.service import Discovered, Label, Lease
from orka.proto.errors import Refused

# A name that is not served is looked up afresh, since its CRD may be a second old; a script that
# asks for it in a loop must not become a loop against the API server.
REDISCOVER_SECONDS = 1.0

logger = logging.getLogger("orka.cluster")


class Cluster:
    """One server and identity; contexts and kubeconfigs that resolve to the same share it."""

    def __init__(
        self,
        client: HttpxKubeClient,
        settings: Settings,
        *,
        relist_seconds: float,
    ) -> None:
        self.kinds = Kinds(settings)
        self.ledger = UpstreamLedger()
        self.note: str | None = None  # what became of the kubeconfig entry that led here
        self._client = client
        self._identity = ClusterIdentity(client, self.ledger, self._replaced)
        self._relist_seconds = relist_seconds
        self._catalog: Catalog | None = None
        self._catalog_at = 0.0
        self._catalog_lock = trio.Lock()

    def __repr__(self) -> str:
        return f"<Cluster {self.connection.server} kinds={len(list(self.kinds))}>"

    @property
    def connection(self) -> Connection:
        """How its server is reached now."""
        return self._client.connection

    def adopt(self, connection: Connection) -> None:
        """The same server and user with other credentials: what is watched goes on with these.

        Raises ConfigError, and changes nothing, for what cannot be used.
        """
        self._client.adopt(connection)
        self.note = None
        logger.info("credentials changed context=%s user=%s", connection.context, connection.user)

    async def run(self) -> None:
        """Own every task of the cluster until cancelled; then its connections are closed."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._client.run, name="credentials")
                await self.kinds.run()
        finally:
            with trio.move_on_after(1, shield=True):
                await self._client.aclose()

    async def catalog(self, *, newer_than: float | None = None) -> Catalog:
        """What the cluster serves; fetched unless known, and since `newer_than` on trio's clock."""
        async with self._catalog_lock:
            known = self._catalog
            if known is None or (newer_than is not None and self._catalog_at < newer_than):
                known = await discovery.fetch(self._client, known, ledger=self.ledger)
                self._catalog, self._catalog_at = known, trio.current_time()
                for group_version, why in known.failed.items():
                    logger.warning("discovery failed part=%s why=%r", group_version, why)
            return known

    async def discover(self, label: Label, *, prefer_crd: bool) -> Discovered:
        """Every served resource as of now, or only the one that `--prefer-crd` selects."""
        catalog = await self.catalog(newer_than=trio.current_time())
        resources = catalog.resources
        if prefer_crd:
            resources = (catalog.first_crd(),)
        return Discovered(label, tuple(resources), catalog.failed)

    async def resolve(self, name: str) -> Resource:
        """The resource a user means by `name`; looked up afresh before it is called unknown."""
        catalog = await self.catalog()
        try:
            return catalog.resolve(name)
        except Refused:
            fresh = await self.catalog(newer_than=trio.current_time() - REDISCOVER_SECONDS)
            if fresh is catalog:
                raise
            return fresh.resolve(name)

    async def start(self, name: str) -> Kind:
        """The kind under this name, its source running."""
        resource = await self.resolve(name)
        if not resource.watchable:
            raise Refused(
                f"{resource.gvk} cannot be watched: it has only the verbs "
                f"{', '.join(sorted(resource.verbs))}",
                code="not-served",
            )
        return self.kinds.start(resource, lambda _: self._source(resource))

    @asynccontextmanager
    async def lease(self, label: Label, name: str) -> AsyncIterator[Lease]:
        """Hold the kind under this name for one reader."""
        kind = await self.start(name)
        with kind.held():
            yield Lease(label, self.kinds.settings.cluster, kind.resource, kind.world, kind.hub)

    def describe(self) -> dict[str, object]:
        """Its part of `status`."""
        upstream: dict[str, dict[str, int]] = {}
        for (verb, group_resource), count in sorted(self.ledger.counts.items()):
            upstream.setdefault(verb, {})[group_resource] = count
        return {
            "context": self.connection.context,
            "server": self.connection.server,
            "user": self.connection.user,
            "namespace": self.connection.namespace,
            "auth": self._client.authenticator.describe(),
            "note": self.note,
            "kinds": [kind.describe() for kind in self.kinds],
            "upstream": upstream,
        }

    def _source(self, resource: Resource) -> ReflectorSource:
        settings = self.kinds.settings
        return ReflectorSource(
            self._client,
            resource,
            ReflectorConfig(context=settings.context, relist_seconds=self._relist_seconds),
            random=settings.random,
            ledger=self.ledger,
            counters=settings.instruments.kind(settings.context, resource.gvk),
            served=partial(self._served, resource),
            same_cluster=self._identity.confirm,
        )

    def _replaced(self) -> None:
        """Another cluster answers at the address: nothing of the old one is shown any longer."""
        self._catalog = None
        for kind in self.kinds:
            kind.begin_anew("another cluster answers at this address")
            assert isinstance(kind.source, ReflectorSource)
            kind.source.begin_anew()

    async def _served(self, resource: Resource) -> bool | None:
        """Whether discovery still lists the resource; None if its part could not be read."""
        catalog = await self.catalog(newer_than=trio.current_time())
        if resource.group_version in catalog.failed:
            return None
        return any(
            found.group_resource == resource.group_resource and found.version == resource.version
            for found in catalog.resources
        )
