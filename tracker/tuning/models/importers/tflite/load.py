"""From the file to a Relax module: read, run once, walk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tvm import relax

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.base import ImportedModel, TensorInfo
from tvm_farm.tracker.tuning.models.importers.blocks import ended_function
from tvm_farm.tracker.tuning.models.importers.survey import Survey, outlines_of
from tvm_farm.tracker.tuning.models.importers.tflite import operators
from tvm_farm.tracker.tuning.models.importers.tflite.graph import Graph, Tensor, read_graph
from tvm_farm.tracker.tuning.models.importers.tflite.judge import LiteRtJudge
from tvm_farm.tracker.tuning.models.importers.tflite.walk import Walk
from tvm_farm.tracker.tuning.models.importers.values import as_expression

__all__ = ["load_tflite"]

_ = operators  # their import fills the tables of converters
#: Operators that look their second input up in the first, or the other way round.
_LOOKED_UP = {"GATHER": (0, 1), "EMBEDDING_LOOKUP": (1, 0)}


def load_tflite(
    path: Path, shapes: Mapping[str, Sequence[int]], name: str, survey: Survey | None = None
) -> ImportedModel:
    """See ``load_model``. Names, layouts and dtypes of inputs and outputs are the file's: quantized ones stay so."""
    graph = read_graph(path, shapes, name)
    numbers = {tensor.name: tensor.number for tensor in graph.tensors}
    judge = LiteRtJudge(path, graph.inputs, numbers)
    if survey is not None:
        survey.inputs = outlines_of([_info(graph.tensors[number]) for number in graph.inputs])
        survey.outputs = outlines_of([_info(graph.tensors[number]) for number in graph.outputs])
        weights = [array for array in graph.known.values() if array.dtype.kind not in "OSU"]
        survey.parameters = sum(array.size for array in weights)
        survey.parameter_bytes = sum(array.nbytes for array in weights)
    return _imported(graph, judge, name, [graph.tensors[number].name for number in graph.outputs], survey)


def _imported(
    graph: Graph, judge: LiteRtJudge, name: str, outputs: Sequence[str], survey: Survey | None = None
) -> ImportedModel:
    numbers = {tensor.name: tensor.number for tensor in graph.tensors}
    inputs = [_info(graph.tensors[number]) for number in graph.inputs]
    parameters = [
        relax.Var(f"in{number}", relax.TensorType(info.shape, info.dtype)) for number, info in enumerate(inputs)
    ]
    builder = relax.BlockBuilder()
    walk = Walk(graph, builder, name, survey)
    with builder.function("main", params=parameters, attrs={"num_input": len(inputs)}):
        with ended_function(builder), builder.dataflow():
            values = walk.run(parameters)
            if survey is not None:
                survey.stop()
            if missing := next((output for output in outputs if numbers[output] not in values), None):
                raise InputError(f"{name}: nothing computes its output {missing}.")
            found = [as_expression(values[numbers[output]]) for output in outputs]
            result = builder.emit_output(found[0] if len(found) == 1 else relax.Tuple(found))
        builder.emit_func_output(result)
    notes = []
    if graph.signatures > 1:
        notes.append(f"{name} can be called in {graph.signatures} ways; the first is tuned.")
    if graph.cut:
        told = ", ".join(dict.fromkeys(graph.cut))
        notes.append(f"{name} is cut before {told}, which is not compiled: the outputs are what that picks from.")
    return ImportedModel(
        module=builder.finalize(),
        inputs=tuple(inputs),
        outputs=tuple(_info(graph.tensors[numbers[output]]) for output in outputs),
        judge=judge,
        values=tuple(walk.trail),
        with_outputs=lambda others: _imported(graph, judge, name, others),
        notes=tuple(notes),
        quantized=any(tensor.scale is not None and tensor.dtype != "int32" for tensor in graph.tensors),
        bounds=_bounds(graph),
    )


def _info(tensor: Tensor) -> TensorInfo:
    return TensorInfo(tensor.name, tensor.shape, tensor.dtype)


def _bounds(graph: Graph) -> dict[str, range]:
    """Of the inputs that something is looked up with, as they are or cast: how many entries there are."""
    cast = {each.outputs[0]: each.inputs[0] for each in graph.operators if each.op == "CAST"}
    entries_of: dict[str, int] = {}
    for each in graph.operators:
        if each.op not in _LOOKED_UP:
            continue
        table, indices = (each.inputs[at] for at in _LOOKED_UP[each.op])
        indices = cast.get(indices, indices)
        axis = int(getattr(each.options, "axis", 0) or 0)
        if indices in graph.inputs and graph.tensors[table].shape:
            name, entries = graph.tensors[indices].name, graph.tensors[table].shape[axis]
            entries_of[name] = min(entries, entries_of.get(name, entries))
    return {name: range(entries) for name, entries in entries_of.items()}
