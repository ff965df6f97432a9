"""Loading at every request, reading only when something changed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from orka.daemon.kube.kubeconfig_cache import (
    TARGETS_MAX_COUNT,
    KubeconfigCache,
    mode_of_file,
    stamp_file,
)
from orka.proto.errors import ConfigError
from orka.proto.messages import Target
from tests.support.kubeconfigs import HOME, Files, default_target, kubeconfig


def cache_of(files: Files) -> KubeconfigCache:
    """A cache over files in a dict."""
    return KubeconfigCache({}, read=files.read, stamp=files.stamp)


def test_unchanged_files_are_not_read_again() -> None:
    """The very same Connection."""
    files = Files({HOME: kubeconfig()})
    cache = cache_of(files)
    first = cache.load(default_target())

    assert cache.load(default_target()) is first
    assert files.reads == [HOME]
    assert repr(cache) == "<KubeconfigCache targets=1>"


def test_a_switched_context_is_seen_at_once() -> None:
    """`kubectl config use-context` between two requests."""
    files = Files({HOME: kubeconfig(context={"namespace": "a"})})
    cache = cache_of(files)
    before = cache.load(default_target())
    files.content[HOME] = kubeconfig(context={"namespace": "b"})

    assert (before.namespace, cache.load(default_target()).namespace) == ("a", "b")


def test_files_that_were_missing_or_are_named_inside_count_too() -> None:
    """A file that appears, and a CA that is replaced."""
    cluster = {"server": "https://api.test", "certificate-authority": "/ca"}
    files = Files({"/2": kubeconfig(cluster=cluster), "/ca": "OLD"})
    cache = cache_of(files)
    target = default_target("/1", "/2")

    assert cache.load(target).ca == b"OLD"
    files.content["/ca"] = "NEW"
    assert cache.load(target).ca == b"NEW"
    files.content["/1"] = kubeconfig()
    assert cache.load(target).ca is None


def test_failures_are_not_remembered() -> None:
    """A broken file that is repaired works at once, a good one that breaks fails at once."""
    files = Files({HOME: "["})
    cache = cache_of(files)
    for content, works in (("[", False), (kubeconfig(), True), ("[", False)):
        files.content[HOME] = content
        if works:
            assert cache.load(default_target()).context == "dev"
        else:
            with pytest.raises(ConfigError):
                cache.load(default_target())


def test_targets_are_kept_apart_and_bounded() -> None:
    """One entry per shell and context, the oldest leaves first."""
    files = Files({f"/{n}": kubeconfig() for n in range(TARGETS_MAX_COUNT + 1)})
    cache = cache_of(files)
    for path in files.content:
        cache.load(Target("env", (path,)))

    assert repr(cache) == f"<KubeconfigCache targets={TARGETS_MAX_COUNT}>"
    files.reads.clear()
    cache.load(Target("env", ("/1",)))
    cache.load(Target("env", ("/0",)))
    assert files.reads == ["/0"]


def test_the_stamp_of_a_real_file(tmp_path: Path) -> None:
    """It changes when the file is written, replaced or removed."""
    path = tmp_path / "config"
    stamps = [stamp_file(str(path))]
    path.write_text("a")
    stamps.append(stamp_file(str(path)))
    os.utime(path, ns=(1, 1))
    stamps.append(stamp_file(str(path)))
    path.write_text("ab")
    os.utime(path, ns=(1, 1))
    stamps.append(stamp_file(str(path)))
    other = tmp_path / "other"
    other.write_text("ba")
    os.utime(other, ns=(1, 1))
    other.replace(path)
    stamps.append(stamp_file(str(path)))

    assert stamps[0] is None
    assert len(set(stamps)) == 5


def test_a_kubeconfig_that_others_can_read_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Once per file, however often it is loaded; the log has its path and no secret of it."""
    files = Files({HOME: kubeconfig(user={"token": "s3cret"})})
    cache = KubeconfigCache({}, read=files.read, stamp=files.stamp, mode=lambda _: 0o640)
    with caplog.at_level(logging.WARNING):
        cache.load(default_target())
        files.content[HOME] = kubeconfig(user={"token": "s3cret2"})
        cache.load(default_target())

    assert [record.getMessage() for record in caplog.records] == [
        f"kubeconfig-exposed path={HOME} mode=0640: others can read its secrets"
    ]


@pytest.mark.parametrize(
    ("user", "mode"), [({"token": "s3cret"}, 0o600), ({"tokenFile": "/token"}, 0o644)]
)
def test_a_kubeconfig_without_secrets_or_readers_is_not_told(
    user: dict[str, object], mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Either is fine."""
    files = Files({HOME: kubeconfig(user=user), "/token": "t"})
    with caplog.at_level(logging.WARNING):
        KubeconfigCache({}, read=files.read, stamp=files.stamp, mode=lambda _: mode).load(
            default_target()
        )

    assert not caplog.records


def test_modes_are_read_from_files(tmp_path: Path) -> None:
    """A file that is gone can be read by nobody."""
    path = tmp_path / "config"
    path.touch(0o600)
    path.chmod(0o604)

    assert mode_of_file(str(path)) == 0o604
    assert mode_of_file(str(tmp_path / "gone")) == 0
