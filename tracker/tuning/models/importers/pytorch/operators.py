"""Converters of the farm's own, for operators of PyTorch that TVM's importer lacks or gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.values import Refused

__all__ = ["CONVERTERS"]

#: By overload. They are given TVM's importer, whose ``env`` holds what was converted, and the node.
CONVERTERS: dict[str, Callable[[Any, Any], relax.Expr]] = {}


def _converter(*overloads: str) -> Callable[[Callable[[Any, Any], relax.Expr]], Callable[[Any, Any], relax.Expr]]:
    def register(function: Callable[[Any, Any], relax.Expr]) -> Callable[[Any, Any], relax.Expr]:
        CONVERTERS.update(dict.fromkeys(overloads, function))
        return function

    return register


def _argument(node: Any, position: int, name: str, default: Any = None) -> Any:
    if len(node.args) > position:
        return node.args[position]
    return node.kwargs.get(name, default)


@_converter("add.Tensor", "sub.Tensor")
def add(importer: Any, node: Any) -> relax.Expr:
    """``x + alpha * y``."""
    x, y = importer.retrieve_args(node)[:2]
    alpha = node.kwargs.get("alpha", 1)
    x, y = _alike(importer, node, x, y)
    if alpha != 1:
        y = importer.block_builder.emit(relax.op.multiply(y, relax.const(alpha, str(y.ty.dtype))))
    compute = relax.op.subtract if "sub" in str(node.target) else relax.op.add
    return importer.block_builder.emit(compute(x, y))


@_converter("mul.Tensor")
def multiply(importer: Any, node: Any) -> relax.Expr:
    """Of truth values it is their conjunction, which TVM does not make of a product."""
    x, y = _alike(importer, node, *importer.retrieve_args(node))
    compute = relax.op.logical_and if str(x.ty.dtype) == "bool" else relax.op.multiply
    return importer.block_builder.emit(compute(x, y))


@_converter("min.dim", "max.dim")
def extreme(importer: Any, node: Any) -> relax.Expr:
    """Values, and the places of the first of them."""
    x, axis = importer.env[node.args[0]], int(node.args[1])
    kept = bool(_argument(node, 2, "keepdim", False))
    low = "min" in str(node.target)
    values = (relax.op.min if low else relax.op.max)(x, axis=axis, keepdims=kept)
    places = (relax.op.argmin if low else relax.op.argmax)(x, axis=axis, keepdims=kept)
    emit = importer.block_builder.emit
    return relax.Tuple([emit(values), emit(places)])


def _alike(importer: Any, node: Any, *values: Any) -> list[relax.Expr]:
    """``values`` of the dtype of the answer, numbers among them as constants."""
    dtype = str(node.meta["val"].dtype)[len("torch.") :]
    found = []
    for value in values:
        if not isinstance(value, relax.Expr):
            value = relax.const(value, dtype)
        elif str(value.ty.dtype) != dtype:
            value = importer.block_builder.emit(relax.op.astype(value, dtype))
        found.append(value)
    return found


@_converter("clamp.default", "clamp_min.default", "clamp_max.default")
def clamp(importer: Any, node: Any) -> relax.Expr:
    low = None if "clamp_max" in str(node.target) else _argument(node, 1, "min")
    high = node.args[1] if "clamp_max" in str(node.target) else _argument(node, 2, "max")
    (value,) = _alike(importer, node, importer.env[node.args[0]])
    for limit, compute in ((low, relax.op.maximum), (high, relax.op.minimum)):
        if limit is not None:
            value = importer.block_builder.emit(compute(value, _alike(importer, node, limit)[0]))
    return value


@_converter("select.int")
def select(importer: Any, node: Any) -> relax.Expr:
    x, axis, place = importer.env[node.args[0]], int(node.args[1]), node.args[2]
    if not isinstance(place, int):
        raise Refused("its place depends on the values of the model's inputs")
    place += int(x.ty.shape[axis]) if place < 0 else 0
    cut = importer.block_builder.emit(relax.op.strided_slice(x, [axis], [place], [place + 1]))
    return importer.block_builder.emit(relax.op.squeeze(cut, [axis]))


@_converter("amax.default", "amin.default", "prod.dim_int")
def reduce(importer: Any, node: Any) -> relax.Expr:
    x, axes = importer.env[node.args[0]], _argument(node, 1, "dim", [])
    kept = bool(_argument(node, 2, "keepdim", False))
    compute = {"amax": relax.op.max, "amin": relax.op.min, "prod": relax.op.prod}[str(node.target).split(".")[1]]
    axes = [axes] if isinstance(axes, int) else list(axes) or None
    (x,) = _alike(importer, node, x)
    return importer.block_builder.emit(compute(x, axis=axes, keepdims=kept))


@_converter("scalar_tensor.default")
def scalar_tensor(importer: Any, node: Any) -> relax.Expr:
    return relax.const(np.array(node.args[0]), str(node.meta["val"].dtype)[len("torch.") :])
