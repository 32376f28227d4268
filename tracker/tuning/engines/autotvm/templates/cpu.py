"""Templates for CPUs: nests of multiply and add in a tile of registers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from tvm_farm.tracker.tuning.engines.autotvm.anchor import Anchor, Axis
from tvm_farm.tracker.tuning.engines.autotvm.config import Config
from tvm_farm.tracker.tuning.engines.autotvm.template import template
from tvm_farm.tracker.tuning.engines.autotvm.templates.surroundings import fused, inline_around, spread

__all__ = ["Nest", "tile_registers"]

#: Bytes below which TVM keeps a buffer on the stack, where LLVM turns it into registers (kMaxStackAlloca).
_STACK_BYTES = 1024
#: Statements of an unrolled tile: beyond, compiling takes longer than it is worth.
_STATEMENTS = 400
#: Elements in a row of the result from which it is worth a vector.
_SHORTEST = 4
#: The longest row of a convolution's kernel that may be unrolled.
_WINDOW = 7


@dataclass(frozen=True)
class Nest:
    """How the axes of a contraction are used, by letter.

    ``vector``: contiguous in the result; ``rows``: tiled with it; ``outer``: never tiled; ``reduce``: from the slowest
    to the fastest. ``panel``: axes of the operand that may be packed into panels as wide as a tile.
    """

    vector: str
    rows: tuple[str, ...]
    outer: tuple[str, ...]
    reduce: tuple[str, ...]
    panel: str = ""


def tile_registers(schedule: Schedule, cfg: Config, nest: Nest) -> None:
    """A tile of the result stays in registers while everything is added up, as in Goto and van de Geijn, "Anatomy of
    High-Performance Matrix Multiplication" (2008); tiles are distributed over cores, in an order that is a knob."""
    lanes = cfg.hardware.lanes(cfg.anchor.dtype)
    tiled = (*nest.rows, nest.vector)
    factors = {name: _tile(cfg, name, lanes if name == nest.vector else 0) for name in tiled}
    # An axis of one iteration, as those of a 1x1 kernel, is nothing to unroll.
    reduce = sorted(nest.reduce, key=lambda name: cfg.extent(name) > 1)
    inner = reduce[-1]
    steps = [step for step in (1, 2, 4, 8, 16) if cfg.extent(inner) % step == 0]
    if cfg.extent(inner) <= 16 and cfg.extent(inner) not in steps:
        steps.append(cfg.extent(inner))
    unrolled = cfg.unroll("unroll", steps)
    kernel = reduce[-2] if len(reduce) > 2 and 1 < cfg.extent(reduce[-2]) <= _WINDOW else ""
    unroll_kernel = cfg.choice("unroll_kernel", ("no", "yes")) if kernel else "no"
    order = cfg.reorder("order", tiled if len(tiled) <= 3 else nest.rows)
    around = inline_around(schedule, cfg.block)
    pad = cfg.choice("pad", ("tile", "whole", "inline")) if around.pads else "whole"
    pack = cfg.choice("pack", ("no", "yes")) if nest.panel else "no"
    _limit(cfg, nest, lanes, kernel)

    block = cfg.block
    if pad == "inline":
        for each in around.pads:
            schedule.compute_inline(each)
    if pack == "yes":
        _pack(schedule, cfg, nest, factors[nest.vector][-1])
    result = around.epilogue if around.epilogue is not None else schedule.cache_write(block, 0, "global")
    names = (*nest.outer, *tiled, *reduce)
    loops = dict(zip(names, cfg.axes(" ".join(names)), strict=True))
    parts = {name: list(schedule.split(loops[name], list(factors[name]))) for name in tiled}
    steps_of = list(schedule.split(loops[inner], [cfg.extent(inner) // unrolled, unrolled]))
    middle = [*(name for name in tiled if name not in order), *order]
    schedule.reorder(
        *(loops[name] for name in nest.outer),
        *(parts[name][0] for name in tiled),
        *(parts[name][1] for name in middle),
        *(loops[name] for name in reduce[:-1]),
        *steps_of,
        *(parts[name][2] for name in tiled),
    )
    everywhere = fused(schedule, [*(loops[name] for name in nest.outer), *(parts[name][0] for name in tiled)])
    schedule.parallel(everywhere)
    tile = parts[middle[-1]][1]
    schedule.reverse_compute_at(result, tile)
    for each in around.pads if pad != "inline" else ():
        if pad == "tile":
            schedule.compute_at(each, everywhere)
            _vectorize_last(schedule, each, lanes)
        else:
            spread(schedule, each, lanes)
    first = loops[reduce[0]] if len(reduce) > 1 else steps_of[0]
    # In this order: what is left of a reduction without its start cannot be vectorized any more.
    _in_registers(schedule, block, len(tiled))
    schedule.unroll(steps_of[1])
    _in_registers(schedule, schedule.decompose_reduction(block, first), len(tiled))
    if unroll_kernel == "yes":
        schedule.unroll(loops[kernel])
    _store(schedule, result, factors[nest.vector][-1])
    for each in around.rest:
        spread(schedule, each, lanes)


def _tile(cfg: Config, name: str, lanes: int) -> tuple[int, ...]:
    """Shares of the cores, tiles, and elements of a tile; of the vector axis (``lanes`` > 0) whole vectors."""
    extent = cfg.extent(name)
    divisors = [d for d in range(1, extent + 1) if extent % d == 0]
    if not lanes:
        return cfg.split(f"tile_{name}", extent, 3, where=lambda f: f[2] <= 32)
    whole = [d for d in divisors if d % lanes == 0 and d <= 4 * lanes]
    widest = max(d for d in divisors if d <= 4 * lanes)
    halves = [d for d in divisors if lanes // 2 <= d <= 2 * lanes]
    allowed = set(whole or halves or [widest])
    return cfg.split(f"tile_{name}", extent, 3, where=lambda f: f[2] in allowed)


def _limit(cfg: Config, nest: Nest, lanes: int, kernel: str) -> None:
    names = [f"tile_{name}" for name in (*nest.rows, nest.vector)]
    element = cfg.hardware.vector_bits // 8 // lanes
    hardware = cfg.hardware

    def accumulators(*tiles: tuple[int, ...]) -> int:
        return math.prod(t[2] for t in tiles[:-1]) * -(-tiles[-1][2] // lanes)

    cfg.require(
        f"a tile fits into {hardware.vector_registers} registers, and into TVM's stack",
        lambda *tiles: (
            accumulators(*tiles) < hardware.vector_registers and math.prod(t[2] for t in tiles) * element < _STACK_BYTES
        ),
        knobs=names,
    )
    pieces = math.prod(cfg.extent(name) for name in nest.outer)
    most = pieces * math.prod(cfg.extent(name) for name in (*nest.rows, nest.vector)) // (4 * lanes)
    if most >= hardware.cores:
        cfg.require(
            f"each of {hardware.cores} cores gets a share",
            lambda *tiles: pieces * math.prod(t[0] for t in tiles) >= hardware.cores,
            knobs=names,
        )
    window = cfg.extent(kernel) if kernel else 1
    unrolled = ["unroll", *(["unroll_kernel"] if kernel else [])]

    def statements(*values: Any) -> bool:
        tiles, step, whole = values[: len(names)], values[len(names)], values[len(names) + 1 :]
        return accumulators(*tiles) * int(step) * (window if "yes" in whole else 1) <= _STATEMENTS

    cfg.require(f"at most {_STATEMENTS} statements are unrolled", statements, knobs=[*names, *unrolled])


def _in_registers(schedule: Schedule, block: SBlockRV, tiled: int) -> None:
    """The loops of a tile: unrolled, the last one a vector."""
    loops = schedule.get_loops(block)[-tiled:]
    schedule.vectorize(loops[-1])
    for loop in loops[:-1]:
        schedule.unroll(loop)


def _store(schedule: Schedule, result: SBlockRV, width: int) -> None:
    """The loops over a tile of the result; its last one is a vector where it runs along one."""
    loops = schedule.get_loops(result)
    if width > 1 and int(schedule.get(loops[-1]).extent) == width:
        schedule.vectorize(loops[-1])


def _vectorize_last(schedule: Schedule, block: SBlockRV, lanes: int) -> None:
    last = schedule.get_loops(block)[-1]
    if 1 < int(schedule.get(last).extent) <= 4 * lanes:
        schedule.vectorize(last)


def _pack(schedule: Schedule, cfg: Config, nest: Nest, width: int) -> None:
    """The operand ``nest.panel`` copied so that what a tile reads of it lies in the order in which it is read."""
    number = cfg.operand(nest.panel)
    assert number is not None
    dimensions = [next(iter(d)) for d in cfg.anchor.reads[number]]
    letters = {cfg.axis(letter).position: letter for letter in nest.panel.split()}
    order = [letters[position] for position in dimensions]
    copy = schedule.cache_read(cfg.block, number, "global")

    def panels(*indices: object) -> list[object]:
        at = dict(zip(order, indices, strict=True))
        outer = [at[name] for name in order if name in nest.outer]
        inner = [at[name] for name in nest.reduce if name in at]
        return [*outer, at[nest.vector] // width, *inner, at[nest.vector] % width]  # type: ignore[operator]

    schedule.transform_layout(copy, ("write", 0), panels)
    loops = dict(zip(order, schedule.get_loops(copy), strict=True))
    across, lane = schedule.split(loops[nest.vector], [None, width])
    outer: list[LoopRV] = [*(loops[name] for name in order if name in nest.outer), across]
    schedule.reorder(*outer, *(loops[name] for name in nest.reduce if name in loops), lane)
    schedule.vectorize(lane)
    schedule.parallel(fused(schedule, outer))


@template("matmul", targets=("cpu",), matches=("m k, k n -> m n", "k m, k n -> m n"))
def matmul(schedule: Schedule, cfg: Config) -> None:
    tile_registers(schedule, cfg, Nest("n", ("m",), (), ("k",), panel="k n"))


@template("dense", targets=("cpu",), matches=("m k, n k -> m n", "k m, n k -> m n"))
def dense(schedule: Schedule, cfg: Config) -> None:
    tile_registers(schedule, cfg, Nest("n", ("m",), (), ("k",), panel="n k"))


@template("batch_matmul", targets=("cpu",), matches=("b m k, b k n -> b m n", "m k, b k n -> b m n"))
def batch_matmul(schedule: Schedule, cfg: Config) -> None:
    tile_registers(schedule, cfg, Nest("n", ("m",), ("b",), ("k",), panel="b k n"))


@template("batch_dense", targets=("cpu",), matches="b m k, b n k -> b m n")
def batch_dense(schedule: Schedule, cfg: Config) -> None:
    tile_registers(schedule, cfg, Nest("n", ("m",), ("b",), ("k",), panel="b n k"))


@template("conv2d_nchw", targets=("cpu",), matches="n i h+y w+x, o i y x -> n o h w")
def conv2d_nchw(schedule: Schedule, cfg: Config) -> None:
    # Vectors run along an image's rows, whose length is all there is to be had of them.
    tile_registers(schedule, cfg, Nest("w", ("o", "h"), ("n",), ("i", "y", "x")))


@template("conv2d_nhwc", targets=("cpu",), matches="n h+y w+x i, y x i o -> n h w o")
def conv2d_nhwc(schedule: Schedule, cfg: Config) -> None:
    tile_registers(schedule, cfg, Nest("o", ("h", "w"), ("n",), ("y", "x", "i"), panel="y x i o"))


@template("conv2d_blocked", targets=("cpu",), matches="n i h+y w+x c, o i y x c b -> n o h w b")
def conv2d_blocked(schedule: Schedule, cfg: Config) -> None:
    tile_registers(schedule, cfg, Nest("b", ("o", "h", "w"), ("n",), ("i", "y", "x", "c")))


@template("conv2d_to_blocked", targets=("cpu",), matches="n i h+y w+x, o i y x b -> n o h w b")
def conv2d_to_blocked(schedule: Schedule, cfg: Config) -> None:
    tile_registers(schedule, cfg, Nest("b", ("o", "h", "w"), ("n",), ("i", "y", "x")))


@template("depthwise_nchw", targets=("cpu",), matches="n c h+y w+x, c . y x -> n c h w")
def depthwise_nchw(schedule: Schedule, cfg: Config) -> None:
    tile_registers(schedule, cfg, Nest("w", ("h",), ("n", "c"), ("y", "x")))


@template("depthwise_blocked", targets=("cpu",), matches="n c h+y w+x b, c y x b -> n c h w b")
def depthwise_blocked(schedule: Schedule, cfg: Config) -> None:
    tile_registers(schedule, cfg, Nest("b", ("h", "w"), ("n", "c"), ("y", "x")))


@template(
    "depthwise_nhwc", targets=("cpu",), matches=("n h+y w+x c, . y x c -> n h w c", "n h+y w+x c, y x c . -> n h w c")
)
def depthwise_nhwc(schedule: Schedule, cfg: Config) -> None:
    tile_registers(schedule, cfg, Nest("c", ("h", "w"), ("n",), ("y", "x")))


def _contracts(anchor: Anchor) -> bool:
    """Whether it adds up into a buffer that is contiguous along one of its loops."""
    vector = _contiguous(anchor)
    return bool(anchor.reduction) and anchor.alone and vector is not None and vector.extent >= _SHORTEST


def _contiguous(anchor: Anchor) -> Axis | None:
    last = anchor.write[-1] if anchor.write else frozenset()
    return anchor.axes[next(iter(last))] if len(last) == 1 else None


@template("reduction", targets=("cpu",), matches=_contracts, specificity=2)
def reduction(schedule: Schedule, cfg: Config) -> None:
    """Whatever else adds up: pooling, means, convolutions of other ranks and transposed ones."""
    spatial = [f"s{number}" for number in range(len(cfg.anchor.spatial))]
    vector = next(name for name in spatial if cfg.axis(name) == _contiguous(cfg.anchor))
    rows = [name for name in spatial if name != vector and cfg.extent(name) > 1][-2:]
    outer = [name for name in spatial if name != vector and name not in rows]
    reduce = [f"r{number}" for number in range(len(cfg.anchor.reduction))]
    tile_registers(schedule, cfg, Nest(vector, tuple(rows), tuple(outer), tuple(reduce)))
