"""From the archive to a Relax module: look it through, fix the inputs, translate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tvm_farm.tracker.tuning.models.importers.base import ImportedModel, TensorInfo
from tvm_farm.tracker.tuning.models.importers.pytorch.judge import PytorchJudge
from tvm_farm.tracker.tuning.models.importers.pytorch.program import Program, read_program
from tvm_farm.tracker.tuning.models.importers.pytorch.walk import inner_values, translated

__all__ = ["load_pytorch"]


def load_pytorch(path: Path, shapes: Mapping[str, Sequence[int]], name: str) -> ImportedModel:
    """See ``load_model``. Names are those of the program; nested inputs and outputs are taken one after the other."""
    program = read_program(path, shapes, name)
    inner = inner_values(program.static, program.outputs)
    return _imported(program, inner, PytorchJudge(program, inner), name, None)


def _imported(
    program: Program, inner: Mapping[str, Any], judge: PytorchJudge, name: str, wanted: Sequence[str] | None
) -> ImportedModel:
    if wanted is None:
        names = program.outputs
        nodes = next(node for node in program.static.graph.nodes if node.op == "output").args[0]
    else:
        names, nodes = tuple(wanted), [inner[each] for each in wanted]
    return ImportedModel(
        module=translated(program.static, None if wanted is None else nodes, name),
        inputs=program.inputs,
        outputs=tuple(_info(each, node.meta["val"]) for each, node in zip(names, nodes, strict=True)),
        judge=judge,
        values=tuple((value, str(node.target)) for value, node in inner.items()),
        with_outputs=lambda others: _imported(program, inner, judge, name, others),
        bounds=_bounds(program),
    )


def _info(name: str, value: torch.Tensor) -> TensorInfo:
    return TensorInfo(name, tuple(int(size) for size in value.shape), str(value.dtype)[len("torch.") :])


def _bounds(program: Program) -> dict[str, range]:
    """Of the inputs that are looked up in a table: how many rows it has."""
    placeholders = [node for node in program.static.graph.nodes if node.op == "placeholder"]
    given = dict(zip(placeholders[len(placeholders) - len(program.inputs) :], program.inputs, strict=True))
    rows_of: dict[str, int] = {}
    for node in program.static.graph.nodes:
        if node.op == "call_function" and str(node.target).startswith("aten.embedding.") and node.args[1] in given:
            rows = int(node.args[0].meta["val"].shape[0])
            name = given[node.args[1]].name
            rows_of[name] = min(rows, rows_of.get(name, rows))
    return {name: range(rows) for name, rows in rows_of.items()}
