"""Who answers ONNX's node tests: the farm, ONNX Runtime, TVM's own importer."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from tests.support.onnx_nodes import NotRun, saved
from tvm_farm.tracker.tuning.building.builder import build_model
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.graph import lower
from tvm_farm.tracker.tuning.models.importers import load_model
from tvm_farm.tracker.tuning.models.importers.onnx.judge import session_options

#: What LLVM optimizes is not what these tests ask: without it they take half the time.
_TARGET = {"kind": "llvm", "opt-level": 0}
#: IR version and operator set that ONNX Runtime takes at most.
_NEWEST = (13, 26)


def farm(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """By the farm's importer. Raises NotRun with its words, without the model and the node's number before them."""
    try:
        empty = {i.name: x.shape for i, x in zip(model.graph.input, inputs, strict=False) if _empty(x)}
        imported = load_model(saved(model), empty, "model")
    except InputError as error:
        raise NotRun(re.sub(r"^model: (node number \d+ \(([^)]*)\))?", r"\2", str(error))) from error
    if imported.tail:
        raise NotRun(imported.notes[0].split(". ")[0])
    return _run(imported.module, inputs)


def stock(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """By TVM's importer as it stands. Raises NotRun where it does."""
    try:
        module = from_onnx(model)
    except Exception as error:
        raise NotRun(str(error)) from error
    return _run(module, inputs)


def runtime(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """By ONNX Runtime without optimizations. Raises NotRun where it does not take the model.

    A file of a newer version than it knows is tried as one of its newest: what counts are its kernels.
    """
    told = []
    for each in (model, _of_version(model, *_NEWEST)):
        try:
            return _by_runtime(each, inputs)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime raises a dozen kinds of its own
            told.append(str(error).splitlines()[0])
    raise NotRun(told[0])


def _by_runtime(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )
    feed = {given.name: _fed(value) for given, value in zip(session.get_inputs(), inputs, strict=True)}
    found = session.run_with_ort_values([output.name for output in session.get_outputs()], feed)
    return [_array(value) for value in found]


def _of_version(model: onnx.ModelProto, ir: int, opset: int) -> onnx.ModelProto:
    older = onnx.ModelProto()
    older.CopyFrom(model)
    older.ir_version = min(older.ir_version, ir)
    for each in older.opset_import:
        if each.domain in ("", "ai.onnx"):
            each.version = min(each.version, opset)
    return older


def _fed(value: np.ndarray) -> onnxruntime.OrtValue:
    if not isinstance(value, np.ndarray) or value.dtype.isbuiltin == 1 or value.dtype == object:
        return onnxruntime.OrtValue.ortvalue_from_numpy(value)
    if value.dtype.name.endswith(("int4", "int2", "float4_e2m1fn")):
        raise NotRun(f"its Python interface takes no {value.dtype}, whose values share bytes")
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(value.view(f"u{value.itemsize}"), kind)


def _array(value: onnxruntime.OrtValue) -> np.ndarray:
    """Of a dtype that numpy lacks the runtime gives the bits, as integers."""
    return value.numpy().view(onnx.helper.tensor_dtype_to_np_dtype(value.element_type()))


def _empty(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.size == 0


def _run(module: tvm.ir.IRModule, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    target = tvm.target.Target(_TARGET)
    lowered = lower(module, target, as_written=True)
    with tempfile.TemporaryDirectory(prefix="node-") as folder:
        library = Path(folder, "model.so")
        # Half as much work as TVM's own just-in-time compilation, which optimizes whatever the target says.
        library.write_bytes(build_model(lowered.module, target))
        machine = relax.VirtualMachine(tvm.runtime.load_module(str(library)), tvm.cpu())
    given = [tvm.runtime.tensor(np.array(value, order="C")) for value in inputs]
    found = machine["main"](*given, *lowered.params.values())
    return [value.numpy() for value in ([found] if hasattr(found, "numpy") else found)]
