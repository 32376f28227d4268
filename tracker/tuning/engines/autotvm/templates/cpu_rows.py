"""Templates for CPUs: sums along what is contiguous, as in softmax and norms, and blocks that add nothing up."""

from __future__ import annotations

import math

from tvm import tirx
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from tvm_farm.tracker.tuning.engines.autotvm.anchor import Anchor
from tvm_farm.tracker.tuning.engines.autotvm.config import Config
from tvm_farm.tracker.tuning.engines.autotvm.template import template
from tvm_farm.tracker.tuning.engines.autotvm.templates.surroundings import conditional, elementwise, fused

__all__: list[str] = []

_ROWS = 8


def _in_rows(anchor: Anchor) -> bool:
    """Whether it adds up along rows of which there are some: a sum of everything gives cores nothing to share."""
    return bool(anchor.reduction) and math.prod(axis.extent for axis in anchor.spatial) >= _ROWS


@template("rows", targets=("cpu",), matches=_in_rows, specificity=1)
def rows(schedule: Schedule, cfg: Config) -> None:
    """Everything that a row of the result needs is computed in one piece, its sums in as many parts as a vector has
    lanes, added up at the end."""
    lanes = cfg.hardware.lanes(cfg.anchor.dtype)
    extent = math.prod(axis.extent for axis in cfg.anchor.reduction)
    width = cfg.vectorize("lanes", [d for d in range(1, 4 * lanes + 1) if extent % d == 0])
    inline = cfg.choice("inline", ("yes", "no"))
    parallel = cfg.parallel("parallel", (1, 0))

    root = schedule.get_sblock("root")
    if inline == "yes":
        for block in schedule.get_child_blocks(root):
            if elementwise(schedule.get(block)) and schedule.get_consumers(block):
                schedule.compute_inline(block)
    for block in schedule.get_child_blocks(root) if width > 1 else ():
        _in_parts(schedule, block, extent, width)
    (result,) = schedule.get_output_blocks(root)
    loops = schedule.get_loops(result)
    shared = _leading(schedule, result, [axis.extent for axis in cfg.anchor.spatial])
    row = fused(schedule, loops[:shared])
    others = schedule.get_child_blocks(root)
    for block in reversed(others):
        if not schedule.get_sref(block).same_as(schedule.get_sref(result)):
            schedule.compute_at(block, row)
    if parallel:
        schedule.parallel(row)
    for block in others:
        last = schedule.get_loops(block)[-1]
        size = int(schedule.get(last).extent)
        if len(schedule.get_loops(block)) > 1 and elementwise(schedule.get(block)) and size % lanes == 0:
            schedule.vectorize(schedule.split(last, [None, lanes])[1])


def _in_parts(schedule: Schedule, block: SBlockRV, extent: int, width: int) -> None:
    """Of a reduction over ``extent`` elements every ``width``-th belongs to one part."""
    variables = schedule.get(block).iter_vars
    loops = schedule.get_loops(block)
    summed = [n for n, v in enumerate(variables) if v.iter_type == tirx.IterVar.CommReduce]
    if not summed or summed[-1] != len(loops) - 1 or summed[0] != len(loops) - len(summed):
        return
    if math.prod(int(schedule.get(loops[n]).extent) for n in summed) == extent:
        line = fused(schedule, [loops[n] for n in summed])
        _, lane = schedule.split(line, [extent // width, width])
        part = schedule.rfactor(lane, 0)
        # The axis of the parts comes first; among the loops it is the last, where a vector is.
        inner = schedule.get_loops(part)
        schedule.reorder(inner[-2], inner[-1])
        schedule.vectorize(inner[-1])


def _leading(schedule: Schedule, result: SBlockRV, extents: list[int]) -> int:
    """How many outer loops of ``result`` go over what its sums keep; at least one."""
    found = [int(schedule.get(loop).extent) for loop in schedule.get_loops(result)]
    shared = 0
    while shared < min(len(found), len(extents)) and found[shared] == extents[shared]:
        shared += 1
    return max(1, shared)


def _maps(anchor: Anchor) -> bool:
    return not anchor.reduction and anchor.alone


@template("elementwise", targets=("cpu",), matches=_maps, specificity=1)
def map_elements(schedule: Schedule, cfg: Config) -> None:
    """One loop over all cores with a vector in it: over all elements, or over rows where indices are simple there."""
    lanes = cfg.hardware.lanes(cfg.anchor.dtype)
    root = schedule.get_sblock("root")
    (result,) = schedule.get_output_blocks(root)
    extents = [int(schedule.get(loop).extent) for loop in schedule.get_loops(result)]
    whole = _widths(math.prod(extents), lanes)
    last = _widths(extents[-1], lanes)
    shape = cfg.choice("shape", [*(f"flat:{w}" for w in whole), *(f"row:{w}" for w in last)])
    parallel = cfg.parallel("parallel", (1, 0))
    unroll = cfg.unroll("unroll", (1, 2, 4))

    for block in schedule.get_child_blocks(root):
        if schedule.get_consumers(block) and elementwise(schedule.get(block)) and not conditional(schedule.get(block)):
            schedule.compute_inline(block)
    kind, _, width = str(shape).partition(":")
    loops = schedule.get_loops(result)
    line = fused(schedule, loops) if kind == "flat" else loops[-1]
    outer, inner = schedule.split(line, [None, int(width)])
    if int(width) > 1:
        schedule.vectorize(inner)
    size = int(schedule.get(outer).extent)
    if unroll > 1 and size % unroll == 0:
        outer, few = schedule.split(outer, [None, unroll])
        schedule.unroll(few)
    everywhere = outer if kind == "flat" else fused(schedule, [*loops[:-1], outer])
    if parallel:
        schedule.parallel(everywhere)


def _widths(extent: int, lanes: int) -> list[int]:
    widths = [width for width in (lanes, 2 * lanes, 4 * lanes) if extent % width == 0]
    return widths or [max(d for d in range(1, lanes + 1) if extent % d == 0)]
