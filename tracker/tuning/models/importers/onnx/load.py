"""From the file to a Relax module: read, fix the inputs, walk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import tvm
from onnx import helper
from tvm import relax

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.base import ImportedModel, TensorInfo
from tvm_farm.tracker.tuning.models.importers.blocks import ended_function
from tvm_farm.tracker.tuning.models.importers.onnx import operators
from tvm_farm.tracker.tuning.models.importers.onnx.bounds import index_bounds
from tvm_farm.tracker.tuning.models.importers.onnx.cut import Tail, tail_of, without_leftovers
from tvm_farm.tracker.tuning.models.importers.onnx.declared import MOST_BYTES, numpy_dtype
from tvm_farm.tracker.tuning.models.importers.onnx.fixed import fix_values
from tvm_farm.tracker.tuning.models.importers.onnx.inlined import inlined
from tvm_farm.tracker.tuning.models.importers.onnx.judge import OnnxJudge
from tvm_farm.tracker.tuning.models.importers.onnx.node import PACKED, Value, as_expression, dtype_of, shape_of
from tvm_farm.tracker.tuning.models.importers.onnx.order import put_in_order
from tvm_farm.tracker.tuning.models.importers.onnx.survey import UNKNOWN, GraphSurvey
from tvm_farm.tracker.tuning.models.importers.onnx.walk import Walk
from tvm_farm.tracker.tuning.models.importers.shapes import fixed_shape
from tvm_farm.tracker.tuning.models.importers.survey import outlines_of
from tvm_farm.tracker.tuning.models.importers.wording import sentence

__all__ = ["load_onnx"]

_ = operators  # their import fills the table of converters
#: Protobuf's own limit, https://protobuf.dev/programming-guides/proto-limits.
_MESSAGE_BYTES = 1 << 31
#: Operators that round to bytes, beside those whose names begin with QLinear.
_ROUNDING = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "QGemm", "QuantizeLinear"}
#: This importer is asked last: what it cannot read, none can.
_TAKEN = "ONNX, TFLite, PyTorch's exported .pt2"


def load_onnx(
    path: Path,
    shapes: Mapping[str, Sequence[int]],
    name: str,
    fixed: Mapping[str, np.ndarray] = MappingProxyType({}),
    survey: GraphSurvey | None = None,
) -> ImportedModel:
    """See ``load_model``. Weights outside the file lie beside ``path``, as the file names them.

    ``survey``, a new one, gets all that is in the way before the first of it is raised.
    """
    model = _parse(path, name)
    values = fix_values(model, fixed, shapes, name)
    open_shapes = {key: shape for key, shape in shapes.items() if key not in values}
    inputs = _fix_inputs(model, open_shapes, name, survey)
    told = {each for node in model.graph.node for each in node.output} | {info.name for info in inputs}
    model = inlined(model, name)
    put_in_order(model.graph, name)
    # Not before: the inliner takes the model as one message, which ends at 2 GiB.
    _load_weights(model, path, name)
    if survey is not None:
        survey.begin(model)
    judge = OnnxJudge(path, [info.name for info in inputs], values)
    return _imported(model, inputs, judge, name, told, None, survey)


def _imported(
    model: onnx.ModelProto,
    inputs: tuple[TensorInfo, ...],
    judge: OnnxJudge,
    name: str,
    told: Set[str],
    wanted: Sequence[str] | None,
    survey: GraphSurvey | None = None,
) -> ImportedModel:
    """``told``: values that the file names, outside of its functions. ``wanted``: outputs in place of its own."""
    parameters = {
        info.name: relax.Var(f"in{number}", relax.TensorType(info.shape, info.dtype))
        for number, info in enumerate(inputs)
    }
    builder = relax.BlockBuilder()
    walk = Walk(builder, name, survey)
    with builder.function("main", params=list(parameters.values()), attrs={"num_input": len(inputs)}):
        with ended_function(builder), builder.dataflow():
            values = walk.main(model, parameters)
            if survey is not None:
                _surveyed(survey, model, values, walk, told)
            tail, names = None, list(wanted or ())
            if wanted is None:
                tail, names = _kept(model, values, walk, name, told)
            found = [_output(values, output, name) for output in names]
            outputs = [as_expression(value) for value in found]
            result = builder.emit_output(outputs[0] if len(outputs) == 1 else relax.Tuple(outputs))
        builder.emit_func_output(result)
    return ImportedModel(
        module=without_leftovers(builder.finalize()) if walk.opened else builder.finalize(),
        inputs=inputs,
        outputs=tuple(TensorInfo(n, shape_of(v), dtype_of(v)) for n, v in zip(names, found, strict=True)),
        judge=judge,
        shaken=judge.shaken,
        values=tuple(walk.trail),
        quantized=any(operator in _ROUNDING or operator.startswith("QLinear") for _, operator in walk.trail),
        bounds=index_bounds(model.graph, values, list(parameters)),
        with_outputs=lambda others: _imported(model, inputs, judge, name, told, others),
        notes=(*walk.notes, *([_note(tail, names)] if tail is not None else [])),
        tail=tail.model if tail is not None else b"",
    )


def _surveyed(
    survey: GraphSurvey, model: onnx.ModelProto, values: Mapping[str, Value], walk: Walk, told: Set[str]
) -> None:
    """Raises InputError where something is in the way, which may be that the model's end cannot be cut off."""
    if not any(value is UNKNOWN for value in values.values()):
        try:
            _kept(model, values, walk, survey.name, told)
        except InputError as error:
            survey.obstacle("", "", str(error))
    survey.gave(values)


def _kept(
    model: onnx.ModelProto, values: Mapping[str, Value], walk: Walk, name: str, told: Set[str]
) -> tuple[Tail | None, list[str]]:
    """What is cut off the end, if anything, and the outputs then: those left, and what the tail takes."""
    names = [output.name for output in model.graph.output]
    if not any(each in walk.opened for each in names):
        return None, names
    tail = tail_of(model, values, walk.opened, name)
    given = {each.name for each in model.graph.input}
    names = [each for each in names if each not in walk.opened]
    names += [each for each in tail.takes if each not in names and each not in given]
    reason = (
        f"{name}: {' and '.join(tail.origins)}: the shape of its output depends on the values of the model's inputs"
    )
    if not any(isinstance(values.get(each), relax.Expr) and each not in given for each in names):
        raise InputError(f"{reason}, and before it there is nothing to tune.")
    if hidden := next((each for each in tail.takes if each not in told), None):
        raise InputError(
            f"{reason}, and what it takes, {hidden}, is made within a function, where no model can be cut."
        )
    return tail, names


def _note(tail: Tail, names: Sequence[str]) -> str:
    taken = [each for each in tail.takes if each in names]
    fed = [each for each in tail.takes if each not in names]
    cut = (
        f"The model is cut before {' and '.join(tail.origins)}: the shapes of what follows depend on the values of its "
        "inputs."
    )
    if not taken:
        made = f"tail.onnx, run by ONNX Runtime, makes {_listed('output', tail.outputs)}"
        return f"{cut} {made} from the model's {_listed('input', fed)} alone."
    also = f" and from the model's {_listed('input', fed)}" if fed else ""
    return (
        f"{cut} In place of {_listed('output', tail.outputs)} the package gives {_listed('value', taken)}; "
        f"tail.onnx, run by ONNX Runtime, makes the outputs from them{also}."
    )


def _listed(noun: str, names: Sequence[str]) -> str:
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _output(values: Mapping[str, Value], output: str, name: str) -> Value:
    if output not in values:
        raise InputError(f"{name}: nothing computes its output {output}.")
    _check_dtype(dtype_of(values[output]), f"{name}: output {output}")
    return values[output]


def _check_dtype(dtype: str, where: str) -> None:
    if dtype.startswith(("object", "str")):
        raise InputError(f"{where} holds strings; the farm tunes what computes with numbers.")
    if dtype in PACKED:
        raise InputError(
            f"{where} holds {dtype}, values which share bytes; TVM {tvm.__version__} has no kernels for them."
        )


def _parse(path: Path, name: str) -> onnx.ModelProto:
    """The file without the weights beside it."""
    if path.stat().st_size >= _MESSAGE_BYTES:
        raise InputError(
            f"{name} has 2 GiB or more in one file, which no reader of protobuf takes: save it with its weights beside "
            "it, as external data."
        )
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's DecodeError, or whatever the parser meets in foreign bytes
        raise InputError(
            f"{name} is damaged, or no model that the farm takes ({_TAKEN}): {sentence(error)}."
        ) from error
    if not model.graph.node:
        raise InputError(f"{name} is no model that the farm takes ({_TAKEN}): as ONNX it holds no operators.")
    if not model.graph.output:
        raise InputError(f"{name} is not a whole ONNX model: it has no outputs.")
    return model


def _load_weights(model: onnx.ModelProto, path: Path, name: str) -> None:
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # missing, outside the file's folder, an offset that is none
        raise InputError(f"{name}: its external data cannot be read: {sentence(error)}.") from error


def _fix_inputs(
    model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], name: str, survey: GraphSurvey | None
) -> tuple[TensorInfo, ...]:
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    real = [value for value in model.graph.input if value.name not in constants]
    names = [value.name for value in real]
    if twice := next((each for each in names if names.count(each) > 1), None):
        raise InputError(f"{name} has two inputs named {twice}.")
    symbols = {dim.dim_param for value in real for dim in value.type.tensor_type.shape.dim if dim.dim_param}
    unknown = sorted(set(shapes) - {value.name for value in real} - symbols)
    if unknown:
        known = ", ".join(value.name for value in real) or "none"
        open_ones = f", its open dimensions are: {', '.join(sorted(symbols))}" if symbols else ""
        raise InputError(f"{name} has no input named {unknown[0]}; its inputs are: {known}{open_ones}.")
    found = []
    for value in real:
        try:
            found.append(_fixed(value, shapes, name))
        except InputError as error:
            if survey is None:
                raise
            survey.input_refused(value, error)
        else:
            if survey is not None:
                survey.inputs += outlines_of(found[-1:])
    return tuple(found)


def _fixed(value: onnx.ValueInfoProto, shapes: Mapping[str, Sequence[int]], name: str) -> TensorInfo:
    if not value.type.HasField("tensor_type"):
        raise InputError(f"{name}: input {value.name} is not a tensor; sequences and maps are not supported.")
    tensor = value.type.tensor_type
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    except KeyError:
        raise InputError(f"{name}: input {value.name} has dtype number {tensor.elem_type}: ONNX has none.") from None
    _check_dtype(dtype, f"{name}: input {value.name}")
    declared = None
    if tensor.HasField("shape"):
        declared = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim]
    shape = fixed_shape(name, value.name, declared, shapes)
    if math.prod(shape) * numpy_dtype(dtype).itemsize > MOST_BYTES:
        raise InputError(f"{name}: input {value.name} of shape {shape} takes more than {MOST_BYTES >> 30} GiB.")
    return TensorInfo(value.name, shape, dtype)
