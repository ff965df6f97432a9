"""Laws of the wire: frames in any chunking, two packers that agree, decoders that never crash."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orka.proto.errors import LocalProtocolError, RemoteProtocolError
from orka.proto.frames import HEADER_BYTES, FrameReader, frame
from orka.proto.messages import decode_client, decode_server
from orka.proto.tinypack import Value, pack, unpack
from tests.proto.examples import CLIENT, golden

values: st.SearchStrategy[Value] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_any_chunking_gives_the_same_payloads(payloads: list[bytes], data: st.DataObject) -> None:
    """However the kernel cuts the stream, the frames are those that were sent, in order."""
    stream = b"".join(frame(payload, 40) for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader = FrameReader(40)
    read = [
        payload
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for payload in reader.receive_data(stream[start:end])
    ]
    reader.close()

    assert read == payloads


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_stream_that_ends_inside_a_frame_is_truncated(
    payload: bytes, data: st.DataObject
) -> None:
    """What was announced and did not come is an error, not an end."""
    whole = frame(payload, 40)
    reader = FrameReader(40)
    assert reader.receive_data(whole[: data.draw(st.integers(1, len(whole) - 1))]) == []
    assert repr(reader).startswith("<FrameReader buffered=")
    with pytest.raises(RemoteProtocolError, match="truncated frame"):
        reader.close()


@given(st.integers(41, 2**32 - 1))
def test_an_oversize_frame_is_refused_before_its_body_comes(length: int) -> None:
    """The announced length alone decides, so that nobody can make the other side buffer it."""
    with pytest.raises(RemoteProtocolError, match=f"{length} bytes announced, 40 allowed"):
        FrameReader(40).receive_data(length.to_bytes(HEADER_BYTES, "big"))


def test_an_oversize_frame_of_our_own_is_our_bug() -> None:
    """A sender never sends what the other side must refuse."""
    assert len(frame(b"x" * 40, 40)) == 44
    with pytest.raises(LocalProtocolError, match="41 bytes"):
        frame(b"x" * 41, 40)


@given(values)
def test_the_small_packer_is_read_by_msgspec(value: Value) -> None:
    """What a one-shot client packs means the same to the daemon."""
    assert msgspec.msgpack.decode(pack(value)) == value


@given(values)
def test_the_small_unpacker_reads_msgspec(value: Value) -> None:
    """What the daemon packs means the same to a one-shot client."""
    assert unpack(msgspec.msgpack.encode(value)) == value


@pytest.mark.parametrize("size", [15, 16, 31, 32, 255, 256, 65535, 65536])
def test_both_agree_at_every_size_class(size: int) -> None:
    """Short, 8, 16 and 32 bit sizes of text, bytes, arrays and maps."""
    for value in ("x" * size, b"x" * size, [1] * size, {str(key): key for key in range(size)}):
        assert unpack(msgspec.msgpack.encode(value)) == value
        assert msgspec.msgpack.decode(pack(value)) == value  # type: ignore[arg-type]


def test_a_short_float_is_read_too() -> None:
    """Other writers of msgpack may use 32 bits."""
    assert unpack(b"\xca\x3f\x80\x00\x00") == 1.0


@given(st.binary(max_size=200))
def test_no_bytes_crash_a_decoder(payload: bytes) -> None:
    """Whatever arrives is a message, nothing, or a RemoteProtocolError."""
    for decode in (decode_client, decode_server, unpack):
        with contextlib.suppress(RemoteProtocolError):
            decode(payload)


@given(st.sampled_from(sorted(CLIENT)), st.data())
def test_no_damaged_request_crashes_the_decoder(name: str, data: st.DataObject) -> None:
    """The same for bytes that are nearly a request."""
    payload = bytearray(golden(name).frame[HEADER_BYTES:])
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] = data.draw(st.integers(0, 255))
    for decode in (decode_client, decode_server, unpack):
        with contextlib.suppress(RemoteProtocolError):
            decode(bytes(payload))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "index out of range"),
        (b"\xc1", "0xc1 at 0 begins no value"),
        (b"\xc7\x00\x00", "0xc7 at 0 begins no value"),
        (b"\xd9\x05abc", "5 bytes announced at 2, 3 are there"),
        (b"\xcd\x00", "requires a buffer"),
        (b"\x81\x01\x02", "is no text"),
        (b"\xa1\xff", "decode"),
        (b"\x01\x02", "1 bytes too many"),
        (b"\x91" * 100, "nested too deep"),
    ],
)
def test_the_small_unpacker_says_what_is_wrong(payload: bytes, why: str) -> None:
    """Malformed, truncated, too much, too deep."""
    with pytest.raises(RemoteProtocolError, match=why):
        unpack(payload)


@pytest.mark.parametrize("value", [object(), {1, 2}, [object()], 2**64, -(2**63) - 1])
def test_the_small_packer_refuses_what_has_no_place(value: object) -> None:
    """A bug of ours, named as one."""
    with pytest.raises(LocalProtocolError):
        pack(value)  # type: ignore[arg-type]


def test_text_that_is_no_utf8_is_not_packed() -> None:
    """An argument in other bytes is the user's to correct."""
    with pytest.raises(UnicodeEncodeError):
        pack("ab\udce9")
