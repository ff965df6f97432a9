"""Kubeconfig files: parsed, and merged with the first one winning."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.daemon.kube.kubeconfig_fields import ClusterFields
from orka.daemon.kube.kubeconfig_files import (
    FILE_MAX_BYTES,
    Entry,
    Merged,
    merge,
    parse,
    read_file,
)
from orka.proto.errors import ConfigError
from tests.support.kubeconfigs import Files

FIRST = """
clusters:
- {name: shared, cluster: {server: https://first}}
contexts:
- {name: a, context: {cluster: shared}}
"""
SECOND = """
current-context: b
clusters:
- {name: shared, cluster: {server: https://second, tls-server-name: second}}
- {name: only-second, cluster: {server: https://other}}
users:
- {name: u, user: {token: x}}
contexts:
- {name: b, context: {cluster: only-second, user: u}}
"""


def test_the_first_file_wins_whole_entries() -> None:
    """Entries are taken by name from the first file that has them, never field by field."""
    merged = merge(["/1", "/2"], Files({"/1": FIRST, "/2": SECOND}).read)

    assert merged.clusters["shared"].fields.server == "https://first"
    assert merged.clusters["shared"].fields.tls_server_name is None
    assert merged.clusters["shared"].file == "/1"
    assert merged.clusters["only-second"].file == "/2"
    assert set(merged.contexts) == {"a", "b"}
    assert merged.current_context == "b"


def test_the_first_current_context_wins() -> None:
    """An empty one does not count."""
    files = Files({"/1": "current-context: ''", "/2": "current-context: x", "/3": SECOND})

    assert merge(["/1", "/2", "/3"], files.read).current_context == "x"


def test_missing_files_are_skipped_and_duplicates_read_once() -> None:
    """As kubectl does with $KUBECONFIG."""
    files = Files({"/1": FIRST})
    merged = merge(["/0", "/1", "/0", "/1"], files.read)

    assert merged.missing == ("/0",)
    assert merged.files == ("/1",)
    assert files.reads == ["/0", "/1"]


@pytest.mark.parametrize("content", ["", "# only a comment\n", "null", "{}", "clusters: null"])
def test_a_file_without_content_is_a_valid_empty_config(content: str) -> None:
    """Empty is neither missing nor broken."""
    merged = parse("/1", content.encode())

    assert (merged.files, merged.contexts, merged.current_context) == (("/1",), {}, "")


def test_null_is_absent_for_every_field() -> None:
    """As in Go."""
    merged = parse("/1", b"contexts: [{name: a, context: null}]\nusers: [{name: null}]")

    assert merged.contexts["a"].fields.cluster is None
    assert merged.users[""].fields.token is None


def test_what_looks_like_a_date_is_a_string() -> None:
    """Kubernetes' YAML has no dates."""
    merged = parse("/1", b"users: [{name: u, user: {token: 2001-01-01}}]")

    assert merged.users["u"].fields.token == "2001-01-01"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("clusters: [", "not YAML: line 2, column 1: did not find"),
        ("a: b: s3cret", "not YAML: line 1"),
        (b"\xff\xfe\xfa", "not YAML"),
        (b"a: \x01", "not YAML: it holds bytes that are not text"),
        ("[" * 100_000, "not YAML: nested too deeply"),
        ("a: !!int s3cret", "not YAML: a scalar that is no !!int"),
        ("just text", "Expected `object`, got `str`"),
        ("contexts: [{name: a, context: {namespace: 123}}]", "$.contexts[0].context.namespace"),
        ("users: [{name: u, user: {token: yes}}]", "$.users[0].user.token"),
        ("kind: Pod\napiVersion: v1", "expected kind Config of apiVersion v1, got 'Pod'"),
        ("apiVersion: v2", "got '' of 'v2'"),
        ("kind: {token: s3cret}", "got <dict> of ''"),
        (f"kind: {'s3cret' * 20}", "got <str> of ''"),
        ("KIND: Pod", "got 'Pod' of ''"),
        ("{KIND: 1, kind: Config}", "got <int> of ''"),
        ("apiVersion: apps/v1", "got '' of 'apps/v1'"),
        ("users: [{name: a, user: {client-key-data: s3cret!}}]", "not base64 - at"),
        ("users: [{name: a, user: {client-key-data: [1]}}]", "Expected `str`, got `list`"),
        ("preferences: {colors: 1}", "$.preferences.colors"),
        ("extensions: [{name: e, extension: 1}, {name: e}]", "'e' in extensions of the file"),
        (
            "users: [{name: u, user: {extensions: [{extension: 1}, null]}}]",
            "duplicate name None in extensions of 'u'",
        ),
        ("users: [{name: u}, {name: u}]", "duplicate name 'u' in users"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(content: str | bytes, words: str) -> None:
    """The error has file and place, and never quotes the file."""
    with pytest.raises(ConfigError) as caught:
        parse("/etc/kc", content if isinstance(content, bytes) else content.encode())

    assert caught.value.message.startswith("kubeconfig /etc/kc")
    assert words in caught.value.message
    assert "s3cret" not in caught.value.message


def test_one_unreadable_file_fails_the_load() -> None:
    """Even if others are good: half of what the user wrote is not what they wrote."""
    files = Files({"/1": FIRST, "/2": PermissionError(13, "Permission denied")})

    with pytest.raises(ConfigError, match="kubeconfig /2: Permission denied"):
        merge(["/1", "/2"], files.read)


def test_all_unusable_files_are_told_together() -> None:
    """One run, one list to fix."""
    files = Files({"/1": "[", "/2": FIRST, "/3": PermissionError(13, "Permission denied")})

    with pytest.raises(ConfigError, match=r"kubeconfig /1 is not YAML: .*; kubeconfig /3: Permis"):
        merge(["/1", "/2", "/3"], files.read)


def test_a_path_that_is_none_is_unreadable() -> None:
    """With a zero byte in it."""
    with pytest.raises(ConfigError, match="embedded null byte"):
        merge(["/a\0b"], read_file)


@pytest.mark.parametrize("kind", ["kind: Config", "apiVersion: v1", "apiVersion: /", "KIND: ''"])
def test_kind_and_version_may_be_absent(kind: str) -> None:
    """Or just as Kubernetes would fill them in."""
    assert parse("/1", kind.encode()).files == ("/1",)


def test_null_items_and_null_extensions_are_no_error() -> None:
    """In Go a null is a value that was not given."""
    text = b"""
clusters: [null]
contexts: [{name: a, context: {extensions: [{name: e, extension: null}, {name: e}]}}]
users: [null]
"""
    merged = parse("/1", text)

    assert merged.clusters[""].fields.server is None
    assert list(merged.contexts) == ["a"]


@pytest.mark.parametrize(
    ("user", "secret"),
    [
        ("{token: x}", True),
        ("{password: x}", True),
        ("{client-key-data: QQ==}", True),
        ("{auth-provider: {config: {a: b}}}", True),
        ("{auth-provider: {name: x}}", False),
        ("{tokenFile: x, client-key: k, exec: {}, username: u}", False),
    ],
)
def test_files_with_secrets_are_known(user: str, secret: bool) -> None:
    """So that somebody can look who may read them."""
    files = Files({"/1": FIRST, "/2": f"users: [{{name: u, user: {user}}}]"})

    assert merge(["/1", "/2"], files.read).secret_files == ({"/2"} if secret else set())


def test_regular_files_are_read_whole(tmp_path: Path) -> None:
    """The real reader."""
    path = tmp_path / "config"
    path.write_bytes(b"kind: Config")

    assert read_file(str(path)) == b"kind: Config"


def test_a_pipe_does_not_hang_the_daemon(tmp_path: Path) -> None:
    """KUBECONFIG=<(...) and other files that are none are errors at once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    for path in (pipe, tmp_path):
        with pytest.raises(OSError, match=r"not a regular file|Is a directory"):
            read_file(str(path))


def test_a_file_that_is_no_kubeconfig_by_its_size_is_not_read(tmp_path: Path) -> None:
    """Somebody's disk image."""
    path = tmp_path / "config"
    with path.open("wb") as file:
        file.truncate(FILE_MAX_BYTES + 1)

    with pytest.raises(OSError, match="over 16777216 bytes"):
        read_file(str(path))


def merged_of(names: Mapping[str, str], current: str, file: str) -> Merged:
    """A file with these clusters, by their servers."""
    clusters = {name: Entry(ClusterFields(server=url), file) for name, url in names.items()}
    secret = frozenset([file]) if "a" in names else frozenset()
    return Merged((file,), (), current, {}, clusters, {}, secret)


FILES = st.lists(
    st.builds(
        merged_of,
        st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz")),
        st.sampled_from(["", "a", "b"]),
        st.sampled_from(["/1", "/2", "/3"]),
    ),
    min_size=3,
    max_size=3,
)


@given(FILES)
def test_files_may_be_merged_in_any_grouping(files: list[Merged]) -> None:
    """The first one wins, however they are put together; no file at all changes nothing."""
    first, second, third = files

    assert first.then(second).then(third) == first.then(second.then(third))
    assert first.then(Merged()) == first == Merged().then(first)
    for name, entry in first.then(second).clusters.items():
        assert entry == first.clusters.get(name, second.clusters.get(name))
