"""Messages put together from parts that are encoded already."""

from __future__ import annotations

__all__ = ["field_of"]


def field_of(number: int, encoded: bytes) -> tuple[bytes, bytes, bytes]:
    """What stands in a message's encoding for its field ``number``, a message, string or bytes that is ``encoded``.

    Join it to the encoding of the other fields. Of a field that occurs twice, strings and numbers of the later count
    and messages are merged: https://protobuf.dev/programming-guides/encoding/
    """
    return _varint(number << 3 | 2), _varint(len(encoded)), encoded


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
