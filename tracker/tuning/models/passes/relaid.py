"""A kernel of one loop nest, written over again for tensors whose channels are in blocks."""

from __future__ import annotations

from collections.abc import Sequence

import tvm
from tvm.s_tir import Schedule

__all__ = ["on_blocks"]

_SPATIAL = 0


def on_blocks(kernel: tvm.tirx.PrimFunc, block: int, full: Sequence[bool]) -> tvm.tirx.PrimFunc | None:
    """``kernel`` over [n, c, h, w] with its result, and the inputs that are ``full``, in [n, c / block, h, w, block].

    The others keep their layout. None where it is not one nest of loops over its four axes.
    """
    schedule = Schedule(tvm.IRModule({"main": kernel}), debug_mask="none", error_render_level="none")
    blocks = schedule.get_child_blocks(schedule.get_sblock("root"))
    if len(blocks) != 1:
        return None
    body = schedule.get(blocks[0])
    if len(body.iter_vars) != 4 or any(var.iter_type != _SPATIAL for var in body.iter_vars) or len(body.writes) != 1:
        return None
    for number, read in enumerate(body.reads):
        if any(wanted and read.source.same_as(given) for wanted, given in zip(full, kernel.params, strict=False)):
            schedule.transform_layout(blocks[0], ("read", number), _index(block))
    schedule.transform_layout(blocks[0], ("write", 0), _index(block))
    schedule.transform_block_layout(blocks[0], _index(block))
    relaid = tvm.s_tir.transform.StmtSimplify()(schedule.mod)["main"]
    if relaid.attrs and "global_symbol" in relaid.attrs:
        relaid = relaid.without_attr("global_symbol")
    return relaid


def _index(block: int) -> object:
    return lambda n, c, h, w: (n, c // block, h, w, c % block)
