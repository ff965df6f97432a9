"""What a name means in a cluster."""

from __future__ import annotations

import pytest

from orka.daemon.kube.catalog import Catalog, Endpoint
from orka.daemon.kube.discovery_documents import GroupVersion
from orka.daemon.model import Resource
from orka.proto.errors import Refused


def resource(gvk: str, plural: str, *short_names: str, verbs: str = "list watch") -> Resource:
    """A namespaced resource; the singular is the kind in lower case."""
    group, version, kind = gvk.rpartition("/")[0].rpartition("/")[0], *gvk.split("/")[-2:]
    return Resource(
        group=group,
        version=version,
        kind=kind,
        resource=plural,
        namespaced=True,
        verbs=frozenset(verbs.split()),
        singular=kind.lower(),
        short_names=short_names,
    )


def version(*resources: Resource, failed: str = "") -> GroupVersion:
    """A group-version of its resources."""
    return GroupVersion(resources[0].group, resources[0].version, resources, failed)


CORE = version(
    resource("v1/ConfigMap", "configmaps", "cm"),
    resource("v1/Event", "events", "ev"),
    resource("v1/Pod", "pods", "po"),
    resource("v1/Binding", "bindings", verbs="create"),
)
GROUPS = (
    version(resource("apps/v1/Deployment", "deployments", "deploy")),
    version(resource("events.k8s.io/v1/Event", "events", "ev")),
    version(resource("batch/v1/Job", "jobs"), resource("batch/v1/CronJob", "cronjobs", "cj")),
    version(resource("batch/v1beta1/CronJob", "cronjobs", "cj")),
    version(resource("batch/v1alpha1/JobSet", "jobsets")),
    version(
        resource("cert-manager.io/v1/Certificate", "certificates", "cert", "certs"),
        resource("cert-manager.io/v1/Issuer", "issuers", verbs="list"),
    ),
    version(resource("gateway.test/v1/Gateway", "gateways", "gw", "deploy")),
    version(resource("istio.test/v1/Gateway", "gateways", "gw")),
    version(resource("metrics.k8s.io/v1beta1/PodMetrics", "pods", verbs="list")),
)
CRDS = frozenset(
    {
        "certificates.cert-manager.io",
        "issuers.cert-manager.io",
        "gateways.gateway.test",
        "gateways.istio.test",
    }
)
CATALOG = Catalog(Endpoint((CORE,)), Endpoint(GROUPS), CRDS)


@pytest.mark.parametrize(
    ("name", "gvk"),
    [
        ("v1/Pod", "v1/Pod"),
        ("v1/pods", "v1/Pod"),
        ("apps/v1/Deployment", "apps/v1/Deployment"),
        ("batch/v1beta1/CronJob", "batch/v1beta1/CronJob"),
        (" pods ", "v1/Pod"),  # also in metrics.k8s.io: the core group is first
        ("PODS", "v1/Pod"),
        ("po", "v1/Pod"),
        ("Pod", "v1/Pod"),
        ("pods.metrics.k8s.io", "metrics.k8s.io/v1beta1/PodMetrics"),
        ("podmetrics", "metrics.k8s.io/v1beta1/PodMetrics"),
        ("events", "v1/Event"),
        ("ev", "v1/Event"),
        ("events.events.k8s.io", "events.k8s.io/v1/Event"),
        ("events.v1.events.k8s.io", "events.k8s.io/v1/Event"),
        ("deploy", "apps/v1/Deployment"),  # a CRD has it too, a built-in keeps it
        ("deployment.apps", "apps/v1/Deployment"),
        ("Deployment.v1.apps", "apps/v1/Deployment"),
        ("deploy.v1.apps", "apps/v1/Deployment"),
        ("cronjobs", "batch/v1/CronJob"),  # the preferred version
        ("cj.v1beta1.batch", "batch/v1beta1/CronJob"),
        ("jobsets", "batch/v1alpha1/JobSet"),  # only in a version that is not preferred
        ("certificates.cert-manager.io", "cert-manager.io/v1/Certificate"),
        ("certificates.v1.cert-manager.io", "cert-manager.io/v1/Certificate"),
        ("certificates", "cert-manager.io/v1/Certificate"),
        ("certificate", "cert-manager.io/v1/Certificate"),
        ("cert", "cert-manager.io/v1/Certificate"),
        ("Certificate", "cert-manager.io/v1/Certificate"),
        ("certificates.cert", "cert-manager.io/v1/Certificate"),  # a group may be cut short
        ("cert.cert", "cert-manager.io/v1/Certificate"),
        ("gateways", "gateway.test/v1/Gateway"),  # the first group that has it
        ("gw.istio.test", "istio.test/v1/Gateway"),
    ],
)
def test_names_mean_what_kubectl_takes_them_for(name: str, gvk: str) -> None:
    """Every form, in every precedence."""
    assert CATALOG.resolve(name).gvk == gvk


def test_a_short_name_of_several_crds_is_ambiguous() -> None:
    """Kubectl takes the first and warns; there is nobody to warn here."""
    with pytest.raises(Refused) as caught:
        CATALOG.resolve("gw")

    assert caught.value.code == "ambiguous"
    assert caught.value.message == '"gw" is ambiguous: gateways.gateway.test, gateways.istio.test'


def test_plural_and_singular_may_be_one_word() -> None:
    """Such a resource is not ambiguous with itself."""
    same = version(resource("x.test/v1/Sheep", "sheep"))

    assert Catalog(Endpoint(), Endpoint((same,))).resolve("Sheep").resource == "sheep"


def test_a_name_that_one_version_has_twice_is_ambiguous() -> None:
    """The plural of one resource is the singular of another."""
    twice = version(resource("x.test/v1/Data", "sets"), resource("x.test/v1/Datum", "data"))
    with pytest.raises(Refused, match=r'"data" is ambiguous: sets.x.test, data.x.test'):
        Catalog(Endpoint(), Endpoint((twice,)), frozenset()).resolve("data")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("certificat", "certificate"),
        ("deploymnets", "deployments"),
        ("apps/v2/Deployment", "apps/v1/Deployment"),
        ("certificates.v2.cert-manager.io", "certificates.cert-manager.io"),
        ("pods.v2.metrics.k8s.io", "pods.metrics.k8s.io"),
    ],
)
def test_what_is_not_served_is_refused_with_near_names(name: str, near: str) -> None:
    """Typing errors and versions that are gone."""
    with pytest.raises(Refused) as caught:
        CATALOG.resolve(name)

    assert caught.value.code == "not-served"
    assert name in caught.value.message
    assert near in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["", "xyzzy", "a/b/c/d", ".", "/", "pods.pods.pods.pods"])
def test_names_like_no_other(name: str) -> None:
    """No near name, no crash."""
    with pytest.raises(Refused) as caught:
        CATALOG.resolve(name)

    assert caught.value.code == "not-served"
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("nodemetrics", True),
        ("nodes.metrics.k8s.io", True),
        ("metrics.k8s.io/v1beta1/NodeMetrics", True),
        ("nodes.apps", False),
        ("v1/NodeMetrics", False),
    ],
)
def test_a_failed_group_may_have_what_is_missing(name: str, *, hidden: bool) -> None:
    """Not knowing is not the same as not served; the hint says so where it can be."""
    failed = GroupVersion("metrics.k8s.io", "v1beta1", failed="503: no endpoints")
    catalog = Catalog(Endpoint((CORE,)), Endpoint((failed,)))
    with pytest.raises(Refused) as caught:
        catalog.resolve(name)

    assert ("metrics.k8s.io/v1beta1 could not be read" in (caught.value.hint or "")) is hidden


def test_a_failed_core_version_is_named_for_core_kinds() -> None:
    """`v1` has no group to look for in the name."""
    catalog = Catalog(Endpoint((GroupVersion("", "v1", failed="500"),)), Endpoint())
    with pytest.raises(Refused) as caught:
        catalog.resolve("v1/Pod")

    assert caught.value.hint == "v1 could not be read and may have it: 500"


def test_preferred_is_the_first_version_that_has_the_resource() -> None:
    """As `kubectl api-resources` shows it: each resource once."""
    shown = [r.gvk for r in CATALOG.resources if r.preferred and r.group == "batch"]

    assert shown == ["batch/v1/Job", "batch/v1/CronJob", "batch/v1alpha1/JobSet"]


def test_a_failed_version_is_preferred_only_where_no_other_has_the_resource() -> None:
    """The last that was known of it is better than nothing, and worse than a healthy version."""
    catalog = Catalog(
        Endpoint(),
        Endpoint(
            (
                version(
                    resource("x.test/v2/Thing", "things"),
                    resource("x.test/v2/Other", "others"),
                    failed="stale",
                ),
                version(resource("x.test/v1/Thing", "things")),
            )
        ),
    )

    assert catalog.resolve("things").gvk == "x.test/v1/Thing"
    assert catalog.resolve("others").gvk == "x.test/v2/Other"
    assert catalog.failed == {"x.test/v2": "stale"}
    assert repr(catalog) == "<Catalog resources=3 failed=1>"


def test_the_first_crd_is_the_first_that_can_be_watched() -> None:
    """In the server's order of groups."""
    assert CATALOG.first_crd().gvk == "cert-manager.io/v1/Certificate"


def test_without_a_crd_it_is_configmap() -> None:
    """Every cluster has those."""
    catalog = Catalog(Endpoint((CORE,)), Endpoint(GROUPS), frozenset())

    assert catalog.first_crd().gvk == "v1/ConfigMap"
    assert not any(r.crd for r in catalog.resources)


def test_crds_are_guessed_by_their_group_where_they_may_not_be_listed() -> None:
    """A dot in the group, and not one of Kubernetes' own."""
    catalog = Catalog(Endpoint((CORE,)), Endpoint(GROUPS), None)

    assert {r.group_resource for r in catalog.resources if r.crd} == CRDS
    assert catalog.first_crd().gvk == "cert-manager.io/v1/Certificate"
