"""Whole setups for hypothesis: several files, good, missing and broken, environment and flags."""

from __future__ import annotations

from functools import cache
from random import Random

from hypothesis import strategies as st

from tests.kubeconfig.documents import PKI, Documents
from tests.kubeconfig.pools import BROKEN, NO_PROXIES, PROXIES
from tests.kubeconfig.setups import ROOT, SERVICE_ACCOUNT, Flags, Setup
from tests.kubeconfig.yaml_text import Pick, Writer, with_noise

FOLDERS = ("home/.kube/", "", "sub/")
KUBECONFIGS = ("home/.kube/config", "a", "sub/b")


@st.composite
def setups(draw: st.DrawFn) -> Setup:
    """Setups that shrink."""
    return setup_of(Pick(lambda bound: draw(_below(bound))))


def numbered_setup(seed: int, number: int) -> Setup:
    """Always the same one for the same numbers: without hypothesis, which repeats itself."""
    return setup_of(Pick(Random(f"{seed}/{number}").randrange))


@cache
def _below(bound: int) -> st.SearchStrategy[int]:
    return st.integers(0, bound - 1)


def setup_of(pick: Pick) -> Setup:
    """One setup, mostly one that works."""
    files: dict[str, str] = {}
    count = 1 + (pick.number(2) if pick.chance(40) else 0)
    for name in KUBECONFIGS[:count]:
        _add_kubeconfig(pick, files, name)
    for folder in FOLDERS:
        _add_credentials(pick, files, folder)
    env = {"HOME": f"{ROOT}/home", "PATH": "/usr/bin"}
    if count > 1 or pick.chance(10):
        env["KUBECONFIG"] = _kubeconfig_variable(pick)
    if pick.chance(2):
        env["HOME"] = pick.one(("", "home", f"{ROOT}/nowhere", f"{ROOT}/home/"))
    _add_proxies(pick, env)
    _add_pod(pick, files, env)
    return Setup(files=files, env=env, flags=_flags(pick))


def _add_kubeconfig(pick: Pick, files: dict[str, str], name: str) -> None:
    match pick.number(59):
        case 59:
            return  # missing
        case 58:
            files[f"{name}/"] = ""
        case 57:
            files[name] = pick.one(("", " \n", *BROKEN))
        case kind:
            odd, merging = (0, 0, 3, 12)[kind % 4], pick.chance(8)
            document = Documents(pick, odd, merging).document()
            text = Writer(pick, (0, 5, 10, 30)[kind // 4 % 4]).document(document)
            if pick.chance(5):
                text = pick.one(("\ufeff", "---\n", "# c\n", "%YAML 1.1\n---\n", "\n\n")) + text
            if pick.chance(3):
                text = text.replace("\n", "\r\n")
            if pick.chance(3):
                text += pick.one(
                    ("...\n", "---\n", "---\na: [\n", "--- {}\n", "# end", "...\nx: [\n")
                )
            for _ in range(1 + pick.number(1) if pick.chance(5) else 0):
                text = with_noise(pick, text)
            files[name] = text


def _add_credentials(pick: Pick, files: dict[str, str], folder: str) -> None:
    for name in ("ca.crt", "tls.crt", "tls.key"):
        if pick.chance(97):
            good = not pick.chance(5)
            contents = ("", "garbage", PKI["other-ca.crt"], PKI["encrypted.key"], PKI["ca.crt"] * 2)
            files[folder + name] = PKI[name] if good else pick.one(contents)
    if pick.chance(97):
        odd = ("filed\n", "", " \n", "a b", "t\u00f6k", " x \n\n", "a\nb\n")
        files[f"{folder}token"] = pick.one(odd) if pick.chance(20) else "filed"
    if pick.chance(50):
        files[f"{folder}folder/"] = ""
        files[f"{folder}pki/"] = ""


def _kubeconfig_variable(pick: Pick) -> str:
    items = [f"{ROOT}/home/.kube/config", f"{ROOT}/a", f"{ROOT}/sub/b"]
    if pick.chance(30):
        items.insert(
            pick.number(3), pick.one(("", "a", "sub/../a", f"{ROOT}/gone", "~/x", f"{ROOT}/a/x"))
        )
    if pick.chance(20):
        items.reverse()
    if pick.chance(10):
        items = items[: pick.number(2)]
    return pick.one((":", ":", ":", "::", " :")).join(items)


def _add_proxies(pick: Pick, env: dict[str, str]) -> None:
    if not pick.chance(15):
        return
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        if pick.chance(40):
            env[name] = pick.one(PROXIES if pick.chance(20) else PROXIES[:4])
    if pick.chance(60):
        env[pick.one(("NO_PROXY", "no_proxy"))] = pick.one(NO_PROXIES)
    if pick.chance(5):
        env["REQUEST_METHOD"] = "GET"


def _add_pod(pick: Pick, files: dict[str, str], env: dict[str, str]) -> None:
    if not pick.chance(15):
        return
    env["KUBERNETES_SERVICE_HOST"] = pick.one(("10.96.0.1", "fd00::1", "", "k.test"))
    env["KUBERNETES_SERVICE_PORT"] = pick.one(("443", "6443", "", "https", "99999"))
    if pick.chance(20):
        env["POD_NAMESPACE"] = pick.one(("var-ns", ""))
    if pick.chance(80):
        files[f"{SERVICE_ACCOUNT}/token"] = pick.one(
            ("pod-token\n", "pod-token\n", "", " \n", "a\nb")
        )
    if pick.chance(80):
        files[f"{SERVICE_ACCOUNT}/ca.crt"] = pick.one((PKI["ca.crt"], PKI["ca.crt"], "", "garbage"))
    if pick.chance(80):
        files[f"{SERVICE_ACCOUNT}/namespace"] = pick.one(("pod-ns\n", "pod-ns", " \n"))


def _flags(pick: Pick) -> Flags:
    kubeconfig = context = None
    if pick.chance(5):
        kubeconfig = pick.one(
            (f"{ROOT}/a", "a", "", f"{ROOT}/gone", f"{ROOT}/sub", f"{ROOT}/a:{ROOT}/b")
        )
    if pick.chance(6):
        context = pick.one(("dev", "other", "", "gone", "\u00fc \u65e5"))
    return Flags(kubeconfig, context)
