"""The status document as a person reads it."""

from __future__ import annotations

import json

import pytest

from orka.render import status
from orka.render.json import truth_document
from tests.support.wire import NOW, truth

REPORT: dict[str, object] = {
    "daemon": {
        "pid": 4711,
        "version": "0.1.0",
        "started": NOW - 3 * 3600 - 720,
        "socket": "/run/user/1000/orka/orkad.sock",
        "rss_bytes": 44_145_000,
    },
    "clusters": [
        {
            "context": "kind-dev",
            "server": "https://127.0.0.1:6443",
            "user": "kind-dev",
            "namespace": "default",
            "kinds": [
                {
                    "gvk": "cert-manager.io/v1/Certificate",
                    "truth": truth_document(truth(objects=5000)),
                    "objects": 5000,
                    "watchers": 3,
                    "sync_path": "streaming list",
                },
                {
                    "gvk": "v1/Pod",
                    "truth": truth_document(truth("stale", reason="cut\x1b", age_seconds=200)),
                    "watchers": 0,
                    "sync_path": None,
                },
            ],
            "upstream": {"watch": {"certificates": 1, "pods": 4}, "list": {"pods": 2}},
        }
    ],
    "clients": [
        {"pid": 5000, "asks": "watch cert", "sent_bytes": 900, "lagging": False},
        {"pid": 5001, "asks": "watch cert", "sent_bytes": 5_000_000_000, "lagging": True},
    ],
}


def shown(report: dict[str, object]) -> str:
    """The whole table."""
    return b"".join(status.table(report, NOW)).decode()


def test_status_shows_daemon_clusters_kinds_requests_and_clients() -> None:
    """P6: the requests upstream stand beside the clients that they serve."""
    assert shown(REPORT) == (
        "orkad 0.1.0   pid 4711   up 3h12m   rss 42.1 MiB   socket /run/user/1000/orka/orkad.sock\n"
        "\n"
        "context kind-dev   server https://127.0.0.1:6443   user kind-dev   namespace default\n"
        "KIND                             STATE   AGE     OBJECTS   WATCHERS   DROPPED   SYNC"
        "             REASON\n"
        "cert-manager.io/v1/Certificate   live    0s      5000      3          0         "
        "streaming list   -\n"
        "v1/Pod                           stale   3m20s   2         0          0         "
        "-                cut\\x1b\n"
        "\n"
        "VERB    KIND           REQUESTS\n"
        "list    pods           2\n"
        "watch   certificates   1\n"
        "watch   pods           4\n"
        "\n"
        "PID    SENT      LAGGING   ASKS\n"
        "5000   900 B     no        watch cert\n"
        "5001   4.7 GiB   yes       watch cert\n"
    )


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"daemon": 1, "clusters": 2, "clients": 3},
        {"daemon": {}, "clusters": [{}, 1], "clients": [{}, 1]},
        {"clusters": [{"kinds": [{}], "upstream": {"list": 1}}]},
    ],
)
def test_what_is_missing_is_a_dash(report: dict[str, object]) -> None:
    """A document of another version is shown as far as it is understood."""
    text = shown(report)

    assert text.startswith("orkad -   pid -   up -   rss -   socket -\n")


def test_a_start_time_may_be_text() -> None:
    """A daemon that writes the time out is shown as it says."""
    assert "up 2027-01-15T08:00:00Z" in shown({"daemon": {"started": "2027-01-15T08:00:00Z"}})


def test_the_json_document_has_its_version_and_written_times() -> None:
    """The same report for programs; seconds become RFC 3339, all else is left alone."""
    report = {**REPORT, "extra": [{"since": 0, "objects": 5}, "x"]}
    printed = json.loads(b"".join(status.json_document(report)))

    assert printed["v"] == 1
    assert printed["daemon"]["started"] == "2027-01-15T04:48:00.250Z"
    assert printed["daemon"]["pid"] == 4711
    assert printed["extra"] == [{"since": "1970-01-01T00:00:00.000Z", "objects": 5}, "x"]
    assert printed["clusters"][0]["kinds"][0]["watchers"] == 3


def test_status_says_how_each_cluster_authenticates() -> None:
    """Since when, until when, what failed last, and what became of the kubeconfig."""
    auth = {
        "method": "plugin aws",
        "impersonating": "ann",
        "since": NOW - 300,
        "next_refresh": NOW + 600,
        "last_failure": "exec: executable aws failed with exit code 255: \x1b[1mno session",
    }
    cluster = {"context": "dev", "auth": auth, "note": "the kubeconfig now means https://b"}
    lines = shown({"clusters": [cluster]}).splitlines()

    assert lines[3:6] == [
        "auth plugin aws as ann   since 5m   refresh in 10m",
        "auth failure: exec: executable aws failed with exit code 255: \\x1b[1mno session",
        "note: the kubeconfig now means https://b",
    ]


def test_the_times_of_credentials_are_written_out_for_programs() -> None:
    """As every other time in the document."""
    written = b"".join(status.json_document({"auth": {"since": 0, "next_refresh": None}}))

    auth = json.loads(written)["auth"]
    assert auth == {"since": "1970-01-01T00:00:00.000Z", "next_refresh": None}
