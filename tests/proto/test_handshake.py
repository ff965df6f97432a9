"""Only another protocol number refuses; another version is a warning."""

from __future__ import annotations

import pytest

from orka.proto.errors import RemoteProtocolError
from orka.proto.handshake import check_hello, check_protocol, version_skew
from orka.proto.messages import Hello
from orka.proto.names import PROTOCOL


def test_the_same_protocol_is_welcome_in_any_version() -> None:
    """Nothing is raised."""
    check_hello(Hello(PROTOCOL, "99.0"))


@pytest.mark.parametrize("protocol", [0, PROTOCOL + 1, None, "1"])
def test_another_protocol_is_refused_with_what_to_do(protocol: object) -> None:
    """The code and the hint travel to the other side."""
    with pytest.raises(RemoteProtocolError) as refused:
        check_protocol(protocol)

    assert refused.value.code == "bad-protocol"
    assert refused.value.exit_code == 2
    assert refused.value.hint is not None


def test_skew_is_one_line_that_names_both() -> None:
    """Same versions need no word."""
    line = version_skew("1.0", "2.0")

    assert version_skew("1.0", "1.0") is None
    assert line is not None
    assert "1.0" in line
    assert "2.0" in line
