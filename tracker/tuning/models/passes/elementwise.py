"""Kernels that work on one element at a time are told apart from those that broadcast, so that convolutions take them.

TVM's AnnotateTIROpPattern calls an operator elementwise where reads and writes have the very same indices. Where an
axis of size 1 is written as a variable and read as 0 it says broadcast, and FuseOps then leaves the kernel alone behind
a convolution: with one image at a time, every Clip. A bias beside such an input changes nothing, as with TVM.
"""

from __future__ import annotations

import tvm

__all__ = ["annotate_elementwise"]

_ELEMENTWISE, _BROADCAST = 0, 1


def annotate_elementwise(module: tvm.ir.IRModule) -> tvm.ir.IRModule:
    """``module``, annotated by TVM, with kernels called elementwise that have an input of their output's shape."""
    changed = {
        variable: kernel.with_attr("op_pattern", _ELEMENTWISE)
        for variable, kernel in module.functions.items()
        if isinstance(kernel, tvm.tirx.PrimFunc) and _pattern(kernel) == _BROADCAST and _of_its_shape(kernel)
    }
    if not changed:
        return module
    module = module.clone()
    for variable, kernel in changed.items():
        module[variable] = kernel
    return module


def _pattern(kernel: tvm.tirx.PrimFunc) -> int | None:
    return int(kernel.attrs["op_pattern"]) if kernel.attrs and "op_pattern" in kernel.attrs else None


def _of_its_shape(kernel: tvm.tirx.PrimFunc) -> bool:
    *given, result = [tuple(map(str, getattr(parameter, "shape", ()))) for parameter in kernel.params]
    return result in given
