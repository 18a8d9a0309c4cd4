"""The messages on websockets written and read beside protobuf: values and pieces stay where they are."""

from __future__ import annotations


def varint(number: int) -> bytes:
    """Return a whole number as protobuf writes it.

    Examples
    --------
    >>> varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def values_head(name: str, length: int, *, last: bool, process: int, target: int) -> bytes:
    """Return a ClusterIO_Message up to its values, which follow as little-endian float32."""
    text = name.encode()
    fields = [b"\x0a" + varint(len(text)) + text if text else b""]
    fields += [b"\x10\x01"] if last else []
    fields += [b"\x18" + varint(process)] if process else []
    fields += [b"\x20" + varint(target)] if target else []
    fields += [b"\x28" + varint(length) + b"\x32" + varint(4 * length)] if length else []
    return b"".join(fields)


def piece_head(position: int, length: int) -> bytes:
    """Return a FileUpload_Message up to its bytes."""
    return (b"\x08" + varint(position) if position else b"") + b"\x12" + varint(length)


def read_piece(message: bytes) -> tuple[int, memoryview] | None:
    """Return the position and the bytes of a FileUpload_Message, or None if it is written otherwise.

    Examples
    --------
    >>> position, data = read_piece(piece_head(131072, 3) + b"abc")
    >>> position, bytes(data)
    (131072, b'abc')
    """
    position, at = 0, 0
    if message[:1] == b"\x08":
        position, at = _number(message, 1)
    if message[at : at + 1] != b"\x12":
        return None
    length, start = _number(message, at + 1)
    return (position, memoryview(message)[start:]) if length and start + length == len(message) else None


def _number(message: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place and the place behind it; a number that does not end is 0."""
    number = 0
    for shift, byte in enumerate(message[at : at + 9]):
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return number, at + shift + 1
    return 0, at
