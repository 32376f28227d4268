"""A small ONNX model through the importer, lowered as it is written, compiled for this machine and run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

__all__ = ["answers", "one_node", "runtime_answers"]


def one_node(
    op: str,
    inputs: Sequence[np.ndarray],
    constants: dict[int, np.ndarray] | None = None,
    *,
    opset: int,
    outputs: int = 1,
    domain: str = "",
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one node. ``inputs``: what it is given at run time, in order; ``constants``: its others by position.

    Positions in neither are left out.
    """
    constants = constants or {}
    given = iter(inputs)
    names, values = [], []
    total = len(inputs) + len(constants)
    position = 0
    while total:
        if position in constants:
            names.append(f"c{position}")
            total -= 1
        elif (value := next(given, None)) is not None:
            names.append(f"x{position}")
            values.append((names[-1], value))
            total -= 1
        else:
            names.append("")
        position += 1
    wanted = [f"y{number}" for number in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(op, names, wanted, domain=domain, **attributes)],
        "g",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in values],
        [helper.make_empty_tensor_value_info(name) for name in wanted],
        [numpy_helper.from_array(value, f"c{at}") for at, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def answers(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outputs of ``model`` by TVM, untuned."""
    import tvm
    from tvm import relax

    from tvm_farm.tracker.tuning.models.graph import lower
    from tvm_farm.tracker.tuning.models.importers import load_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        imported = load_model(path, {}, "model")
    target = tvm.target.Target("llvm")
    lowered = lower(imported.module, target, as_written=True)
    machine = relax.VirtualMachine(relax.build(lowered.module, target), tvm.cpu())
    given = [tvm.runtime.tensor(np.array(value, order="C")) for value in inputs]
    found = machine["main"](*given, *lowered.params.values())
    return [found.numpy()] if hasattr(found, "numpy") else [each.numpy() for each in found]


def runtime_answers(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outputs of ``model`` by ONNX Runtime without optimizations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {each.name: value for each, value in zip(session.get_inputs(), inputs, strict=True)})
