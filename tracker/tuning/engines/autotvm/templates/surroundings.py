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
    """Inline the element-wise blocks of the task, apart from padding and the one that makes its result."""
    root = schedule.get_sblock("root")
    others = [block for block in schedule.get_child_blocks(root) if not _same(schedule, block, anchor)]
    left = [block for block in others if not _inlined(schedule, block)]
    before = schedule.get_producers(anchor)
    pads = [
        block
        for block in left
        if any(_same(schedule, block, producer) for producer in before) and elementwise(schedule.get(block))
    ]
    after = schedule.get_consumers(anchor)
    epilogue = after[0] if len(after) == 1 and _goes_along(schedule, after[0], anchor) else None
    placed = [*pads, *([] if epilogue is None else [epilogue])]
    rest = [block for block in left if not any(_same(schedule, block, other) for other in placed)]
    return Surroundings(tuple(pads), epilogue, tuple(rest))


def _goes_along(schedule: Schedule, block: SBlockRV, anchor: SBlockRV) -> bool:
    """Whether ``block`` makes the task's result of the anchor's, element by element."""
    consumer = schedule.get(block)
    kept = [variable for variable in schedule.get(anchor).iter_vars if variable.iter_type == tirx.IterVar.DataPar]
    return (
        elementwise(consumer)
        and not conditional(consumer)
        and not schedule.get_consumers(block)
        and [int(v.dom.extent) for v in consumer.iter_vars] == [int(v.dom.extent) for v in kept]
    )


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
    found = schedule.get(block)
    if not elementwise(found) or conditional(found) or not schedule.get_consumers(block):
        return False
    try:
        schedule.compute_inline(block)
    except RuntimeError:
        return False
    return True
