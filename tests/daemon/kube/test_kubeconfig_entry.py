"""One entry's files and problems."""

from __future__ import annotations

import pytest

from orka.daemon.kube.kubeconfig_entry import Checked
from tests.support.kubeconfigs import Files


def entry(file: str = "/team/kc/config", **files: str) -> Checked:
    """Of a user `u`, whose files are these in the folder of `file`."""
    folder = file.rpartition("/")[0]
    return Checked("user", "u", file, Files({f"{folder}/{n}": c for n, c in files.items()}).read)


@pytest.mark.parametrize(
    ("file", "value", "path"),
    [
        ("/team/kc/config", "a", "/team/kc/a"),
        ("/team/kc/config", "../a", "/team/a"),
        ("/team/kc/config", "./x//y/", "/team/kc/x/y"),
        ("/team/kc/config", "/a//b", "/a//b"),
        ("/team/kc/config", "~/a", "/team/kc/~/a"),
        ("//x/config", "a", "/x/a"),
        ("/config", "a", "/a"),
    ],
)
def test_paths_begin_at_the_file_that_names_them(file: str, value: str, path: str) -> None:
    """As Go joins them: absolute ones are left alone, a tilde is a name."""
    assert entry(file).path(value) == path


def test_one_of_file_and_data_is_read() -> None:
    """Neither, either; an empty one is not there."""
    checked = entry(a="A")

    assert checked.one_of("client-key", None, None) is None
    assert checked.one_of("client-key", "", b"") is None
    assert checked.one_of("client-key", "a", b"") == b"A"
    assert checked.one_of("client-key", None, b"B") == b"B"
    assert not checked.problems


def test_problems_say_file_entry_and_field() -> None:
    """And what was expected."""
    checked = entry("/kc/config")
    assert checked.one_of("client-key", "a", b"B") is None
    assert checked.content("tokenFile", "gone") is None

    assert checked.problems == [
        'user "u" (/kc/config): client-key: given together with client-key-data, which would win',
        'user "u" (/kc/config): tokenFile: /kc/gone: No such file or directory',
    ]
