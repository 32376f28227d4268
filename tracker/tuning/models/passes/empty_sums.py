"""Sums over a range that an input decides. It may be empty, and then the sum is what it begins with.

TVM 0.27 writes that in the first iteration (src/s_tir/transform/lower_init_block.cc): where there is none, what lay in
the output stays there. Here it is written before the loop.
"""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm.s_tir import SBlockRealize, Schedule
from tvm.tirx import IntImm, IterVar

__all__ = ["begin_empty_sums"]


def begin_empty_sums(module: tvm.ir.IRModule) -> tvm.ir.IRModule:
    """``module``, whose one function is ``main``. Raises what TVM raises where a block cannot be taken apart."""
    found: list[SBlockRealize] = []

    def look(realize: SBlockRealize) -> None:
        if realize.block.init is not None and any(map(_open, realize.block.iter_vars)):
            found.append(realize)

    tvm_ffi.structural_walk(module["main"].body, (SBlockRealize, look))
    schedule = Schedule(module)
    for realize in found:
        block = schedule.get_sblock(realize.block.name_hint)
        ranges = [
            value for value, axis in zip(realize.iter_values, realize.block.iter_vars, strict=True) if _sums(axis)
        ]
        loops = [loop for loop in schedule.get_loops(block) if _uses(ranges, schedule.get(loop).loop_var)]
        schedule.decompose_reduction(block, loops[0])
    return schedule.mod if found else module


def _sums(axis: IterVar) -> bool:
    return int(axis.iter_type) == int(IterVar.CommReduce)


def _open(axis: IterVar) -> bool:
    return _sums(axis) and not isinstance(axis.dom.extent, IntImm)


def _uses(values: list[tvm.ir.Expr], variable: tvm.ir.Var) -> bool:
    used: list[tvm.ir.Var] = []
    for value in values:
        tvm_ffi.structural_walk(value, (tvm.ir.Var, used.append))
    return any(variable.same_as(each) for each in used)
