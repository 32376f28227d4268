"""What a file holds, with what LiteRT knows of it: the shape of every tensor, and the values that no input changes.

LiteRT runs the file once. So weights that the file keeps sparse or in half precision, and shapes that operators
compute, are arrays before anything is converted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.shapes import fixed_shape
from tvm_farm.tracker.tuning.models.importers.tflite.cut import BY_VALUE, tail_of
from tvm_farm.tracker.tuning.models.importers.tflite.judge import opened, prepared
from tvm_farm.tracker.tuning.models.importers.wording import sentence

__all__ = ["Graph", "Operator", "Tensor", "read_graph"]

_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_TYPES = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
#: Their answers depend on the shape of what they are given alone.
_OF_SHAPES = {"RANK", "SHAPE", "ZEROS_LIKE"}
#: Never known before the model runs, whatever they are given.
_ALIVE = {"CALL", "CALL_ONCE", "CUSTOM", "IF", "MULTINOMIAL", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM",
          "READ_VARIABLE", "VAR_HANDLE", "WHILE"}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """``real = scale * (stored - zero)`` where it is quantized; several scales belong to the slices along ``axis``."""

    number: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: np.ndarray | None = None
    zero: int = 0
    axis: int = 0
    #: Zero points of slices that differ, which LiteRT's kernels do not take.
    uneven: bool = False
    sparse: bool = False
    #: Keeps its value from one run of the model to the next.
    variable: bool = False


@dataclass(frozen=True)
class Operator:
    """``op``: name in the schema. ``options``: the schema's table of them. A number of -1 is an input left out."""

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any
    proto: Any


@dataclass(frozen=True)
class Graph:
    """The first subgraph of a file, once the shapes of its inputs are fixed. ``operators``: what is left to compute."""

    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]
    known: Mapping[int, np.ndarray]
    #: How many ways to call it the file declares.
    signatures: int
    #: Operators cut off its end: what they took is among the outputs then.
    cut: tuple[str, ...] = ()


def read_graph(path: Path, shapes: Mapping[str, Sequence[int]], name: str) -> Graph:
    """Raises InputError: not a TFLite file, an open dimension, an operator that LiteRT itself does not know."""
    try:
        opened(path)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{name} is not a TFLite file that LiteRT reads: {sentence(error)}.") from error
    file = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = file.subgraphs[0]
    names = _names(graph)
    if not _list(graph.outputs) or min(_list(graph.outputs)) < 0:
        raise InputError(f"{name} is not a whole TFLite model: it has no outputs, or one that is no tensor.")
    fixed = _fix_inputs(graph, names, shapes, name)
    operators = [_operator(file, each) for each in graph.operators or []]
    if custom := next(
        (each.op for each in operators if each.op not in _OPERATORS.values() and each.op not in BY_VALUE), ""
    ):
        raise InputError(f"{name}: {custom} is an operator of its author's own, which is not in TFLite.")
    interpreter = _run(path, graph, fixed, name)
    tensors = tuple(_tensors(interpreter, graph, names))
    known, computed = _parted(operators, tensors, file, graph)
    tail = tail_of(computed)
    outputs = _outputs_before(tail, known, _list(graph.outputs))
    left = _wanted([each for each in computed if each not in tail], outputs)
    used = {number for each in left for number in each.inputs} | set(outputs)
    return Graph(
        tensors,
        tuple(_list(graph.inputs)),
        tuple(outputs),
        tuple(left),
        {number: np.array(interpreter.get_tensor(number)) for number in sorted(used & known)},
        len(file.signatureDefs or ()),
        tuple(each.op for each in tail),
    )


def _list(numbers: Any) -> list[int]:
    return [] if numbers is None else [int(number) for number in numbers]


def _names(graph: Any) -> list[str]:
    """A name for every tensor, none twice: what the file calls it, with its number where that says too little."""
    taken: set[str] = set()
    names = []
    for number, tensor in enumerate(graph.tensors):
        name = tensor.name.decode(errors="replace") if tensor.name else ""
        if not name or name in taken:
            name = f"{name}#{number}"
        taken.add(name)
        names.append(name)
    return names


def _fix_inputs(
    graph: Any, names: Sequence[str], shapes: Mapping[str, Sequence[int]], name: str
) -> dict[int, tuple[int, ...]]:
    inputs = _list(graph.inputs)
    if unknown := sorted(set(shapes) - {names[number] for number in inputs}):
        told = ", ".join(names[number] for number in inputs) or "none"
        raise InputError(f"{name} has no input named {unknown[0]}; its inputs are: {told}.")
    fixed = {}
    for number in inputs:
        tensor = graph.tensors[number]
        if _TYPES.get(tensor.type) in ("string", "resource", "variant"):
            raise InputError(f"{name}: input {names[number]} holds no numbers; the farm tunes what computes with them.")
        signature = _list(tensor.shapeSignature) or _list(tensor.shape)
        fixed[number] = fixed_shape(name, names[number], signature, shapes)
    return fixed


def _run(path: Path, graph: Any, shapes: Mapping[int, Sequence[int]], name: str) -> Any:
    """LiteRT's interpreter after a run on zeros, or on ones where those are no fit input."""
    failure: BaseException | None = None
    for fill in (0, 1):
        try:
            interpreter = prepared(path, shapes)
            for detail in interpreter.get_input_details():
                interpreter.set_tensor(detail["index"], np.full(detail["shape"], fill, detail["dtype"]))
            interpreter.invoke()
            return interpreter
        except (ValueError, RuntimeError) as error:
            failure = failure or error
    assert failure is not None
    raise InputError(f"{name} does not run in LiteRT: {sentence(failure)}.") from failure


def _tensors(interpreter: Any, graph: Any, names: Sequence[str]) -> Iterator[Tensor]:
    # LiteRT appends tensors of its own, for what kernels keep between their steps.
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    for number, tensor in enumerate(graph.tensors):
        shape = details[number]["shape"] if number in details else _list(tensor.shape)
        scale, zero, axis, uneven = _quantization(tensor.quantization)
        yield Tensor(
            number,
            names[number],
            tuple(int(size) for size in shape),
            _TYPES.get(tensor.type, "unknown"),
            scale,
            zero,
            axis,
            uneven,
            tensor.sparsity is not None,
            bool(tensor.isVariable),
        )


def _quantization(described: Any) -> tuple[np.ndarray | None, int, int, bool]:
    if described is None or described.scale is None or not len(described.scale):
        return None, 0, 0, False
    zeros = np.array([0] if described.zeroPoint is None else described.zeroPoint, np.int64)
    scale = np.array(described.scale, np.float32)
    uneven = bool((zeros != zeros[:1]).any())
    return scale, int(zeros[0]) if zeros.size else 0, int(described.quantizedDimension), uneven


def _operator(file: Any, proto: Any) -> Operator:
    code = file.operatorCodes[proto.opcodeIndex]
    op = _OPERATORS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "UNKNOWN")
    if op == "CUSTOM":
        op = (code.customCode or b"?").decode(errors="replace")
    return Operator(op, tuple(_list(proto.inputs)), tuple(_list(proto.outputs)), proto.builtinOptions, proto)


def _parted(
    operators: Sequence[Operator], tensors: Sequence[Tensor], file: Any, graph: Any
) -> tuple[set[int], list[Operator]]:
    """Numbers of the tensors whose values no input changes, and the operators that compute the others."""
    changing = set(_list(graph.inputs)) | {number for each in operators for number in each.outputs}
    known = {
        number
        for number, tensor in enumerate(graph.tensors)
        if number not in changing and not tensor.isVariable and _has_data(file.buffers[tensor.buffer], tensors[number])
    }
    computed: list[Operator] = []
    for each in operators:
        given = [number for number in each.inputs if number >= 0]
        sure = each.op in _OF_SHAPES or all(number in known for number in given)
        if sure and each.op not in _ALIVE and each.op in _OPERATORS.values():
            known.update(each.outputs)
        else:
            computed.append(each)
    return known, computed


def _outputs_before(tail: Sequence[Operator], known: set[int], outputs: Sequence[int]) -> list[int]:
    """Numbers of the outputs once ``tail`` is cut off: what it took stands in the place of what it gave."""
    gone = {number for each in tail for number in each.outputs}
    taken = [number for each in tail for number in each.inputs if number >= 0 and number not in known | gone]
    return list(dict.fromkeys([number for number in outputs if number not in gone] + taken)) if tail else list(outputs)


def _wanted(operators: Sequence[Operator], outputs: Sequence[int]) -> list[Operator]:
    """``operators`` without those whose answers nobody needs."""
    wanted, left = set(outputs), []
    for each in reversed(operators):
        if not each.outputs or wanted & set(each.outputs):
            left.append(each)
            wanted.update(each.inputs)
    return left[::-1]


def _has_data(buffer: Any, tensor: Tensor) -> bool:
    return (buffer.data is not None and len(buffer.data) > 0) or buffer.offset > 1 or 0 in tensor.shape
