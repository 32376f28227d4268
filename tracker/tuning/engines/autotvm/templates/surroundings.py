"""What stands around an anchor block: inlined where that is free, named where a template must place it."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx
from tvm.s_tir import SBlock, Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

__all__ = ["Surroundings", "inline_around", "spread"]


@dataclass(frozen=True)
class Surroundings:
    """``pads``: producers with a condition in them, for a template to place. ``epilogue``: the one block that
    makes the task's result of the anchor's, None where the anchor does itself. ``rest``: blocks that nothing was done
    with."""

    pads: tuple[SBlockRV, ...]
    epilogue: SBlockRV | None
    rest: tuple[SBlockRV, ...]


def inline_around(schedule: Schedule, anchor: SBlockRV) -> Surroundings:
    """Inline the element-wise blocks before and after ``anchor``, apart from padding and the last one."""
    pads: list[SBlockRV] = []
    placed: list[SBlockRV] = [anchor]
    frontier = list(schedule.get_producers(anchor))
    while frontier:
        block = frontier.pop(0)
        if any(_same(schedule, block, other) for other in placed):
            continue
        before = list(schedule.get_producers(block))
        if conditional(schedule.get(block)):
            pads.append(block)
            placed.append(block)
        elif not _inlined(schedule, block):
            placed.append(block)
        frontier.extend(before)
    epilogue: SBlockRV | None = None
    after = list(schedule.get_consumers(anchor))
    while len(after) == 1 and elementwise(schedule.get(after[0])):
        (block,) = after
        after = list(schedule.get_consumers(block))
        if not after:
            epilogue = block
            placed.append(block)
        elif not _inlined(schedule, block):
            break
    everything = schedule.get_child_blocks(schedule.get_sblock("root"))
    rest = [block for block in everything if not any(_same(schedule, block, other) for other in placed)]
    others = [b for b in placed[1:] if b is not epilogue and not any(b is pad for pad in pads)]
    return Surroundings(tuple(pads), epilogue, (*others, *rest))


def spread(schedule: Schedule, block: SBlockRV, lanes: int) -> None:
    """Run ``block``, which stands alone, on all cores, in vectors where its last loop is no longer than four of them.
    Of a reduction nothing is known here that would be worth a change of order: it is left to one loop nest."""
    loops = schedule.get_loops(block)
    axes = schedule.get(block).iter_vars
    outer = 0
    while outer < len(axes) and axes[outer].iter_type == tirx.IterVar.DataPar:
        outer += 1
    if len(loops) != len(axes) or not outer:
        return
    reduces = outer < len(axes)
    last = int(schedule.get(loops[-1]).extent)
    if not reduces and len(loops) > 1 and last <= 4 * lanes:
        schedule.vectorize(loops[-1])
        outer -= 1
    schedule.parallel(fused(schedule, loops[:outer]))


def fused(schedule: Schedule, loops: list[LoopRV]) -> LoopRV:
    return schedule.fuse(*loops) if len(loops) > 1 else loops[0]


def _same(schedule: Schedule, one: SBlockRV, other: SBlockRV) -> bool:
    return bool(schedule.get_sref(one).same_as(schedule.get_sref(other)))


def elementwise(block: SBlock) -> bool:
    return all(variable.iter_type == tirx.IterVar.DataPar for variable in block.iter_vars)


def conditional(block: SBlock) -> bool:
    """Whether it decides by where it is what it takes, as padding does."""
    return "if_then_else" in str(block.body)


def _inlined(schedule: Schedule, block: SBlockRV) -> bool:
    if not elementwise(schedule.get(block)) or not schedule.get_consumers(block):
        return False
    try:
        schedule.compute_inline(block)
    except RuntimeError:
        return False
    return True
