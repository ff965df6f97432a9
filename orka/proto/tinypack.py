"""Just enough msgpack for a one-shot client: plain values to bytes and back, no import but struct.

`import msgspec` costs more than a whole `orkactl ls` may take, so the commands that ask for a
text answer pack their request and read frames with this. Extension types and integers over
64 bits are no part of orka's wire. A law in the tests holds both functions to msgspec.
"""

from __future__ import annotations

import struct

from orka.proto.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["Value", "pack", "unpack"]

Value = None | bool | int | float | str | bytes | list["Value"] | dict[str, "Value"]

_DEPTH_MAX = 64  # the wire nests five deep; a bound keeps a hostile peer from the recursion limit


def pack(value: Value) -> bytes:
    """The value as msgpack; LocalProtocolError for what has no place on the wire.

    Raises UnicodeEncodeError for text that is no UTF-8, such as an argument in other bytes.
    """
    out = bytearray()
    try:
        _pack_into(out, value)
    except struct.error as exc:
        raise LocalProtocolError(f"an integer is over 64 bits: {exc}") from exc
    return bytes(out)


def _pack_into(out: bytearray, value: Value) -> None:
    if value is None:
        out.append(0xC0)
    elif value is True or value is False:
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, int):
        out += struct.pack(">Bq", 0xD3, value) if value < 0 else struct.pack(">BQ", 0xCF, value)
    elif isinstance(value, float):
        out += struct.pack(">Bd", 0xCB, value)
    elif isinstance(value, str):
        data = value.encode()
        out += struct.pack(">BI", 0xDB, len(data)) + data
    elif isinstance(value, bytes):
        out += struct.pack(">BI", 0xC6, len(value)) + value
    elif isinstance(value, list):
        out += struct.pack(">BI", 0xDD, len(value))
        for item in value:
            _pack_into(out, item)
    elif isinstance(value, dict):
        out += struct.pack(">BI", 0xDF, len(value))
        for name, item in value.items():
            _pack_into(out, name)
            _pack_into(out, item)
    else:
        raise LocalProtocolError(f"{type(value).__name__} has no place on the wire")


# First byte -> the struct format of the number that follows it.
_SCALARS = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
# First byte -> the struct format of the size that follows it, and what has that size.
_SIZED = {
    0xC4: (">B", "bin"),
    0xC5: (">H", "bin"),
    0xC6: (">I", "bin"),
    0xD9: (">B", "str"),
    0xDA: (">H", "str"),
    0xDB: (">I", "str"),
    0xDC: (">H", "array"),
    0xDD: (">I", "array"),
    0xDE: (">H", "map"),
    0xDF: (">I", "map"),
}
_WIDTH = {"B": 1, "H": 2, "I": 4, "Q": 8, "b": 1, "h": 2, "i": 4, "q": 8, "f": 4, "d": 8}


class _MalformedError(ValueError):
    """What was found is no value of the wire."""


def unpack(payload: bytes) -> Value:
    """The one value in `payload`; RemoteProtocolError when it is not exactly one."""
    try:
        value, end = _unpack_at(payload, 0, _DEPTH_MAX)
    except (IndexError, ValueError, struct.error) as exc:
        raise RemoteProtocolError(f"not msgpack of this wire: {exc}") from exc
    if end != len(payload):
        raise RemoteProtocolError(f"not msgpack of this wire: {len(payload) - end} bytes too many")
    return value


def _unpack_at(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    """The value that starts at `at`, and where it ends."""
    if depth == 0:
        raise _MalformedError("nested too deep")
    first = data[at]
    at += 1
    if first < 0x80:
        return first, at
    if first >= 0xE0:
        return first - 0x100, at
    if first < 0xC0:
        return _unpack_short(data, at, first, depth)
    if first in (0xC0, 0xC2, 0xC3):
        return (None if first == 0xC0 else first == 0xC3), at
    if first in _SCALARS:
        layout = _SCALARS[first]
        value: int | float = struct.unpack_from(layout, data, at)[0]
        return value, at + _WIDTH[layout[1]]
    if first not in _SIZED:
        raise _MalformedError(f"byte 0x{first:02x} at {at - 1} begins no value")
    layout, what = _SIZED[first]
    size: int = struct.unpack_from(layout, data, at)[0]
    return _unpack_sized(data, at + _WIDTH[layout[1]], size, what, depth)


def _unpack_short(data: bytes, at: int, first: int, depth: int) -> tuple[Value, int]:
    """A map, array or text whose size is part of its first byte."""
    if first < 0x90:
        return _unpack_sized(data, at, first & 0x0F, "map", depth)
    if first < 0xA0:
        return _unpack_sized(data, at, first & 0x0F, "array", depth)
    return _unpack_sized(data, at, first & 0x1F, "str", depth)


def _unpack_sized(data: bytes, at: int, size: int, what: str, depth: int) -> tuple[Value, int]:
    if what == "map":
        return _unpack_map(data, at, size, depth)
    if what == "array":
        return _unpack_array(data, at, size, depth)
    end = at + size
    if end > len(data):
        raise _MalformedError(f"{size} bytes announced at {at}, {len(data) - at} are there")
    return (data[at:end].decode() if what == "str" else data[at:end]), end


def _unpack_array(data: bytes, at: int, size: int, depth: int) -> tuple[Value, int]:
    items: list[Value] = []
    for _ in range(size):
        item, at = _unpack_at(data, at, depth - 1)
        items.append(item)
    return items, at


def _unpack_map(data: bytes, at: int, size: int, depth: int) -> tuple[Value, int]:
    entries: dict[str, Value] = {}
    for _ in range(size):
        name, at = _unpack_at(data, at, depth - 1)
        if not isinstance(name, str):
            raise _MalformedError(f"the map key that ends at {at} is no text")
        entries[name], at = _unpack_at(data, at, depth - 1)
    return entries, at
