"""Integer matrix products with known weights, packed for dot products of bytes where the target has them."""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from tvm_farm.tracker.tuning.models.passes.dot_products import DEPTH, Dots, dots_of, rows_by_packed

__all__ = ["pack_matrices"]


def pack_matrices(module: tvm.ir.IRModule, target: tvm.target.Target) -> tvm.ir.IRModule:
    """``module``, not legalized yet, with its products of bytes by constant int8 matrices written for ``target``."""
    dots = dots_of(target)
    if dots is None:
        return module
    packer = _Packer(module, dots)
    main = packer.visit_expr(module["main"])
    packer.builder_.update_func(module.get_global_var("main"), main)
    return packer.builder_.finalize()


@relax.expr_functor.mutator
class _Packer(relax.PyExprMutator):  # type: ignore[misc]
    def __init__(self, module: tvm.ir.IRModule, dots: Dots) -> None:
        super().__init__(module)
        self._dots = dots

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        packed = _packed(call, self._dots)
        if packed is None:
            return call
        data, weight = call.args[0], call.args[1].value.numpy()
        shift = _shift(str(data.ty.dtype), self._dots.dtype)
        emit = self.builder_.emit
        if shift:
            wide = emit(relax.op.add(emit(relax.op.astype(data, "int32")), relax.const(shift, "int32")))
            data = emit(relax.op.astype(wide, self._dots.dtype))
        product = self.builder_.call_te(rows_by_packed, data, relax.const(packed), primfunc_name_hint="matmul")
        if not shift:
            return product
        sums = weight.sum(axis=0, dtype=np.int32) * np.int32(shift)
        return relax.op.subtract(emit(product), relax.const(sums))


def _packed(call: relax.Call, dots: Dots) -> np.ndarray | None:
    """Weights [k, n] of ``call`` as [n / lanes, k / 4, lanes, 4]; None where it is no such product, or no such size."""
    if not isinstance(call.op, tvm.ir.Op) or call.op.name != "relax.matmul" or str(call.attrs.out_dtype) != "int32":
        return None
    data, weight = call.args
    if not isinstance(weight, tvm.ir.GenericConst) or str(weight.value.dtype) != "int8" or len(weight.value.shape) != 2:
        return None
    depth, columns = (int(size) for size in weight.value.shape)
    if str(data.ty.dtype) not in ("int8", "uint8") or depth % DEPTH or columns % dots.lanes:
        return None
    parts = weight.value.numpy().reshape(depth // DEPTH, DEPTH, columns // dots.lanes, dots.lanes)
    return np.ascontiguousarray(parts.transpose(2, 0, 3, 1))


def _shift(given: str, wanted: str) -> int:
    return 0 if given == wanted else 128 if wanted == "uint8" else -128
