"""How far a window's input is padded, by TensorFlow's rules."""

from __future__ import annotations

from ai_edge_litert.schema_py_generated import Padding

from tvm_farm.tracker.tuning.models.importers.tflite.node import Node

__all__ = ["padding_of"]


def padding_of(node: Node, input_: tuple[int, ...], window: tuple[int, int], output: tuple[int, ...]) -> list[int]:
    """Rows above, columns before, rows below, columns behind. Shapes are NHWC; ``window`` counts dilation in."""
    if int(node.option("padding")) != Padding.SAME:
        return [0, 0, 0, 0]
    strides = (int(node.option("strideH", 1)), int(node.option("strideW", 1)))
    totals = [max(0, (output[at + 1] - 1) * strides[at] + window[at] - input_[at + 1]) for at in (0, 1)]
    before = [total // 2 for total in totals]
    return [*before, *(total - half for total, half in zip(totals, before, strict=True))]
