"""Tiles that an intrinsic takes, and whether they lie in memory as it reads them.

An intrinsic that declares no strides reads a tile as one piece. TVM 0.27 compares the strides that are declared
(src/s_tir/transform/lower_match_buffer.cc) and asks no more, so that such a kernel would read what is beside the tile.
"""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm.s_tir import SBlock, TensorIntrin

__all__ = ["tiles_in_one_piece"]

_INTRINSIC = "meta_schedule.auto_tensorize"


def tiles_in_one_piece(module: tvm.ir.IRModule) -> bool:
    """Whether no tile has gaps that ``module``, scheduled and not yet postprocessed, gives to an intrinsic without
    strides.
    """
    gaps: list[tvm.ir.TensorRegion] = []

    def look(block: SBlock) -> None:
        name = block.annotations.get(_INTRINSIC)
        if name and not _has_strides(str(name)):
            gaps.extend(region for region in (*block.reads, *block.writes) if not _in_one_piece(region))

    tvm_ffi.structural_walk(module["main"].body, (SBlock, look))
    return not gaps


def _has_strides(intrinsic: str) -> bool:
    """Whether it declares some, or works on a GPU's own memories, whose layouts are others'."""
    tensors = TensorIntrin.get(intrinsic).impl.params
    return any(tensor.strides or tensor.scope() != "global" for tensor in tensors)


def _in_one_piece(tile: tvm.ir.TensorRegion) -> bool:
    part = False
    for size, axis in reversed(list(zip(tile.source.shape, tile.region, strict=True))):
        if not isinstance(axis.extent, tvm.tirx.IntImm) or (part and int(axis.extent) != 1):
            return False
        part = part or int(axis.extent) != int(size)
    return True
