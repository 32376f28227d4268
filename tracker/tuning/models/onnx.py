"""An ONNX file becomes a Relax module with static shapes.

Three things are settled on the ONNX graph itself, because the importer would turn each into work
that a model then pays for at every call: nodes computed from constants alone are evaluated with
ONNX's own reference implementation, ``Dropout`` and ``Identity`` vanish, and a ``Sum`` of tensors
becomes a chain of ``Add`` (the importer of TVM 0.27 makes it stack and reduce).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import tvm
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tracker.tuning.errors import InputError

__all__ = ["ImportedModel", "TensorInfo", "load_onnx"]

#: Constants larger than this stay computed in the graph: folding would only move the cost into memory.
MAX_FOLDED_BYTES = 1 << 30
#: The importer looks at operators' names alone and would take a foreign Identity for ONNX's own.
_DOMAINS = {"", "ai.onnx", "com.microsoft"}
_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}


@dataclass(frozen=True)
class TensorInfo:
    """A model's input or output: name, static shape, numpy dtype name."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class ImportedModel:
    """A Relax module whose ``main`` takes ``inputs`` in order and holds its weights as constants."""

    module: tvm.ir.IRModule
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


def load_onnx(data: bytes, shapes: Mapping[str, Sequence[int]], name: str) -> ImportedModel:
    """Import the ONNX file ``data``. ``shapes`` fixes inputs whose dimensions are open; ``name`` is for messages.

    Raises InputError: not an ONNX file, a dynamic dimension left open (named), a shape for an
    input that does not exist or contradicts the file, an unsupported operator (named).
    """
    model = _parse(data, name)
    inputs = _fix_inputs(model, shapes, name)
    model = _simplify(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # the importer warns of initializers that are no graph inputs: they need not be
            from tvm.relax.frontend.onnx import from_onnx

            module = from_onnx(model, shape_dict={i.name: list(i.shape) for i in inputs}, keep_params_in_input=False)
    except Exception as error:
        raise _import_error(error, model, name) from error
    return ImportedModel(module, inputs, _outputs(module, [o.name for o in model.graph.output], name))


def _parse(data: bytes, name: str) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError, or whatever the parser meets in foreign bytes
        raise InputError(f"{name} is not an ONNX file, or a damaged one: {_first_line(error)}.") from error
    if not model.graph.node:
        raise InputError(f"{name} is not an ONNX model: it holds no operators.")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise InputError(
            f"{name} keeps its weights in other files; save it as one file (onnx.save without external data)."
        )
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        unknown = re.search(r"No Op registered for (\S+) with domain_version of (\d+)", str(error))
        if unknown:
            raise InputError(
                f"{name}: operator {unknown[1]} does not exist in ONNX operator set {unknown[2]}."
            ) from error
        raise InputError(f"{name} is not a valid ONNX model: {_first_line(error)}.") from error
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in model.graph.node if n.domain not in _DOMAINS})
    if foreign:
        raise InputError(f"{name} uses an operator that TVM {tvm.__version__} cannot import: {', '.join(foreign)}.")
    return model


def _fix_inputs(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], name: str) -> tuple[TensorInfo, ...]:
    constants = {tensor.name for tensor in model.graph.initializer}
    real = [value for value in model.graph.input if value.name not in constants]
    unknown = sorted(set(shapes) - {value.name for value in real})
    if unknown:
        known = ", ".join(value.name for value in real)
        raise InputError(f"{name} has no input named {unknown[0]}; its inputs are: {known}.")
    found = []
    for value in real:
        if not value.type.HasField("tensor_type"):
            raise InputError(f"{name}: input {value.name} is not a tensor; sequences and maps are not supported.")
        shape = _static_shape(value, shapes.get(value.name), name)
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)).name
        found.append(TensorInfo(value.name, shape, dtype))
    del model.graph.input[:]
    for info in found:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(info.dtype))
        model.graph.input.append(helper.make_tensor_value_info(info.name, kind, info.shape))
    return tuple(found)


def _static_shape(value: onnx.ValueInfoProto, given: Sequence[int] | None, name: str) -> tuple[int, ...]:
    """The input's shape, from the file or as ``given``."""
    tensor = value.type.tensor_type
    known = tensor.HasField("shape")
    declared = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    names = [dim.dim_param or "?" for dim in tensor.shape.dim]
    text = ",".join(label if size is None else str(size) for label, size in zip(names, declared, strict=True))
    if given is None:
        if not known or None in declared:
            what = f"has open dimensions ({text})" if known else "has no shape in the file"
            raise InputError(f"{name}: input {value.name} {what}; fix it with --shape {value.name}=…")
        given = [size for size in declared if size is not None]
    elif known and (
        len(given) != len(declared) or any(d is not None and d != g for d, g in zip(declared, given, strict=True))
    ):
        wanted = ",".join(map(str, given))
        raise InputError(f"{name}: input {value.name} is ({text}) in the file; --shape {value.name}={wanted} differs.")
    if any(size <= 0 for size in given):
        raise InputError(f"{name}: input {value.name} has a dimension that is not positive: {tuple(given)}.")
    return tuple(int(size) for size in given)


def _simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    results = {value.name for value in model.graph.output}
    inner = _inner_names(model.graph.node)
    consumed = results | inner | {source for node in model.graph.node for source in node.input}
    renamed: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        for position, source in enumerate(node.input):
            node.input[position] = renamed.get(source, source)
        foldable = not any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute)
        standard = node.domain in ("", "ai.onnx")
        foldable = foldable and standard and node.op_type not in _RANDOM and not _trains(node, constants)
        foldable = foldable and all(not x or x in constants for x in node.input)
        if foldable and not results & set(node.output):
            values = _evaluate(node, constants, model)
            if values is not None:
                constants.update(values)
                continue
        passes_through = standard and node.op_type in ("Dropout", "Identity") and not consumed & set(node.output[1:])
        if passes_through and node.output[0] not in results | inner and not _trains(node, constants):
            renamed[node.output[0]] = node.input[0]
        elif standard and node.op_type == "Sum" and len(node.input) > 1:
            kept.extend(_additions(node))
        else:
            kept.append(node)
    used = {source for node in kept for source in node.input} | results | _inner_names(kept)
    simplified = onnx.ModelProto()
    simplified.CopyFrom(model)
    del simplified.graph.node[:], simplified.graph.initializer[:], simplified.graph.value_info[:]
    simplified.graph.node.extend(kept)
    simplified.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items() if k in used)
    return simplified


def _evaluate(
    node: onnx.NodeProto, constants: Mapping[str, np.ndarray], model: onnx.ModelProto
) -> dict[str, np.ndarray] | None:
    sources = [x for x in node.input if x]
    graph = helper.make_graph(
        [node],
        "constant",
        [
            helper.make_tensor_value_info(x, helper.np_dtype_to_tensor_dtype(constants[x].dtype), constants[x].shape)
            for x in sources
        ],
        [helper.make_empty_tensor_value_info(x) for x in node.output if x],
    )
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        values = ReferenceEvaluator(part).run(None, {x: constants[x] for x in sources})
    except Exception:  # noqa: BLE001 - the reference lacks an operator: the node stays and TVM computes it
        return None
    if (
        not all(isinstance(v, np.ndarray | np.generic) for v in values)
        or sum(v.nbytes for v in values) > MAX_FOLDED_BYTES
    ):
        return None
    return {x: np.asarray(v) for x, v in zip([x for x in node.output if x], values, strict=True)}


def _trains(node: onnx.NodeProto, constants: Mapping[str, np.ndarray]) -> bool:
    """Whether a Dropout is in training mode, or cannot be told not to be."""
    if node.op_type != "Dropout" or len(node.input) < 3 or not node.input[2]:
        return False
    mode = constants.get(node.input[2])
    return mode is None or bool(mode)


def _additions(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    partial, chain = node.input[0], []
    for number, term in enumerate(node.input[1:], start=1):
        last = number == len(node.input) - 1
        result = node.output[0] if last else f"{node.output[0]}__partial{number}"
        chain.append(helper.make_node("Add", [partial, term], [result], name=f"{node.name}__{number}"))
        partial = result
    return chain


def _inner_names(nodes: Sequence[onnx.NodeProto]) -> set[str]:
    """Names that the sub-graphs of If, Loop and Scan take from outside."""
    names: set[str] = set()
    for node in nodes:
        for attribute in node.attribute:
            for graph in [attribute.g, *attribute.graphs]:
                names |= {source for inner in graph.node for source in inner.input} | _inner_names(graph.node)
    return names


def _outputs(module: tvm.ir.IRModule, names: Sequence[str], model: str) -> tuple[TensorInfo, ...]:
    from tvm import relax

    kind = module["main"].ret_ty
    fields = list(kind.fields) if isinstance(kind, relax.TupleType) else [kind]
    found = []
    for name, field in zip(names, fields, strict=True):
        try:
            shape = tuple(int(size) for size in field.shape)
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{model}: the shape of output {name} depends on the input's values, which is not supported."
            ) from error
        found.append(TensorInfo(name, shape, str(field.dtype)))
    return tuple(found)


def _import_error(error: Exception, model: onnx.ModelProto, name: str) -> InputError:
    text = str(error)
    if isinstance(error, tvm.error.OpNotImplemented):
        named = sorted(
            {node.op_type for node in model.graph.node if re.search(rf"\b{re.escape(node.op_type)}\b", text)}
        )
        what = ", ".join(named) or _first_line(error)
        return InputError(f"{name} uses an operator that TVM {tvm.__version__} cannot import: {what}.")
    return InputError(f"{name} could not be imported by TVM {tvm.__version__}: {_first_line(error)}.")


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).rstrip(".")
