"""A kernel of one loop nest, written over again for tensors whose channels are in blocks."""

from __future__ import annotations

from collections.abc import Sequence

import tvm
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import ScheduleError

__all__ = ["on_blocks"]

_SPATIAL = 0


def on_blocks(
    kernel: tvm.tirx.PrimFunc, block: int, full: Sequence[bool], last: bool
) -> tuple[tvm.tirx.PrimFunc, list[bool]] | None:
    """``kernel`` with its result, and the inputs that are ``full``, in [n, c / block, h, w, block].

    It has them as [n, h, w, c] where the channels are ``last``, else as [n, c, h, w]. An input of one number a channel
    becomes [c / block, block] where there are several blocks, and the answer's second says which do; the others keep
    their layout. None where it is not one nest of loops over its four axes once its steps are inlined.
    """
    schedule = Schedule(tvm.IRModule({"main": kernel}), debug_mask="none", error_render_level="none")
    blocks = schedule.get_child_blocks(schedule.get_sblock("root"))
    try:
        for step in blocks[:-1]:
            schedule.compute_inline(step)
    except ScheduleError:
        return None
    (nest,) = blocks[-1:]
    body = schedule.get(nest)
    if len(body.iter_vars) != 4 or any(var.iter_type != _SPATIAL for var in body.iter_vars) or len(body.writes) != 1:
        return None
    channel = body.iter_vars[3 if last else 1]
    channels = int(channel.dom.extent)
    by_channel = [False] * len(full)
    for number, read in enumerate(body.reads):
        places = [at for at, given in enumerate(kernel.params[:-1]) if read.source.same_as(given)]
        if any(full[at] for at in places):
            schedule.transform_layout(nest, ("read", number), _index(block, last))
        elif len(read.region) == 1 and read.region[0].min.same_as(channel.var) and places and channels > block:
            schedule.transform_layout(nest, ("read", number), lambda c: (c // block, c % block))
            by_channel[places[0]] = True
    schedule.transform_layout(nest, ("write", 0), _index(block, last))
    schedule.transform_block_layout(nest, _index(block, last))
    relaid = tvm.s_tir.transform.StmtSimplify()(schedule.mod)["main"]
    if relaid.attrs and "global_symbol" in relaid.attrs:
        relaid = relaid.without_attr("global_symbol")
    return relaid, by_channel


def _index(block: int, last: bool) -> object:
    if last:
        return lambda n, h, w, c: (n, c // block, h, w, c % block)
    return lambda n, c, h, w: (n, c // block, h, w, c % block)
