"""A seed turned into a cluster that keeps changing, a few objects a second."""

from __future__ import annotations

from typing import NoReturn

import trio

from .clusters import HOSTS, WORKLOADS, pod, ready, suffix
from .model import Model

EVENTS_PER_SECOND = 4.0  # lively on a screen, and still readable
EXTRA_PODS_MAX = 20  # beyond the first ones; then the oldest extra pod goes instead
EXTRA_CERTIFICATES_MAX = 8  # same, for certificates


class Churn:
    """Random changes of a demo cluster. Each step is one write."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._pods: list[tuple[str, str]] = []
        self._certificates: list[tuple[str, str]] = []

    def __repr__(self) -> str:
        return f"<Churn pods={len(self._pods)} certificates={len(self._certificates)}>"

    def step(self) -> None:
        """Do one change: most are updates, the rest come and go."""
        match self.model.random.randrange(10):
            case 0 | 1:
                self._add_or_remove_pod()
            case 2 | 3:
                self._add_or_remove_certificate()
            case 4 | 5 | 6:
                self._renew_certificate()
            case _:
                self._restart_pod()

    async def run(self, events_per_second: float = EVENTS_PER_SECOND) -> NoReturn:
        """Step at random times that average to this rate, until cancelled."""
        while True:
            await trio.sleep(self.model.random.expovariate(events_per_second))
            self.step()

    def _add_or_remove_pod(self) -> None:
        random = self.model.random
        if self._pods and (len(self._pods) >= EXTRA_PODS_MAX or random.random() < 0.4):
            self._remove("pods", self._pods)
            return
        namespace = random.choice(("shop", "payments"))
        made = pod(self.model, namespace, random.choice(WORKLOADS[namespace]))
        del made["metadata"]["creationTimestamp"]
        self.model.create("pods", made)
        self._pods.append((namespace, made["metadata"]["name"]))

    def _add_or_remove_certificate(self) -> None:
        random = self.model.random
        full = len(self._certificates) >= EXTRA_CERTIFICATES_MAX
        if self._certificates and (full or random.random() < 0.4):
            self._remove("certificates", self._certificates)
            return
        namespace = random.choice(("shop", "payments"))
        host = f"preview-{suffix(random, 5)}"
        spec = {"secretName": f"{host}-tls", "dnsNames": [f"{host}.{namespace}.example.com"]}
        meta = {"name": f"{host}-tls", "namespace": namespace}
        obj = {"metadata": meta, "spec": spec, "status": ready("False")}
        self.model.create("certificates", obj)
        self._certificates.append((namespace, meta["name"]))

    def _remove(self, resource: str, known: list[tuple[str, str]]) -> None:
        namespace, name = known.pop(0)
        # Someone else may have deleted it through the API.
        if self.model.get(resource, name, namespace) is not None:
            self.model.delete(resource, name, namespace)

    def _renew_certificate(self) -> None:
        random = self.model.random
        namespace, name = random.choice(("shop", "payments")), f"{random.choice(HOSTS)}-tls"
        if self.model.get("certificates", name, namespace) is not None:
            renewed = {**ready("True"), "revision": self.model.store.rv}
            self.model.patch("certificates", name, {"status": renewed}, namespace)

    def _restart_pod(self) -> None:
        names = self.model.names("pods")
        if names:
            namespace, name = self.model.random.choice(names)
            change = {
                "status": {"restartsAt": self.model.store.timestamp(), "n": self.model.store.rv}
            }
            self.model.patch("pods", name, change, namespace)
