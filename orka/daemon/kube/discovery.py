"""Asks one cluster what it serves: discovery requests to a Catalog, cheap to repeat."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import msgspec
import trio

from orka.daemon.kube.catalog import Catalog, Endpoint
from orka.daemon.kube.discovery_documents import (
    Aggregated,
    GroupVersion,
    Plain,
    parse_endpoint,
    parse_resource_list,
)
from orka.daemon.kube.errors import Failure, FailureKind, KubeError, failure_of_response
from orka.daemon.kube.http import JSON, METADATA_LIST_ACCEPT, KubeClient, Response
from orka.daemon.model import Resource, UpstreamLedger

DISCOVERY_SECONDS = 32.0  # client-go's discovery timeout
CONCURRENT_MAX_COUNT = 10  # plain documents at a time: one per group-version, some 40 to 100
CRD_PAGE_LIMIT = 500
CRD_PAGES_MAX_COUNT = 20  # 10 000 definitions; a server that goes on is not sane

# Old servers compare the text, so the parameters stay in this order.
AGGREGATED_ACCEPT = (
    f"{JSON};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    f"{JSON};g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,{JSON}"
)

log = logging.getLogger("orka.kube.discovery")


class _Metadata(msgspec.Struct):
    name: str | None = None
    continue_: str | None = msgspec.field(default=None, name="continue")


class _Item(msgspec.Struct):
    metadata: _Metadata | None = None


class _List(msgspec.Struct):
    metadata: _Metadata | None = None
    items: list[_Item] | None = None


_list_decoder = msgspec.json.Decoder(_List)


async def fetch(client: KubeClient, previous: Catalog | None, *, ledger: UpstreamLedger) -> Catalog:
    """What the cluster serves now, within `DISCOVERY_SECONDS`.

    With `previous`, unchanged aggregated documents cost a 304 each. A group-version that
    cannot be read is in `failed`, with what `previous` knew of it; it is not gone. Every
    request is counted in `ledger`, as `discovery` of its path. Raises KubeError when `/api` or
    `/apis` itself cannot be read; `previous` is then still the best there is.
    """
    try:
        with trio.fail_after(DISCOVERY_SECONDS):
            return await _Fetch(client, previous, ledger).run()
    except trio.TooSlowError as exc:
        message = f"discovery took over {DISCOVERY_SECONDS:g} s"
        raise KubeError(Failure(FailureKind.TIMEOUT, message)) from exc


@dataclass(frozen=True, slots=True)
class _Fetch:
    """One discovery under way."""

    client: KubeClient
    previous: Catalog | None
    ledger: UpstreamLedger

    async def run(self) -> Catalog:
        old = self.previous or Catalog(Endpoint(), Endpoint())
        answers: dict[str, Response | KubeError] = {}
        async with trio.open_nursery() as nursery:
            for path, endpoint in (("/api", old.core), ("/apis", old.groups)):
                nursery.start_soon(self._ask, answers, path, AGGREGATED_ACCEPT, endpoint.etag)
        if self.previous and all(_is_unchanged(answer) for answer in answers.values()):
            return self.previous
        core, core_etag = _content("/api", answers["/api"], old.core)
        groups, groups_etag = _content("/apis", answers["/apis"], old.groups)
        if isinstance(core, Aggregated) and isinstance(groups, Aggregated):
            catalog = Catalog(
                Endpoint(self._with_last_known(core.versions), core_etag),
                Endpoint(self._with_last_known(groups.versions), groups_etag),
            )
        else:
            documents = await self._documents(core.versions + groups.versions)
            count = len(core.versions)
            catalog = Catalog(Endpoint(documents[:count]), Endpoint(documents[count:]))
        return replace(catalog, crds=await self._crds(catalog))

    async def _ask(
        self,
        answers: dict[str, Response | KubeError],
        path: str,
        accept: str,
        etag: str | None = None,
    ) -> None:
        """One answer or failure into `answers`: a failure must not cancel its neighbours."""
        self.ledger.count("discovery", path)
        try:
            answers[path] = await self.client.get(path, {}, accept, etag)
        except KubeError as exc:
            answers[path] = exc

    async def _documents(self, versions: tuple[GroupVersion, ...]) -> tuple[GroupVersion, ...]:
        """Every group-version's own document, a few at a time."""
        answers: dict[str, Response | KubeError] = {}
        limiter = trio.CapacityLimiter(CONCURRENT_MAX_COUNT)

        async def ask(path: str) -> None:
            async with limiter:
                await self._ask(answers, path, JSON)

        async with trio.open_nursery() as nursery:
            for version in versions:
                nursery.start_soon(ask, version.path)
        return self._with_last_known(
            tuple(_filled(version, answers[version.path]) for version in versions)
        )

    def _with_last_known(self, versions: tuple[GroupVersion, ...]) -> tuple[GroupVersion, ...]:
        """A failed version is not evidence that its kinds are gone: keep what it had."""
        if self.previous is None:
            return versions
        known = {version.name: version.resources for version in self.previous.versions}
        return tuple(
            replace(version, resources=known.get(version.name, ()))
            if version.failed and not version.resources
            else version
            for version in versions
        )

    async def _crds(self, catalog: Catalog) -> frozenset[str] | None:
        """The group-resources with a CustomResourceDefinition; None if they may not be listed."""
        for resource in catalog.resources:
            if resource.group_resource == "customresourcedefinitions.apiextensions.k8s.io":
                break
        else:
            return frozenset()
        try:
            return frozenset(await self._crd_names(resource))
        except KubeError as exc:
            log.info("crds-not-listed why=%s", exc.failure)
            return self.previous.crds if self.previous else None

    async def _crd_names(self, resource: Resource) -> list[str]:
        """A CRD is named `plural.group`, so its metadata is enough."""
        names: list[str] = []
        params = {"limit": str(CRD_PAGE_LIMIT)}
        for _ in range(CRD_PAGES_MAX_COUNT):
            self.ledger.count("discovery", resource.path)
            answer = _got(await self.client.get(resource.path, params, METADATA_LIST_ACCEPT))
            try:
                page = _list_decoder.decode(answer.body)
            except (msgspec.DecodeError, RecursionError) as exc:
                message = f"{resource.path}: {exc}"
                raise KubeError(Failure(FailureKind.NOT_KUBERNETES, message)) from exc
            items = [item.metadata for item in page.items or () if item.metadata]
            names += [metadata.name for metadata in items if metadata.name]
            token = page.metadata.continue_ if page.metadata else None
            if not token:
                break
            params["continue"] = token
        return names


def _got(answer: Response | KubeError) -> Response:
    """The answer if it is a 200; KubeError otherwise."""
    if isinstance(answer, KubeError):
        raise answer
    if answer.status != 200:
        raise KubeError(failure_of_response(answer.status, answer.headers, answer.body))
    return answer


def _is_unchanged(answer: Response | KubeError) -> bool:
    return isinstance(answer, Response) and answer.status == 304


def _content(
    path: str, answer: Response | KubeError, old: Endpoint
) -> tuple[Aggregated | Plain, str | None]:
    """An endpoint's content and its ETag; KubeError if there is none."""
    if _is_unchanged(answer) and old.etag is not None:
        return Aggregated(old.versions), old.etag
    if path == "/api" and isinstance(answer, Response) and answer.status == 404:
        return Aggregated(()), None  # an API server without the core group
    got = _got(answer)
    content = parse_endpoint(path, got.headers.get("content-type", ""), got.body)
    return content, got.headers.get("etag")


def _filled(version: GroupVersion, answer: Response | KubeError) -> GroupVersion:
    """The group-version with its document's resources, or with the reason why not."""
    try:
        got = _got(answer)
        content_type = got.headers.get("content-type", "")
        resources = parse_resource_list(version, content_type, got.body)
    except KubeError as exc:
        return GroupVersion(version.group, version.version, failed=str(exc.failure))
    return GroupVersion(version.group, version.version, resources)
