"""What messages say of an error and of a node."""

from __future__ import annotations

import re

import onnx

from tvm_farm.tracker.tuning.errors import printable

__all__ = ["operator_name", "sentence", "where"]

_MOST = 300
#: How TVM prints an operator: with all that is documented of it.
_OPERATOR = re.compile(r'ir\.Op\(.*?name="([\w.]+)".*?support_level=\d+\)')


def sentence(error: BaseException) -> str:
    """The line of ``error`` that tells what is wrong: TVM puts where it was raised before, and notes behind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("#", "File ", "[", "at ", "Traceback", "note:"))]
    chosen = _OPERATOR.sub(r"\1", (telling or lines or [""])[-1])
    named = type(error).__name__ if isinstance(error, KeyError | IndexError | TypeError | AttributeError) else ""
    text = ": ".join(part for part in (named, chosen) if part) or type(error).__name__
    return text[:_MOST].rstrip(". ")


def where(node: onnx.NodeProto, number: int) -> str:
    """``node`` for messages: its name, or ``number`` in its graph, and its operator."""
    return f"node {printable(node.name) or f'number {number}'} ({operator_name(node)})"


def operator_name(node: onnx.NodeProto) -> str:
    """With its domain, where that is not ONNX's own."""
    return str(node.op_type) if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
