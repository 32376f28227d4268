"""ONNX Runtime runs the original file; what it has no kernels for, ONNX's own reference does."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from tvm_farm.tracker.tuning.errors import JudgeError
from tvm_farm.tracker.tuning.models.importers.values import one_step_away

__all__ = ["OnnxJudge", "dtype_free", "session_options"]

log = logging.getLogger(__name__)

_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
_RUNTIME, _REFERENCE = f"ONNX Runtime {onnxruntime.__version__}", f"ONNX's reference {onnx.__version__}"


def session_options(threads: int = 1) -> onnxruntime.SessionOptions:
    """Quiet, without optimizations: what the file says, operator by operator."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return options


def dtype_free(array: np.ndarray) -> bool:
    """Whether ONNX Runtime takes ``array`` as it is: it knows numpy's own dtypes alone."""
    return array.dtype.isbuiltin == 1


class OnnxJudge:
    """See ``Judge``. ``path``: the original file, its external data beside it. ``inputs``: names, in order.

    ``fixed``: values of its other inputs. ``name``: of who answered last.
    """

    def __init__(
        self, path: Path, inputs: Sequence[str], fixed: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> None:
        self._path = path
        self._inputs = tuple(inputs)
        self._fixed = dict(fixed)
        self.name = _RUNTIME

    def answers(self, inputs: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        """See ``Judge``."""
        given = self._fixed | dict(zip(self._inputs, inputs, strict=True))
        try:
            found = self._by_runtime(given, names)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime raises a dozen kinds of its own
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            refused = JudgeError(f"{_RUNTIME} cannot run it: {lines[0] if lines else type(error).__name__}")
            try:
                found = self._by_reference(given, names)
            except Exception:  # whatever its Python meets
                log.info("ONNX's reference cannot run it either", exc_info=True)
                raise refused from error
            self.name = _REFERENCE
        else:
            self.name = _RUNTIME
        return found

    def shaken(self, random: np.random.Generator) -> OnnxJudge:
        """See ``ImportedModel``. Weights outside of the file stay as they are."""
        model = onnx.load(self._path, load_external_data=False)
        for tensor in model.graph.initializer:
            if tensor.data_type in _FLOATS and tensor.data_location != onnx.TensorProto.EXTERNAL:
                moved = one_step_away(numpy_helper.to_array(tensor), random)
                tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
        twin = self._path.with_name(f"{self._path.stem}.shaken.onnx")
        onnx.save(model, twin)
        return OnnxJudge(twin, self._inputs, self._fixed)

    def _by_runtime(self, given: Mapping[str, np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        session = onnxruntime.InferenceSession(
            self._source(names), session_options(), providers=["CPUExecutionProvider"]
        )
        feed = {name: _fed(value) for name, value in given.items()}
        return [_array(value) for value in session.run_with_ort_values(list(names), feed)]

    def _by_reference(self, given: Mapping[str, np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        return [np.asarray(x) for x in ReferenceEvaluator(onnx.load(self._source(names))).run(list(names), dict(given))]

    def _source(self, names: Sequence[str]) -> str:
        """Path of the file, or of a twin beside it that has ``names`` among its outputs as well."""
        model = onnx.load(self._path, load_external_data=False)
        missing = [name for name in names if name not in {output.name for output in model.graph.output}]
        if not missing:
            return str(self._path)
        model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in missing)
        twin = self._path.with_name(f"{self._path.stem}.judged.onnx")
        onnx.save(model, twin)
        return str(twin)


def _fed(array: np.ndarray) -> onnxruntime.OrtValue:
    if dtype_free(array):
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(f"u{array.itemsize}"), kind)


def _array(value: onnxruntime.OrtValue) -> np.ndarray:
    return np.asarray(value.numpy())
