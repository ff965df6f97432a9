"""Seeds and counts turned into believable clusters: the demo's, and many objects of one kind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from random import Random

from .crds import definition
from .model import Model
from .objects import Object

MANAGED_FIELDS_MANAGERS = ("kubectl-client-side-apply", "controller-manager")
NAMESPACES = ("default", "kube-system", "cert-manager", "shop", "payments", "monitoring")
WORKLOADS = {
    "shop": ("web", "cart", "catalog", "checkout", "search"),
    "payments": ("ledger", "gateway", "fraud-check"),
    "monitoring": ("grafana", "alertmanager", "node-exporter"),
    "cert-manager": ("cert-manager", "cert-manager-cainjector", "cert-manager-webhook"),
    "kube-system": ("coredns", "metrics-server"),
}
HOSTS = ("www", "api", "admin", "status", "img")
NODES = ("cp-1", "worker-1", "worker-2", "worker-3")
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
CRDS = (
    definition(
        "cert-manager.io",
        "Certificate",
        "certificates",
        short_names=("cert", "certs"),
        categories=("cert-manager",),
    ),
    definition("cert-manager.io", "Issuer", "issuers", categories=("cert-manager",)),
    definition(
        "cert-manager.io",
        "ClusterIssuer",
        "clusterissuers",
        namespaced=False,
        categories=("cert-manager",),
    ),
    definition("monitoring.example.com", "Probe", "probes", versions=("v1", "v1beta1")),
)


def demo(model: Model) -> None:
    """Fill a model with about 150 objects of some twelve kinds, drawn from its Random."""
    for namespace in NAMESPACES:
        model.create("namespaces", {"metadata": _meta(model, namespace), "status": PHASE_ACTIVE})
    for node in NODES:
        model.create("nodes", {"metadata": _meta(model, node), "spec": {"podCIDR": "10.1.0.0/24"}})
    for crd in CRDS:
        meta = _meta(model, crd["metadata"]["name"])
        model.create("customresourcedefinitions", {**crd, "metadata": meta})
    for namespace in NAMESPACES:
        model.create("serviceaccounts", {"metadata": _meta(model, "default", namespace)})
        root = {"ca.crt": "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n"}
        meta = _meta(model, "kube-root-ca.crt", namespace)
        model.create("configmaps", {"metadata": meta, "data": root})
    for namespace, names in WORKLOADS.items():
        for name in names:
            _workload(model, namespace, name)
    _certificates(model)


def populate(
    model: Model,
    resource: str,
    count: int,
    *,
    namespaces: int = 1,
    prefix: str = "item",
    managers: int = 0,
) -> None:
    """Create `count` objects of a kind, dealt evenly over `namespaces` made-up namespaces.

    Each manager adds a believable entry of managedFields, which metadata-only answers carry too.
    """
    found = model.resource(resource)
    width = len(str(count - 1))
    spread = len(str(namespaces - 1))
    managed = [managed_fields(index) for index in range(managers)]
    for index in range(count):
        meta: Object = {
            "name": f"{prefix}-{index:0{width}d}",
            "labels": {"app.kubernetes.io/name": prefix, "shard": str(index % 7)},
        }
        if found.namespaced:
            meta["namespace"] = f"ns-{index % namespaces:0{spread}d}"
        if managed:
            meta["managedFields"] = managed
        model.store.create(found, {"metadata": meta, "spec": {"index": index}})


def managed_fields(index: int) -> Object:
    """One entry of managedFields, as large as a small object's usually is."""
    owned: Object = {f"f:field{number}": {".": {}, f"f:inner{number}": {}} for number in range(8)}
    return {
        "manager": MANAGED_FIELDS_MANAGERS[index % len(MANAGED_FIELDS_MANAGERS)],
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {".": {}}}, "f:spec": owned},
    }


def pod(model: Model, namespace: str, owner: str) -> Object:
    """A running pod of a workload."""
    random = model.random
    name = f"{owner}-{suffix(random, 9)}-{suffix(random, 5)}"
    meta = _meta(model, name, namespace, labels={"app": owner})
    meta["managedFields"] = [managed_fields(0), managed_fields(1)]
    return {
        "metadata": meta,
        "spec": {
            "nodeName": random.choice(NODES[1:]),
            "containers": [{"name": owner, "image": f"registry.example.com/{owner}:1.4.2"}],
        },
        "status": {
            "phase": "Running",
            "podIP": f"10.1.{random.randrange(4)}.{random.randrange(250)}",
        },
    }


def suffix(random: Random, length: int) -> str:
    """The random end of a generated name."""
    return "".join(random.choices(SUFFIX_ALPHABET, k=length))


PHASE_ACTIVE = {"phase": "Active"}


def _workload(model: Model, namespace: str, name: str) -> None:
    random = model.random
    replicas = random.randint(1, 4)
    labels = {"app": name}
    meta = _meta(model, name, namespace, labels=labels)
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}}
    status = {"readyReplicas": replicas}
    model.create("deployments", {"metadata": meta, "spec": spec, "status": status})
    for _ in range(replicas):
        model.create("pods", pod(model, namespace, name))
    service = {"ports": [{"port": 80}], "selector": labels}
    model.create("services", {"metadata": _meta(model, name, namespace), "spec": service})
    data = {"LOG_LEVEL": "info", "REGION": "eu-1"}
    model.create("configmaps", {"metadata": _meta(model, f"{name}-env", namespace), "data": data})
    secret = {"metadata": _meta(model, f"{name}-token", namespace), "type": "Opaque"}
    model.create("secrets", {**secret, "data": {"token": "bWFkZS11cA=="}})


def _certificates(model: Model) -> None:
    issuer = {"spec": {"acme": {"server": "https://acme.example.com/directory"}}}
    model.create("clusterissuers", {"metadata": _meta(model, "letsencrypt"), **issuer})
    for namespace in ("shop", "payments"):
        meta = _meta(model, "internal-ca", namespace)
        model.create("issuers", {"metadata": meta, "spec": {"selfSigned": {}}})
        for host in HOSTS:
            spec = {"secretName": f"{host}-tls", "dnsNames": [f"{host}.{namespace}.example.com"]}
            certificate = {"metadata": _meta(model, f"{host}-tls", namespace), "spec": spec}
            model.create("certificates", {**certificate, "status": ready("True")})
        target = {"url": f"https://www.{namespace}.example.com/health"}
        meta = _meta(model, f"{namespace}-front", namespace)
        model.create("probes", {"metadata": meta, "spec": target})


def ready(status: str) -> Object:
    """The status of a certificate."""
    reason = "Ready" if status == "True" else "Issuing"
    return {"conditions": [{"type": "Ready", "status": status, "reason": reason}]}


def _meta(
    model: Model, name: str, namespace: str = "", *, labels: dict[str, str] | None = None
) -> Object:
    """Metadata with an age between some minutes and two months."""
    age = dt.timedelta(minutes=model.random.randint(5, 60 * 24 * 60))
    made = dt.datetime.fromtimestamp(model.store.wall_clock(), tz=dt.UTC) - age
    meta: Object = {"name": name, "creationTimestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if namespace:
        meta["namespace"] = namespace
    if labels:
        meta["labels"] = labels
    return meta


def counts(model: Model) -> Iterator[tuple[str, int]]:
    """How many objects there are of each resource that has any."""
    for name, collection in model.store.collections.items():
        if collection.items:
            yield name, len(collection.items)
