"""Modules as ``tvm.ir.save_json`` writes them, without TVM: as much of one as tells a workload's shapes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["workload_module"]


def workload_module(
    tensors: Sequence[Sequence[int | None]], loops: Sequence[Sequence[tuple[int, bool]]] = (), dtype: str = "float32"
) -> str:
    """``tensors`` by their sizes, None where one is not known; ``loops`` by extent and whether it sums, one a block."""
    nodes: list[dict[str, Any]] = [{"type": "None"}]

    def node(kind: str, data: Any) -> int:
        nodes.append({"type": kind, "data": data})
        return len(nodes) - 1

    def integer(value: int | None) -> int:
        if value is None:
            return node("ir.Var", {"name": 0, "ty": 0})
        return node("ir.IntImm", {"value": node("int", value), "ty": 0})

    element = node("ir.PrimType", {"dtype": dtype})
    variables = []
    for sizes in tensors:
        shape = node("ffi.Array", [integer(size) for size in sizes])
        kind = node("tirx.BufferType", {"dtype": element, "shape": shape})
        variables.append(node("ir.Var", {"ty": kind, "name": 0}))
    for axes in loops:
        made = []
        for extent, sums in axes:
            dom = node("ir.Range", {"min": integer(0), "extent": integer(extent)})
            made.append(node("tirx.IterVar", {"dom": dom, "iter_type": 2 if sums else 0}))
        node("s_tir.SBlock", {"iter_vars": node("ffi.Array", made)})
    root = node("s_tir.SBlock", {"iter_vars": node("ffi.Array", [])})
    node("tirx.PrimFunc", {"params": node("ffi.Array", variables), "body": root})
    module = node("ir.IRModule", {})
    return json.dumps({"root_index": module, "nodes": nodes, "metadata": {"tvm_version": "0.27.0.post1"}})
