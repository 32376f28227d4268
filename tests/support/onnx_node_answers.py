"""Who answers ONNX's node tests: the farm, ONNX Runtime, TVM's own importer."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from tests.support.onnx_nodes import NotRun, saved
from tracker.tuning.errors import InputError
from tracker.tuning.models.graph import lower
from tracker.tuning.models.importers import load_model

#: What LLVM optimizes is not what these tests ask: without it they take half the time.
_TARGET = {"kind": "llvm", "opt-level": 0}


def farm(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """By the farm's importer. Raises NotRun with its words, without the model and the node's number before them."""
    try:
        empty = {i.name: x.shape for i, x in zip(model.graph.input, inputs, strict=False) if _empty(x)}
        imported = load_model(saved(model), empty, "model")
    except InputError as error:
        raise NotRun(re.sub(r"^model: (node number \d+ \(([^)]*)\))?", r"\2", str(error))) from error
    if imported.tail:
        raise NotRun(" ".join(imported.notes))
    return _run(imported.module, inputs)


def stock(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """By TVM's importer as it stands. Raises NotRun where it does."""
    try:
        module = from_onnx(model)
    except Exception as error:
        raise NotRun(str(error)) from error
    return _run(module, inputs)


def runtime(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """By ONNX Runtime. Raises NotRun where it does not take the model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return list(session.run(None, dict(zip((i.name for i in session.get_inputs()), inputs, strict=True))))
    except Exception as error:
        raise NotRun(str(error).splitlines()[0]) from error


def _empty(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.size == 0


def _run(module: tvm.ir.IRModule, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    target = tvm.target.Target(_TARGET)
    lowered = lower(module, target, as_written=True)
    machine = relax.VirtualMachine(relax.build(lowered.module, target), tvm.cpu())
    given = [tvm.runtime.tensor(np.array(value, order="C")) for value in inputs]
    found = machine["main"](*given, *lowered.params.values())
    return [value.numpy() for value in ([found] if hasattr(found, "numpy") else found)]
