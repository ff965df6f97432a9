"""Bearer tokens turned into users, and users into what they may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .requests import Request

ANONYMOUS = "system:anonymous"
DEFAULT_USER = "kubernetes-admin"  # everybody, on a server without tokens
OPEN_PATHS = ("/healthz", "/livez", "/readyz", "/version")

Permit = Callable[[str, Request], bool]


def permit_all(_user: str, _request: Request) -> bool:
    """The rights of a cluster where everyone is an administrator."""
    return True


@dataclass(frozen=True, slots=True)
class Denial:
    """One thing that is forbidden; an empty field means any."""

    user: str = ""
    resource: str = ""
    verb: str = ""
    namespace: str = ""
    cluster_wide: bool = False  # only requests over all namespaces

    def covers(self, user: str, request: Request) -> bool:
        """True when this row forbids the request."""
        resource = request.resource
        return (
            resource is not None
            and self.user in ("", user)
            and self.verb in ("", request.access_verb)
            and self.namespace in ("", request.namespace)
            and (not self.resource or resource.matches(self.resource))
            and not (self.cluster_wide and request.namespace)
        )


@dataclass(slots=True)
class Access:
    """Who a request comes from, and whether it is allowed."""

    tokens: Mapping[str, str] | None = None  # None: no authentication at all
    powerless: tuple[str, ...] = ()  # users who may read discovery and nothing else
    permit: Permit = permit_all
    denials: list[Denial] = field(default_factory=list)

    def user(self, request: Request) -> str | None:
        """The user's name, or None for a token that nobody has (401)."""
        if self.tokens is None:
            return DEFAULT_USER
        scheme, _, token = request.header("authorization").partition(" ")
        if scheme.lower() != "bearer":
            return ANONYMOUS
        return self.tokens.get(token.strip())

    def allows(self, user: str, request: Request) -> bool:
        """Whether this user may do this."""
        if request.path in OPEN_PATHS:
            return True
        if user == ANONYMOUS:
            return False
        if request.verb == "discovery":
            return True
        if user in self.powerless or any(row.covers(user, request) for row in self.denials):
            return False
        return self.permit(user, request)
