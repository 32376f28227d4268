"""Determinants of small matrices, written out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import te

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, converter
from tvm_farm.tracker.tuning.models.importers.onnx.operators.casting import cast_to
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import HALVES, constant

#: Beyond it Laplace's expansion is neither short nor exact enough.
_MOST = 4


@converter("Det")
def determinant(node: Node) -> Value:
    shape, kind = node.shape(0), node.dtype(0)
    if shape[-1] > _MOST:
        raise Refused(
            f"determinants of matrices beyond {_MOST}x{_MOST} are not imported, and these are {shape[-1]}x{shape[-1]}"
        )
    columns = list(range(shape[-1]))

    def program(x: te.Tensor) -> te.Tensor:
        return te.compute(shape[:-2], lambda *at: _expanded(lambda r, c: x(*at, r, c), 0, columns), name="det")

    value = cast_to(node, node.value(0), "float32" if kind in HALVES else kind)
    return cast_to(node, node.te(program, value), kind)


def _expanded(element: Any, row: int, columns: Sequence[int]) -> Any:
    """Along ``row``: signed minors of the rows below."""
    if len(columns) == 1:
        return element(row, columns[0])
    sum_ = None
    for place, column in enumerate(columns):
        term = element(row, column) * _expanded(element, row + 1, [c for c in columns if c != column])
        signed = term if place % 2 == 0 else term * constant(-1, term)
        sum_ = signed if sum_ is None else sum_ + signed
    return sum_
