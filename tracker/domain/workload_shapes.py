"""The shapes that people know a workload by, read from its module without TVM.

What is read is the JSON graph of ``tvm.ir.save_json``: ``nodes`` that name each other by position, integers as nodes of
their own. Of ``main`` the tensors are its parameters of type ``tirx.BufferType`` (include/tvm/tirx/buffer.h), the loops
the axes of each ``s_tir.SBlock`` that reduces (include/tvm/s_tir/stmt.h).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["ShapeKind", "WorkloadShape", "parse_dims", "shapes_of"]

_REDUCES = 2  # tirx.IterVar.iter_type, kCommReduce
_DIMS = re.compile(r"\d+(?:[x,×]\d+)*")
_VECTORS = (4, 8, 16, 32, 64)


class ShapeKind(str, Enum):
    """``TENSOR``: an argument, inputs first, outputs last. ``UNBLOCKED``: what an argument with channels in blocks,
    NCHW16c, would be as NCHW: 1x64x56x56 of 1x4x56x56x16. ``LOOPS``: the extents of what one block computes, its
    output's axes and then those it sums over: 512x512x512 of a matrix product.
    """

    TENSOR = "tensor"
    UNBLOCKED = "unblocked"
    LOOPS = "loops"


@dataclass(frozen=True)
class WorkloadShape:
    """``dims`` like "1x64x56x56", "?" where a size is known when the kernel runs alone; ``dtype`` "" of loops."""

    kind: ShapeKind
    dims: str
    dtype: str = ""


def parse_dims(text: str) -> str:
    """ "1,64,56,56", "1x64x56x56" and "[1, 64, 56, 56]" as "1x64x56x56". Raises ValueError."""
    dims = re.sub(r"[\s()\[\]]", "", text.lower())
    if not _DIMS.fullmatch(dims):
        raise ValueError(f"'{text}' is not a shape: write 1x64x56x56 or 512,512,512")
    return "x".join(str(int(size)) for size in re.split(r"[x,×]", dims))


def shapes_of(module: str) -> tuple[WorkloadShape, ...]:
    """Those of the tensors in their order, then what they would be unblocked, then those of the loops.

    None of a module that is no such JSON, as of a workload that came from elsewhere: no shape finds that one.
    """
    try:
        nodes = json.loads(module)["nodes"]
        tensors = _tensors(nodes)
        loops = _loops(nodes)
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, StopIteration):
        return ()
    return (*tensors, *dict.fromkeys(filter(None, map(_unblocked, tensors))), *loops)


def _unblocked(tensor: WorkloadShape) -> WorkloadShape | None:
    dims = tensor.dims.split("x")
    if len(dims) != 5 or "?" in dims or int(dims[4]) not in _VECTORS:
        return None
    n, c, h, w, block = map(int, dims)
    return WorkloadShape(ShapeKind.UNBLOCKED, _dims([n, c * block, h, w]), tensor.dtype)


def _tensors(nodes: list[Any]) -> list[WorkloadShape]:
    function = next(node for node in reversed(nodes) if node["type"].endswith(".PrimFunc"))
    found = []
    for variable in nodes[function["data"]["params"]]["data"]:
        kind = nodes[nodes[variable]["data"]["ty"]]
        if kind["type"].endswith(".BufferType"):
            sizes = [_integer(nodes, size) for size in nodes[kind["data"]["shape"]]["data"]]
            found.append(
                WorkloadShape(ShapeKind.TENSOR, _dims(sizes), str(nodes[kind["data"]["dtype"]]["data"]["dtype"]))
            )
    return found


def _loops(nodes: list[Any]) -> list[WorkloadShape]:
    found = []
    for block in (node["data"] for node in nodes if node["type"].endswith(".SBlock")):
        axes = [nodes[axis]["data"] for axis in nodes[block["iter_vars"]].get("data", ())]
        if any(axis["iter_type"] == _REDUCES for axis in axes):
            extents = [_integer(nodes, nodes[axis["dom"]]["data"]["extent"]) for axis in axes]
            found.append(WorkloadShape(ShapeKind.LOOPS, _dims(extents)))
    return list(dict.fromkeys(found))


def _integer(nodes: list[Any], number: int) -> int | None:
    """None of what is known when the kernel runs alone."""
    node = nodes[number]
    if node["type"] != "ir.IntImm":
        return None
    value = node["data"]["value"]
    return int(nodes[value]["data"])


def _dims(sizes: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in sizes)
