"""Bytes that a desk takes for an ONNX file: a graph of one node that has nothing."""

from __future__ import annotations

__all__ = ["onnx_like"]


def onnx_like(size: int) -> bytes:
    """At least ``size`` bytes: the graph, and the name of who made it, which nobody reads."""
    name, length = b"x" * size, b""
    left = size
    while left > 127:
        length, left = length + bytes([left & 127 | 128]), left >> 7
    return b"\x3a\x02\x0a\x00" + b"\x12" + length + bytes([left]) + name
