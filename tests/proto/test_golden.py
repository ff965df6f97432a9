"""The golden frames: today's encoder gives exactly these bytes, and today's decoders read them."""

from __future__ import annotations

import msgspec
import pytest

from orka.proto import messages
from orka.proto.errors import RemoteProtocolError
from orka.proto.frames import HEADER_BYTES
from orka.proto.messages import (
    Change,
    ClientMessage,
    LiteObj,
    Page,
    ServerMessage,
    decode_client,
    decode_server,
    encode,
)
from orka.proto.tinypack import pack, unpack
from tests.proto.examples import CLIENT, GOLDEN, SERVER, frame_of, golden, readable


@pytest.mark.parametrize("name", CLIENT)
def test_a_client_says_exactly_this(name: str) -> None:
    """Bytes, meaning and the readable form belong together."""
    example, kept = CLIENT[name], golden(name)

    assert kept.side == "client"
    assert frame_of(example, "client") == kept.frame
    assert decode_client(kept.frame[HEADER_BYTES:]) == example
    assert readable(example) == kept.message


@pytest.mark.parametrize("name", SERVER)
def test_a_daemon_says_exactly_this(name: str) -> None:
    """Bytes, meaning and the readable form belong together."""
    example, kept = SERVER[name], golden(name)

    assert kept.side == "server"
    assert frame_of(example, "server") == kept.frame
    assert decode_server(kept.frame[HEADER_BYTES:]) == example
    assert readable(example) == kept.message


@pytest.mark.parametrize("name", [*CLIENT, *SERVER])
def test_the_small_packer_reads_and_writes_the_same(name: str) -> None:
    """A one-shot client without msgspec understands every frame, and is understood."""
    payload = golden(name).frame[HEADER_BYTES:]
    value = unpack(payload)

    assert value == msgspec.msgpack.decode(payload)
    assert msgspec.msgpack.decode(pack(value)) == value


def test_every_message_type_has_a_golden_file() -> None:
    """A message that is added without one fails here."""
    assert {type(message) for message in CLIENT.values()} == set(ClientMessage.__args__)
    assert {type(message) for message in SERVER.values()} == set(ServerMessage.__args__)
    assert {path.stem for path in GOLDEN.iterdir()} == {*CLIENT, *SERVER}


def test_every_struct_of_the_wire_is_in_some_golden_file() -> None:
    """What messages are made of is held to its bytes as well."""
    seen = {
        type(part) for message in (*CLIENT.values(), *SERVER.values()) for part in walk(message)
    }
    structs = {
        value
        for value in vars(messages).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct)
    }
    public = {struct for struct in structs if not struct.__name__.startswith("_")}

    assert public - {msgspec.Struct} == seen & public


def walk(value: object) -> list[object]:
    """A value and all that it holds."""
    if isinstance(value, msgspec.Struct):
        parts = [getattr(value, name) for name in value.__struct_fields__]
    elif isinstance(value, (list, tuple)):
        parts = list(value)
    else:
        parts = []
    return [value, *(inner for part in parts for inner in walk(part))]


@pytest.mark.parametrize("name", CLIENT)
def test_a_daemon_ignores_fields_of_a_newer_client(name: str) -> None:
    """Fields are added without a new protocol number."""
    assert decode_client(with_more_fields(golden(name).frame)) == CLIENT[name]


@pytest.mark.parametrize("name", SERVER)
def test_a_client_ignores_fields_of_a_newer_daemon(name: str) -> None:
    """Fields are added without a new protocol number."""
    assert decode_server(with_more_fields(golden(name).frame)) == SERVER[name]


def with_more_fields(whole: bytes) -> bytes:
    """The payload with one more field in the message."""
    message = msgspec.msgpack.decode(whole[HEADER_BYTES:])
    return msgspec.msgpack.encode({**message, "later": {"x": [1]}})


def test_rows_and_changes_may_grow_at_their_end() -> None:
    """Arrays take appended fields from a newer daemon, and lack them from an older one."""
    row = [b"0" * 16, "default", "web", 5, "7"]
    expected = LiteObj(b"0" * 16, "default", "web", 5, "7")
    for sent in (row, [*row, None], [*row, None, "later"]):
        page = msgspec.msgpack.encode({"type": "page", "rows": [sent]})
        assert decode_server(page) == Page([expected])

    change = msgspec.msgpack.encode(["ADD", row])
    assert msgspec.msgpack.decode(change, type=Change) == Change("ADD", expected)


def test_a_client_ignores_types_of_a_newer_daemon() -> None:
    """None, so that the loop goes on with the next message."""
    assert decode_server(msgspec.msgpack.encode({"type": "gossip", "x": 1})) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode([1]),
        msgspec.msgpack.encode({"x": 1}),
        msgspec.msgpack.encode({"type": 5}),
        msgspec.msgpack.encode({"type": "page", "rows": 1}),
        b"\x91" * 100_000,
    ],
)
def test_a_client_refuses_what_is_no_message(payload: bytes) -> None:
    """Only an unknown type is ignored; a known one with wrong fields is an error."""
    with pytest.raises(RemoteProtocolError, match="answer not understood"):
        decode_server(payload)


def test_a_daemon_names_the_field_that_is_wrong() -> None:
    """The error helps whoever writes a client."""
    request = msgspec.to_builtins(CLIENT["list"], builtin_types=(bytes,))
    with pytest.raises(RemoteProtocolError, match=r"\$\.kind"):
        decode_client(msgspec.msgpack.encode({**request, "kind": 5}))


def test_an_unknown_request_is_refused() -> None:
    """A daemon cannot ignore what it is asked."""
    with pytest.raises(RemoteProtocolError, match="gossip"):
        decode_client(msgspec.msgpack.encode({"type": "gossip"}))


def test_encoding_is_without_its_frame() -> None:
    """The header is the frame's."""
    assert encode(CLIENT["stop"]) == golden("stop").frame[HEADER_BYTES:]
