"""What a graph computes from constants alone is computed here, by numpy, and not on the board.

TVM's ``FoldConstant`` compiles every such operator with LLVM: for the 53 normalizations of ResNet-50
16 s, by numpy milliseconds. It still folds what the table below lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tvm
from tvm import relax

__all__ = ["fold_constants"]

_Value = Callable[[Any, list[np.ndarray], tuple[int, ...]], np.ndarray]


def _elementwise(function: Callable[..., np.ndarray]) -> _Value:
    return lambda attrs, arrays, shape: np.asarray(function(*arrays))


def _reshaped(attrs: Any, arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return arrays[0].reshape(shape)


def _transposed(attrs: Any, arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.transpose(arrays[0], None if attrs.axes is None else [int(axis) for axis in attrs.axes])


#: Attributes, tensor arguments and the result's shape in; the result out, in whatever dtype numpy gives it.
_OPERATORS: Mapping[str, _Value] = {
    "relax.add": _elementwise(np.add),
    "relax.astype": _elementwise(lambda x: x),
    "relax.broadcast_to": lambda attrs, arrays, shape: np.broadcast_to(arrays[0], shape),
    "relax.divide": _elementwise(np.divide),
    "relax.expand_dims": _reshaped,
    "relax.flatten": _reshaped,
    "relax.maximum": _elementwise(np.maximum),
    "relax.minimum": _elementwise(np.minimum),
    "relax.multiply": _elementwise(np.multiply),
    "relax.negative": _elementwise(np.negative),
    "relax.permute_dims": _transposed,
    "relax.reshape": _reshaped,
    "relax.rsqrt": _elementwise(lambda x: 1 / np.sqrt(x)),
    "relax.sqrt": _elementwise(np.sqrt),
    "relax.squeeze": _reshaped,
    "relax.subtract": _elementwise(np.subtract),
}
#: Numpy and TVM agree on these without a third package. Division of integers is left alone: they differ there.
_DTYPES = {"float16", "float32", "float64"}


def fold_constants(module: tvm.ir.IRModule) -> tvm.ir.IRModule:
    """``module`` with the floating point operators of ``main`` that have only constant arguments replaced by
    their values.
    """
    values: dict[relax.Var, np.ndarray] = {}
    for block in module["main"].body.blocks:
        for binding in block.bindings:
            if isinstance(binding, relax.VarBinding):
                value = _value(binding, values)
                if value is not None:
                    values[binding.var] = value
    if not values:
        return module
    folder = _Folder(module, values)
    folded = module.clone()
    folded["main"] = folder.visit_expr(module["main"])
    return relax.transform.DeadCodeElimination()(folded)


def _value(binding: relax.VarBinding, known: Mapping[relax.Var, np.ndarray]) -> np.ndarray | None:
    call, kind = binding.value, binding.var.ty
    if not isinstance(call, relax.Call) or not isinstance(call.op, tvm.ir.Op) or call.op.name not in _OPERATORS:
        return None
    # Shapes are arguments as well: the result's type has them already.
    arguments = [_array(x, known) for x in call.args if not isinstance(x, relax.ShapeExpr)]
    arrays = [array for array in arguments if array is not None]
    if len(arrays) < len(arguments) or str(kind.dtype) not in _DTYPES or kind.shape is None:
        return None
    try:
        shape = tuple(int(size) for size in kind.shape)
    except TypeError:  # a symbolic dimension
        return None
    with np.errstate(all="ignore"):  # an infinity among the weights is the model's own business
        value = _OPERATORS[call.op.name](call.attrs, arrays, shape)
    return np.ascontiguousarray(value.astype(str(kind.dtype)))


def _array(argument: relax.Expr, known: Mapping[relax.Var, np.ndarray]) -> np.ndarray | None:
    if isinstance(argument, relax.Var):
        return known.get(argument)
    if isinstance(argument, tvm.tirx.FloatImm):
        return np.asarray(float(argument.value), str(argument.ty.dtype))
    if isinstance(argument, tvm.ir.GenericConst) and str(argument.value.dtype) in _DTYPES:
        return np.asarray(argument.value.numpy())
    return None


@relax.expr_functor.mutator
class _Folder(relax.PyExprMutator):  # type: ignore[misc]
    """Puts constants where the known variables are read."""

    def __init__(self, module: tvm.ir.IRModule, values: Mapping[relax.Var, np.ndarray]) -> None:
        super().__init__(module)
        self._values = values
        self._constants: dict[relax.Var, relax.Expr] = {}

    def visit_dataflow_var_(self, op: relax.DataflowVar) -> relax.Expr:
        if op not in self._values:
            return super().visit_dataflow_var_(op)
        if op not in self._constants:
            self._constants[op] = relax.const(self._values[op], str(op.ty.dtype))
        return self._constants[op]
