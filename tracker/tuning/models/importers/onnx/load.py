"""From the file to a Relax module: read, fix the inputs, walk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import onnx.inliner
from onnx import helper
from tvm import relax

from tracker.tuning.errors import InputError
from tracker.tuning.models.importers.base import ImportedModel, TensorInfo
from tracker.tuning.models.importers.onnx import operators
from tracker.tuning.models.importers.onnx.bounds import index_bounds
from tracker.tuning.models.importers.onnx.fixed import fix_values
from tracker.tuning.models.importers.onnx.judge import OnnxJudge
from tracker.tuning.models.importers.onnx.node import Value, as_expression, dtype_of, shape_of
from tracker.tuning.models.importers.onnx.walk import Walk
from tracker.tuning.models.importers.onnx.wording import sentence
from tracker.tuning.models.importers.shapes import fixed_shape

__all__ = ["load_onnx"]

_ = operators  # their import fills the table of converters


def load_onnx(
    path: Path, shapes: Mapping[str, Sequence[int]], name: str, fixed: Mapping[str, np.ndarray] = MappingProxyType({})
) -> ImportedModel:
    """See ``load_model``. Weights outside the file lie beside ``path``, as the file names them."""
    model = _parse(path, name)
    values = fix_values(model, fixed, shapes, name)
    inputs = _fix_inputs(model, {key: shape for key, shape in shapes.items() if key not in values}, name)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    return _imported(model, inputs, OnnxJudge(path, [info.name for info in inputs], values), name, None)


def _imported(
    model: onnx.ModelProto, inputs: tuple[TensorInfo, ...], judge: OnnxJudge, name: str, wanted: Sequence[str] | None
) -> ImportedModel:
    names = list(wanted) if wanted is not None else [output.name for output in model.graph.output]
    parameters = {
        info.name: relax.Var(f"in{number}", relax.TensorType(info.shape, info.dtype))
        for number, info in enumerate(inputs)
    }
    builder = relax.BlockBuilder()
    walk = Walk(builder, name)
    with builder.function("main", params=list(parameters.values()), attrs={"num_input": len(inputs)}):
        with builder.dataflow():
            values = walk.main(model, parameters)
            found = [_output(values, output, name) for output in names]
            outputs = [as_expression(value) for value in found]
            result = builder.emit_output(outputs[0] if len(outputs) == 1 else relax.Tuple(outputs))
        builder.emit_func_output(result)
    return ImportedModel(
        module=builder.finalize(),
        inputs=inputs,
        outputs=tuple(TensorInfo(n, shape_of(v), dtype_of(v)) for n, v in zip(names, found, strict=True)),
        judge=judge,
        notes=tuple(walk.notes),
        values=tuple(walk.trail),
        bounds=index_bounds(model.graph, values, list(parameters)),
        with_outputs=lambda others: _imported(model, inputs, judge, name, others),
    )


def _output(values: Mapping[str, Value], output: str, name: str) -> Value:
    if output not in values:
        raise InputError(f"{name}: nothing computes its output {output}.")
    return values[output]


def _parse(path: Path, name: str) -> onnx.ModelProto:
    try:
        model = onnx.load(path)
    except (onnx.checker.ValidationError, OSError) as error:  # external data missing, or outside the file's folder
        raise InputError(f"{name}: its external data cannot be read: {sentence(error)}.") from error
    except Exception as error:  # protobuf's DecodeError, or whatever the parser meets in foreign bytes
        raise InputError(f"{name} is not an ONNX file, or a damaged one: {sentence(error)}.") from error
    if not model.graph.node:
        raise InputError(f"{name} is not an ONNX model: it holds no operators.")
    if not model.graph.output:
        raise InputError(f"{name} is not a whole ONNX model: it has no outputs.")
    return model


def _fix_inputs(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], name: str) -> tuple[TensorInfo, ...]:
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    real = [value for value in model.graph.input if value.name not in constants]
    symbols = {dim.dim_param for value in real for dim in value.type.tensor_type.shape.dim if dim.dim_param}
    unknown = sorted(set(shapes) - {value.name for value in real} - symbols)
    if unknown:
        known = ", ".join(value.name for value in real) or "none"
        open_ones = f", its open dimensions are: {', '.join(sorted(symbols))}" if symbols else ""
        raise InputError(f"{name} has no input named {unknown[0]}; its inputs are: {known}{open_ones}.")
    found = []
    for value in real:
        if not value.type.HasField("tensor_type"):
            raise InputError(f"{name}: input {value.name} is not a tensor; sequences and maps are not supported.")
        tensor = value.type.tensor_type
        if tensor.elem_type == onnx.TensorProto.STRING:
            raise InputError(f"{name}: input {value.name} holds strings; the farm tunes what computes with numbers.")
        declared = None
        if tensor.HasField("shape"):
            declared = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim]
        shape = fixed_shape(name, value.name, declared, shapes)
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
        found.append(TensorInfo(value.name, shape, dtype))
    return tuple(found)
