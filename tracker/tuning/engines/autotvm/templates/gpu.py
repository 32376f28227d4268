"""Templates for GPUs: a tile of the result in each thread's registers, its operands in memory that a block shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from tvm_farm.tracker.tuning.engines.autotvm.config import Config
from tvm_farm.tracker.tuning.engines.autotvm.template import template
from tvm_farm.tracker.tuning.engines.autotvm.templates.surroundings import fused, inline_around

__all__ = ["tile_threads"]

#: Threads that run in step, at least: a block of fewer leaves lanes idle.
_WARP = 32
_MOST_INNER, _MOST_VIRTUAL = 64, 8


def tile_threads(
    schedule: Schedule, cfg: Config, tiled: Sequence[str], outer: Sequence[str], reduce: Sequence[str]
) -> None:
    """As in Chen et al. (NeurIPS 2018), section 2: each of ``tiled`` is split over blocks, virtual threads, threads and
    a thread's own elements. Operands go through shared memory, by all threads of a block together, where the device
    has some (not on Mali)."""
    shared = cfg.hardware.shared_bytes > 0
    factors = {name: cfg.split(f"tile_{name}", cfg.extent(name), 4) for name in tiled}
    steps = {name: cfg.split(f"tile_{name}", cfg.extent(name), 2, where=lambda f: f[1] <= 64) for name in reduce}
    unroll = cfg.unroll("unroll", (0, 64, 512))
    fetch = cfg.vectorize("fetch", (1, 2, 4)) if shared else 1
    vector = cfg.choice("vector", ("no", "yes")) if not shared else "no"
    _limit(cfg, tiled, reduce, shared)

    around = inline_around(schedule, cfg.block)
    for each in around.pads:
        schedule.compute_inline(each)
    block = cfg.block
    if around.epilogue is not None:
        schedule.set_scope(block, 0, "local")
        result = around.epilogue
    else:
        result = schedule.cache_write(block, 0, "local")
    names = [*outer, *tiled, *reduce]
    loops = dict(zip(names, cfg.axes(" ".join(names)), strict=True))
    parts = {name: list(schedule.split(loops[name], list(factors[name]))) for name in tiled}
    sums = {name: list(schedule.split(loops[name], list(steps[name]))) for name in reduce}
    ordered = [[*(loops[name] for name in outer), *(parts[name][0] for name in tiled)]]
    ordered += [[parts[name][level] for name in tiled] for level in (1, 2)]
    inner = [parts[name][3] for name in tiled]
    schedule.reorder(*chain(*ordered), *(s[0] for s in sums.values()), *(s[1] for s in sums.values()), *inner)
    for group, axis in zip(ordered, ("blockIdx.x", "vthread.x", "threadIdx.x"), strict=True):
        loop = fused(schedule, group)
        schedule.bind(loop, axis)
    schedule.reverse_compute_at(result, loop)
    first, last = next(iter(sums.values()))[0], list(sums.values())[-1][0]
    if shared:
        threads = math.prod(f[2] for f in factors.values())
        for number in range(len(cfg.anchor.reads)):
            _share(schedule, schedule.cache_read(block, number, "shared"), last, threads, fetch)
    if vector == "yes" and 1 < factors[tiled[-1]][3] <= 4:
        schedule.vectorize(inner[-1])
    if unroll:
        schedule.annotate(first, "pragma_auto_unroll_max_step", unroll)
        schedule.annotate(first, "pragma_unroll_explicit", 1)
    schedule.decompose_reduction(block, first)
    for each in around.rest:
        _spread(schedule, each, cfg)


def _limit(cfg: Config, tiled: Sequence[str], reduce: Sequence[str], shared: bool) -> None:
    hardware = cfg.hardware
    names = [f"tile_{name}" for name in tiled]

    def at(tiles: Sequence[tuple[int, ...]], level: int) -> int:
        return math.prod(tile[level] for tile in tiles)

    whole = math.prod(cfg.extent(name) for name in tiled)
    least = min(_WARP, whole) // (2 if not shared else 1)
    cfg.require(
        f"{least} to {hardware.threads} threads, {_MOST_VIRTUAL} virtual ones, {_MOST_INNER} elements each",
        lambda *tiles: (
            least <= at(tiles, 2) <= hardware.threads and at(tiles, 1) <= _MOST_VIRTUAL and at(tiles, 3) <= _MOST_INNER
        ),
        knobs=names,
    )
    if shared:
        positions = {cfg.axis(name).position: n for n, name in enumerate((*tiled, *reduce))}
        element = 4 if cfg.anchor.dtype.endswith("32") else 2 if cfg.anchor.dtype.endswith("16") else 8

        def footprint(*tiles: tuple[int, ...]) -> bool:
            # Of dimensions that two axes share as much as they span at a stride of one, the least there can be.
            spans = [math.prod(t[1:]) for t in tiles]
            total = sum(
                math.prod(1 + sum(spans[positions[p]] - 1 for p in used if p in positions) for used in read)
                for read in cfg.anchor.reads
            )
            return total * element <= hardware.shared_bytes

        cfg.require(
            f"operands fit into {hardware.shared_bytes} bytes of shared memory",
            footprint,
            knobs=[*names, *(f"tile_{name}" for name in reduce)],
        )


def _share(schedule: Schedule, copy: SBlockRV, at: LoopRV, threads: int, lanes: int) -> None:
    """Each element is fetched by one thread, neighbours by neighbouring threads."""
    schedule.compute_at(copy, at, preserve_unit_loops=True)
    depth = len(schedule.get(copy).iter_vars)
    line = fused(schedule, schedule.get_loops(copy)[-depth:])
    if lanes > 1:
        _, thread, vector = schedule.split(line, [None, threads, lanes])
        schedule.vectorize(vector)
    else:
        _, thread = schedule.split(line, [None, threads])
    schedule.bind(thread, "threadIdx.x")


def _spread(schedule: Schedule, block: SBlockRV, cfg: Config) -> None:
    """A block that stands alone: an element a thread."""
    depth = sum(1 for variable in schedule.get(block).iter_vars if variable.iter_type == 0)
    line = fused(schedule, schedule.get_loops(block)[:depth])
    many, thread = schedule.split(line, [None, min(256, cfg.hardware.threads)])
    schedule.bind(many, "blockIdx.x")
    schedule.bind(thread, "threadIdx.x")


@template("matmul_gpu", targets=("gpu",), matches=("m k, k n -> m n", "m k, n k -> m n", "k m, k n -> m n"))
def matmul(schedule: Schedule, cfg: Config) -> None:
    tile_threads(schedule, cfg, ("m", "n"), (), ("k",))


@template("batch_matmul_gpu", targets=("gpu",), matches=("b m k, b k n -> b m n", "b m k, b n k -> b m n"))
def batch_matmul(schedule: Schedule, cfg: Config) -> None:
    tile_threads(schedule, cfg, ("m", "n"), ("b",), ("k",))


@template("conv2d_nchw_gpu", targets=("gpu",), matches="n i h+y w+x, o i y x -> n o h w")
def conv2d_nchw(schedule: Schedule, cfg: Config) -> None:
    tile_threads(schedule, cfg, ("o", "h", "w"), ("n",), ("i", "y", "x"))


@template("conv2d_nhwc_gpu", targets=("gpu",), matches="n h+y w+x i, y x i o -> n h w o")
def conv2d_nhwc(schedule: Schedule, cfg: Config) -> None:
    tile_threads(schedule, cfg, ("h", "w", "o"), ("n",), ("i", "y", "x"))
