"""HTTP requests turned into what they ask of which resource, and the record kept of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote

from .resources import Catalog, Resource

RECORDED_HEADERS = (
    "accept",
    "accept-encoding",
    "authorization",
    "content-type",
    "if-none-match",
    "user-agent",
)

DISCOVERY_ROOTS = ("api", "apis")
WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Request:
    """One parsed request. `verb` is list, watch, watchlist, get, create … or discovery, other."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    verb: str
    resource: Resource | None = None
    version: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    group: str = ""
    plural: str = ""  # of the path, also where nothing is served there

    @property
    def full_name(self) -> str:
        """The resource that the path names, served or not; '' for other paths."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def streaming(self) -> bool:
        """True for the answers that stay open."""
        return self.verb in ("watch", "watchlist")

    @property
    def access_verb(self) -> str:
        """The verb that permissions speak of."""
        return "watch" if self.verb == "watchlist" else self.verb

    def header(self, name: str) -> str:
        """A header by its lower-case name, '' when absent."""
        return self.headers.get(name, "")

    def flag(self, name: str) -> bool:
        """A boolean query parameter, as Go reads it."""
        return self.query.get(name, "").lower() in ("1", "t", "true")


@dataclass(slots=True)
class Record:
    """What the server remembers of a request; `status` is None until the answer began."""

    time: float
    connection: int
    method: str
    verb: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    resource: str  # the full name, also of one that is not served; '' for other paths
    version: str
    namespace: str
    name: str
    status: int | None = None
    ended: float | None = None
    user: str = ""
    fault: str = ""  # the fault verb that changed the answer


def parse(
    catalog: Catalog,
    *,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
) -> Request:
    """A request with its resource found; `resource` stays None for a path that is not served."""
    raw_path, _, raw_query = target.partition("?")
    query = dict(parse_qsl(raw_query, keep_blank_values=True))
    parts = [unquote(part) for part in raw_path.strip("/").split("/")]
    common = _Common(method, raw_path, query, dict(headers), body)
    if parts[0] not in DISCOVERY_ROOTS:
        return common.request("other")
    # /api/v1 and /apis/G/V are documents; what follows them is a resource.
    depth = 2 if parts[0] == "api" else 3
    if len(parts) <= depth:
        return common.request("discovery")
    group = parts[1] if depth == 3 else ""
    return _of_resource(catalog, common, group, parts[depth - 1], parts[depth:])


@dataclass(frozen=True, slots=True)
class _Common:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def request(self, verb: str) -> Request:
        return Request(self.method, self.path, self.query, self.headers, self.body, verb)


def _of_resource(
    catalog: Catalog, common: _Common, group: str, version: str, rest: list[str]
) -> Request:
    namespace = ""
    # /namespaces/x is an object, /namespaces/x/pods lies inside it, /namespaces/x/status does not.
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "")[:3]
    resource = catalog.served(group, version, plural)
    if resource is not None and _wrong_scope(resource, namespace, name, common.method):
        resource = None
    return replace(
        common.request(_verb(common, name)),
        resource=resource,
        version=version,
        namespace=namespace,
        name=name,
        subresource=subresource,
        group=group,
        plural=plural,
    )


def _wrong_scope(resource: Resource, namespace: str, name: str, method: str) -> bool:
    if not resource.namespaced:
        return bool(namespace)
    return not namespace and (bool(name) or method == "POST")


def _verb(common: _Common, name: str) -> str:
    if common.method != "GET":
        verb = WRITES.get(common.method, common.method.lower())
        return "deletecollection" if verb == "delete" and not name else verb
    truths = ("1", "t", "true")
    if common.query.get("watch", "").lower() in truths:
        initial = common.query.get("sendInitialEvents", "").lower() in truths
        return "watchlist" if initial else "watch"
    return "get" if name else "list"
