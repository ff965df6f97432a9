"""Kubeconfig documents that are mostly right: names that meet, fields of every kind, some wrong."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from tests.kubeconfig.pools import PLUGIN_VERSIONS, PROXIES, SCALARS, SERVERS, TOKENS
from tests.kubeconfig.setups import HERE, ROOT
from tests.kubeconfig.yaml_text import Mapped, Pick, Raw

PKI = {path.name: path.read_text("ascii") for path in sorted((HERE / "pki").iterdir())}


def _base64(name: str) -> str:
    return base64.b64encode(PKI[name].encode()).decode()


@dataclass(frozen=True)
class Documents:
    """Makes documents; `odd` is how many values in a thousand are wrong."""

    pick: Pick
    odd: int
    merging: bool  # whether it has a mapping to merge

    def document(self) -> Mapped:
        """One file's worth."""
        pick = self.pick
        pairs: list[tuple[str, object]] = []
        if self.rarely(60):
            pairs.append(("apiVersion", self.seldom_one("v1", "v2", "", "a/v1")))
            pairs.append(("kind", self.seldom_one("Config", "Secret", "", "config")))
        if self.merging:
            pairs.append(("x", Raw("&m {server: 'https://m.test', token: m, cluster: c, user: u}")))
        if pick.chance(92):
            pairs.append(("current-context", self.value(self.name("dev"))))
        pairs.append(("clusters", self.entries("cluster", "c", self.cluster)))
        pairs.append(("users", self.entries("user", "u", self.user)))
        pairs.append(("contexts", self.entries("context", "dev", self.context)))
        if self.rarely(5):
            pairs.append(("extensions", self.extensions()))
        if self.rarely(4):
            preferences = Mapped([("colors", Raw(self.seldom_one("true", "1", "yes", "no")))])
            pairs.append(("preferences", self.value(preferences)))
        if self.rarely(5):
            pairs.append((pick.one(("future", "Kind", "APIVersion", "Clusters")), self.wrong()))
        return Mapped(pairs)

    def rarely(self, percent: int) -> bool:
        """Yes, that often."""
        return self.pick.chance(percent)

    def name(self, usual: str) -> str:
        """A name of an entry; few, so that they meet."""
        if self.pick.chance(96):
            return usual
        return self.pick.one((usual, "other", "", "\u00fc \u65e5", "1", "a/b:c", "yes"))

    def seldom_one(self, usual: str, *others: str) -> str:
        """The usual one, mostly."""
        return self.pick.one(others) if self.pick.chance(1) else usual

    def wrong(self) -> Raw:
        """Any scalar or small collection."""
        return Raw(self.pick.one(SCALARS))

    def value(self, right: object) -> object:
        """The right value, mostly."""
        if self.odd and self.pick.seldom(self.odd):
            return self.wrong()
        return right

    def entries(self, kind: str, usual: str, make: Callable[[], Mapped]) -> object:
        """A list of named entries."""
        items: list[object] = []
        for index in range(1 + (self.pick.number(3) if self.pick.chance(30) else 0)):
            name = self.name(f"{usual}{index or ''}")
            pairs = [("name", self.value(name)), (kind, self.value(self.fields(make)))]
            if self.pick.seldom(8):
                pairs = pairs[self.pick.number(1) :][:1]
            items.append(self.value(Mapped(pairs)))
        return self.value(items)

    def fields(self, make: Callable[[], Mapped]) -> Mapped:
        """The fields of an entry, perhaps with a merged mapping or one key twice."""
        pairs = list(make().pairs)
        if self.merging and self.pick.chance(15):
            merged = self.pick.one(
                ("*m",) * 6 + ("[*m]", "[{server: x}, *m]", "{token: t}", "x", "[x]")
            )
            pairs.insert(self.pick.number(len(pairs)), ("<<", Raw(merged)))
        if self.odd and pairs and self.pick.chance(2):
            pairs.append(self.pick.one(pairs))
        if self.rarely(2):
            pairs.append(("extensions", self.extensions()))
        if self.rarely(2):
            pairs.append((self.pick.one(("Server", "future", "TOKEN")), self.wrong()))
        return Mapped(pairs)

    def some(self, *choices: tuple[int, str, Callable[[], object]]) -> list[tuple[str, object]]:
        """Fields, each with its percentage."""
        return [(key, self.value(make())) for often, key, make in choices if self.rarely(often)]

    def cluster(self) -> Mapped:
        """`clusters[].cluster`."""
        pick = self.pick
        return Mapped(
            self.some(
                (97, "server", lambda: pick.one(SERVERS if pick.chance(20) else SERVERS[:4])),
                (8, "tls-server-name", lambda: pick.one(("n.test", "", "10.0.0.1"))),
                (8, "insecure-skip-tls-verify", self.flag),
                (12, "certificate-authority", lambda: self.path("ca.crt")),
                (12, "certificate-authority-data", lambda: self.data("ca.crt")),
                (10, "proxy-url", lambda: pick.one(PROXIES)),
                (8, "disable-compression", self.flag),
                (4, "extensions", self.extensions),
            )
        )

    def flag(self) -> Raw:
        """A boolean."""
        return Raw(self.pick.one(("true", "true", "false", "yes", "off")))

    def user(self) -> Mapped:
        """`users[].user`."""
        pick = self.pick
        pairs = self.some(
            (40, "token", lambda: pick.one(TOKENS if pick.chance(15) else TOKENS[:1])),
            (12, "tokenFile", lambda: self.path("token")),
            (8, "username", lambda: pick.one(("me", "", "m\u00e9"))),
            (8, "password", lambda: pick.one(("pw", "", "p:w"))),
            (8, "as", lambda: pick.one(("jane", "", "j\u00e4ne"))),
            (4, "as-uid", lambda: pick.one(("7", ""))),
            (4, "as-groups", lambda: self.strings("g")),
            (4, "as-user-extra", self.extra),
            (12, "exec", self.plugin),
            (3, "auth-provider", self.provider),
        )
        if pick.chance(20):
            style = pick.number(4)
            certificate, key = (style in (0, 2, 4), style in (0, 3))
            pairs += self.pair("client-certificate", "tls.crt", data=certificate)
            pairs += self.pair("client-key", "tls.key", data=key)
        return Mapped(pairs)

    def pair(self, field: str, name: str, *, data: bool) -> list[tuple[str, object]]:
        """A field that is a file or its content, seldom both or none."""
        both, none = self.rarely(4), self.rarely(4)
        fields: list[tuple[str, object]] = []
        if not none and (data or both):
            fields.append((f"{field}-data", self.value(self.data(name))))
        if not none and (not data or both):
            fields.append((field, self.value(self.path(name))))
        return fields

    def context(self) -> Mapped:
        """`contexts[].context`."""
        return Mapped(
            self.some(
                (99, "cluster", lambda: self.name("c")),
                (90, "user", lambda: self.name("u")),
                (25, "namespace", lambda: self.pick.one(("team", "", "default", "No Label!"))),
                (3, "extensions", self.extensions),
            )
        )

    def path(self, name: str) -> str:
        """Where a file of the setup may lie."""
        ways = (
            name,
            f"./{name}",
            f"{ROOT}/{name}",
            f"../{name}",
            "gone",
            "pki/../" + name,
            "folder",
        )
        return self.pick.one(ways if self.pick.chance(25) else ways[:2])

    def data(self, name: str) -> str:
        """Base64, mostly of what it should be."""
        if not self.pick.chance(10):
            return _base64(name)
        other = _base64(self.pick.one(tuple(PKI)))
        return self.pick.one(
            (
                *(
                    other,
                    "",
                    "eA==",
                    "eA=",
                    "eA",
                    "e A==",
                    "eA==\n",
                    "\neA==",
                    "%",
                    "eA==eA==",
                    "-_==",
                ),
                *(
                    "eB==",
                    "\n".join((other[:76], other[76:])),
                    f" {other}",
                    other.rstrip("=") + "\r\n",
                ),
            )
        )

    def strings(self, *usual: str) -> object:
        """A list of strings."""
        items: list[object] = [self.value(self.pick.one((*usual, "", "a b"))) for _ in range(2)]
        return items[: self.pick.number(2)]

    def extra(self) -> Mapped:
        """`as-user-extra`."""
        keys = ("scopes", "Acme/\u00fc", "", "1", "yes")
        pairs = [(self.pick.one(keys), self.value(self.strings("v"))) for _ in range(2)]
        return Mapped(pairs[: self.pick.number(2)])

    def plugin(self) -> Mapped:
        """`users[].user.exec`."""
        pick = self.pick
        commands = (
            "plugin",
            "./plugin",
            "../bin/plugin",
            "/opt//x/../plugin",
            "a b",
            "",
            "~/p",
            ".",
        )
        modes = ("Never", "IfAvailable", "Always", "never", "")
        versions = PLUGIN_VERSIONS if pick.chance(20) else PLUGIN_VERSIONS[:2]
        return Mapped(
            self.some(
                (96, "command", lambda: pick.one(commands if pick.chance(40) else commands[:2])),
                (96, "apiVersion", lambda: pick.one(versions)),
                (85, "interactiveMode", lambda: pick.one(modes if pick.chance(20) else modes[:3])),
                (40, "args", lambda: self.strings("get-token", "1")),
                (30, "env", lambda: [self.value(self.variable()) for _ in range(pick.number(2))]),
                (40, "provideClusterInfo", lambda: Raw(pick.one(("true", "false", "yes")))),
                (15, "installHint", lambda: pick.one(("get it", "a\x1b[1mb\n\tc", "\u00fc\u200b"))),
            )
        )

    def variable(self) -> Mapped:
        """`env[]` of a plugin."""
        names = ("A", "B", "")
        name = (95, "name", lambda: self.pick.one(names))
        return Mapped(self.some(name, (90, "value", lambda: "v")))

    def provider(self) -> Mapped:
        """`users[].user.auth-provider`."""
        names = ("oidc", "gcp", "azure", "other", "")
        config = Mapped(
            [("client-id", self.value("a")), ("idp-issuer-url", self.value("https://i"))]
        )
        return Mapped(
            self.some((95, "name", lambda: self.pick.one(names)), (70, "config", lambda: config))
        )

    def extensions(self) -> object:
        """A list of extensions, that of exec plugins among them."""
        names = ("client.authentication.k8s.io/exec", "e", "f", "")
        return [self.value(self.extension(names)) for _ in range(self.pick.number(2))]

    def extension(self, names: tuple[str, ...]) -> Mapped:
        """One of them, of any content."""
        return Mapped(
            self.some(
                (95, "name", lambda: self.pick.one(names)),
                (90, "extension", lambda: Mapped([("a", self.wrong()), ("b", [self.wrong()])])),
            )
        )
