"""The end of a model whose values have shapes that depend on the values of its inputs: it is cut off.

Kernels have static shapes, so what NonZero or NonMaxSuppression leave is no work for the farm. Where such nodes stand
at the end, the package gives what they take, and they become a model of their own, the tail, for ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import tvm
from onnx import helper, numpy_helper
from tvm import relax

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.onnx.node import Value, dtype_of, shape_of
from tvm_farm.tracker.tuning.models.importers.wording import where

__all__ = ["Tail", "hangs_on_values", "tail_of", "uses", "without_leftovers"]

#: Inputs whose values, by position, decide a shape of the output: unless they are known, the shape is open.
_DECIDES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        ("NonZero", "Unique", "ConstantOfShape", "If", "BlackmanWindow", "HannWindow", "HammingWindow"), (0,)
    ),
    **dict.fromkeys(("Compress", "Expand", "Reshape", "Tile", "TopK", "OneHot", "Split", "Squeeze", "Unsqueeze"), (1,)),
    **dict.fromkeys(("AffineGrid", "CenterCropPad", "Upsample", "DFT"), (1,)),
    "Loop": (0, 1),
    "Range": (0, 1, 2),
    "Col2Im": (1, 2),
    "NonMaxSuppression": (0, 1, 2, 3, 4),
    "Slice": (1, 2, 3, 4),
    "Resize": (1, 2, 3),
    "Pad": (1, 3),
    "STFT": (1, 3),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    **{
        f"Reduce{kind}": (1,)
        for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
    },
}
#: The tail is one message of protobuf's, which ends at 2 GiB, its nodes and names included.
_MOST_WEIGHT_BYTES = (2 << 30) - (64 << 20)
#: Parts of the names of operators that belong on a board: a tail with one of them would leave the work to the caller.
_HEAVY = ("Conv", "MatMul", "Gemm", "LSTM", "GRU", "RNN", "Attention", "Einsum")


@dataclass(frozen=True)
class Tail:
    """``model``: an ONNX file that makes ``outputs``, the ones cut off, of ``takes``: values of the model by name."""

    model: bytes
    outputs: tuple[str, ...]
    takes: tuple[str, ...]
    #: Nodes before which the model is cut, for messages.
    origins: tuple[str, ...]


def hangs_on_values(node: onnx.NodeProto, values: Mapping[str, Value]) -> bool:
    """Whether a shape that ``node`` gives cannot be known, as ``values`` are not."""
    if node.domain not in ("", "ai.onnx"):
        return False
    given = [name for at, name in enumerate(node.input) if name and at in _DECIDES.get(node.op_type, ())]
    return any(not isinstance(values.get(name), np.ndarray) for name in given)


def uses(node: onnx.NodeProto) -> set[str]:
    """Names of the values that ``node`` takes, those from outside that its branches and bodies use among them."""
    found = set(node.input) - {""}
    for graph in _graphs(node):
        own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        inner = {output.name for output in graph.output}
        for each in graph.node:
            inner |= uses(each)
            own |= set(each.output)
        found |= inner - own
    return found


def tail_of(model: onnx.ModelProto, values: Mapping[str, Value], opened: Mapping[str, str], name: str) -> Tail:
    """The nodes of ``model`` that make those of its outputs that are in ``opened``.

    ``values``: of the main graph, by name. ``opened``: names of those without a static shape, each with the node from
    which on it has none. Raises InputError where a heavy operator is among the nodes, or more weights than a file
    holds.
    """
    outputs = [output for output in model.graph.output if output.name in opened]
    wanted, nodes = {output.name for output in outputs}, []
    for number, node in reversed(list(enumerate(model.graph.node))):
        origin = next((opened[each] for each in node.output if each in wanted and each in opened), None)
        if origin is None:
            continue
        if heavy := next((kind for kind in _kinds(node) if any(part in kind for part in _HEAVY)), None):
            raise InputError(
                f"{name}: {where(node, number)}: it works on values whose shape depends on the values of the model's "
                f"inputs, from {origin} on. A model can be cut there only where no {heavy} comes after."
            )
        wanted |= uses(node)
        nodes.append(node)
    nodes.reverse()
    made = {each for node in nodes for each in node.output}
    taken = [each for each in dict.fromkeys(each for node in nodes for each in sorted(uses(node))) if each not in made]
    takes = [each for each in taken if not isinstance(values[each], np.ndarray)]
    known = {each: value for each in taken if isinstance(value := values[each], np.ndarray)}
    if (weights := sum(value.nbytes for value in known.values())) > _MOST_WEIGHT_BYTES:
        origin = opened[outputs[0].name]
        raise InputError(
            f"{name}: from {origin} on, shapes depend on the values of the model's inputs, and what comes after holds "
            f"{weights >> 20} MiB of weights. A model can be cut there only where they are at most "
            f"{_MOST_WEIGHT_BYTES >> 20} MiB: the rest becomes one file."
        )
    graph = helper.make_graph(
        nodes,
        "tail",
        [_info(each, values[each]) for each in takes],
        outputs,
        [numpy_helper.from_array(value, each) for each, value in known.items()],
    )
    tail = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return Tail(
        tail.SerializeToString(),
        tuple(output.name for output in outputs),
        tuple(takes),
        tuple(dict.fromkeys(opened[output.name] for output in outputs)),
    )


def without_leftovers(module: tvm.ir.IRModule) -> tvm.ir.IRModule:
    """``module`` without what its ``main`` binds and nobody reads: converters leave that when they fail halfway.

    ``DeadCodeElimination`` keeps a ``match_cast``, and with it what that looks at, since it might fail.
    """
    main = module["main"]
    read = set(relax.analysis.free_vars(main.body.body))
    blocks = []
    for block in reversed(main.body.blocks):
        kept = []
        for binding in reversed(block.bindings):
            if binding.var in read:
                read.update(relax.analysis.free_vars(binding.value))
                kept.append(binding)
        blocks.append(type(block)(kept[::-1]))
    body = relax.SeqExpr(blocks[::-1], main.body.body)
    module = module.clone()
    module["main"] = relax.Function(main.params, body, main.ret_ty, main.is_pure, main.attrs)
    return module


def _graphs(node: onnx.NodeProto) -> Sequence[onnx.GraphProto]:
    return [graph for each in node.attribute for graph in ([each.g] if each.HasField("g") else each.graphs)]


def _kinds(node: onnx.NodeProto) -> Iterator[str]:
    yield node.op_type
    for graph in _graphs(node):
        for each in graph.node:
            yield from _kinds(each)


def _info(name: str, value: Value) -> onnx.ValueInfoProto:
    import ml_dtypes  # noqa: F401 - teaches numpy names such as bfloat16

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype_of(value)))
    return helper.make_tensor_value_info(name, kind, shape_of(value))
