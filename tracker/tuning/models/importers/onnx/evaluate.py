"""A node whose inputs are all known is computed while importing, by ONNX Runtime or ONNX's own reference.

Neither is run over the whole file (as ``onnxslim``, ``onnxsim`` and ONNX Runtime's offline optimizer do): what is known
grows while the importer walks, with the exact shapes that TVM infers, into branches, loop bodies and functions, where
those tools stop.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tvm_farm.tracker.tuning.models.importers.onnx.judge import dtype_free, session_options
from tvm_farm.tracker.tuning.models.importers.onnx.node import Refused

__all__ = ["MAX_FOLDED_BYTES", "RANDOM", "evaluate", "tensor_kind"]

#: Results larger than this stay computed in the graph: folding would only move the cost into memory.
MAX_FOLDED_BYTES = 1 << 30
#: Operators whose answers differ from run to run: Dropout where it trains, which its converter tells.
RANDOM = {
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
    "Dropout",
}


def tensor_kind(array: np.ndarray) -> int:
    """ONNX's number for the dtype of ``array``."""
    return int(helper.np_dtype_to_tensor_dtype(array.dtype))


def evaluate(
    node: onnx.NodeProto, inputs: Sequence[np.ndarray | None], opsets: Sequence[onnx.OperatorSetIdProto]
) -> list[np.ndarray] | None:
    """Outputs of ``node``, whose ``inputs`` are in order and None where left out; None where nobody can compute it.

    Raises Refused where integers are divided by zero.
    """
    _check_division(node, inputs)
    names = [f"in{number}" for number in range(len(inputs))]
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    del alone.input[:]
    alone.input.extend("" if value is None else name for name, value in zip(names, inputs, strict=True))
    feed = {name: value for name, value in zip(names, inputs, strict=True) if value is not None}
    graph = helper.make_graph(
        [alone],
        "constant",
        [helper.make_tensor_value_info(name, tensor_kind(value), value.shape) for name, value in feed.items()],
        [helper.make_empty_tensor_value_info(name) for name in node.output if name],
    )
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    for run in (_by_runtime, _by_reference):
        try:
            values = run(model, feed)
        except Exception:  # noqa: BLE001 - it lacks the operator or the dtype: the next one, or TVM, computes it
            continue
        if not all(isinstance(value, np.ndarray | np.generic) for value in values):
            return None
        if sum(value.nbytes for value in values) > MAX_FOLDED_BYTES:
            return None
        found = iter(values)
        return [np.asarray(next(found)) if name else np.zeros(0, np.float32) for name in node.output]
    return None


def _check_division(node: onnx.NodeProto, inputs: Sequence[np.ndarray | None]) -> None:
    """Raises Refused where integers are divided without an answer, which ends the process on some CPUs."""
    if (
        node.op_type not in ("Div", "Mod")
        or len(inputs) != 2
        or any(x is None or x.dtype.kind not in "iu" for x in inputs)
    ):
        return
    number, divisor = inputs
    assert number is not None
    assert divisor is not None
    if not divisor.all():
        raise Refused("it divides integers by zero")
    if number.dtype.kind == "i" and (number == np.iinfo(number.dtype).min).any() and (divisor == -1).any():
        raise Refused(f"it divides {np.iinfo(number.dtype).min} by -1, which {number.dtype} cannot hold")


def _by_runtime(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    if any(not dtype_free(value) for value in feed.values()):
        raise TypeError("a dtype that numpy lacks")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, feed))


def _by_reference(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    return list(ReferenceEvaluator(model).run(None, feed))
