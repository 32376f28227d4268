"""Constants of a file as arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.wording import sentence

__all__ = ["constants_of"]


def constants_of(graph: onnx.GraphProto, model: str) -> Iterator[tuple[str, np.ndarray]]:
    """Name and value of each. Raises InputError for one that is damaged; ``model`` is for messages."""
    for tensor, sparse in [*((t, None) for t in graph.initializer), *((s.values, s) for s in graph.sparse_initializer)]:
        try:
            yield tensor.name, numpy_helper.to_array(tensor) if sparse is None else _dense(sparse)
        except Exception as error:  # whatever numpy meets in foreign bytes
            raise InputError(f"{model}: its constant {tensor.name} is damaged: {sentence(error)}.") from error


def _dense(sparse: onnx.SparseTensorProto) -> np.ndarray:
    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    array = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        array.reshape(-1)[indices] = values
    else:
        array[tuple(indices.T)] = values
    return array
