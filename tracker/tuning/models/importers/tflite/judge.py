"""LiteRT runs the original file, by its reference kernels: what the format means, operator by operator.

Where it has no reference kernel for one of the operators, by those that phones run, without delegates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tvm_farm.tracker.tuning.errors import JudgeError
from tvm_farm.tracker.tuning.models.importers.wording import sentence

__all__ = ["LiteRtJudge", "opened", "prepared"]


def opened(file: Path | bytes) -> Any:
    """LiteRT's interpreter of the model at a path or in bytes, which it has checked. Raises ValueError and its like."""
    try:
        return _interpreter(file, OpResolverType.BUILTIN_REF)
    except ValueError as error:
        if "find op for builtin" not in str(error):
            raise
    return _interpreter(file, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)


def _interpreter(file: Path | bytes, kernels: OpResolverType) -> Any:
    source = {"model_content": file} if isinstance(file, bytes) else {"model_path": str(file)}
    return Interpreter(
        **source,
        num_threads=1,
        experimental_op_resolver_type=kernels,
        experimental_preserve_all_tensors=True,
    )


def prepared(file: Path | bytes, shapes: Mapping[int, Sequence[int]]) -> Any:
    """``opened`` with its input tensors in ``shapes``, ready to run. Raises what LiteRT raises."""
    interpreter = opened(file)
    for index, shape in shapes.items():
        interpreter.resize_tensor_input(index, list(shape))
    interpreter.allocate_tensors()
    return interpreter


class LiteRtJudge:
    """See ``Judge``. ``inputs``: tensor numbers in order. ``numbers``: of every tensor, by the name it goes by."""

    name = f"LiteRT {version('ai-edge-litert')}"

    def __init__(self, path: Path, inputs: Sequence[int], numbers: Mapping[str, int]) -> None:
        self._path = path
        self._inputs = tuple(inputs)
        self._numbers = numbers

    def answers(self, inputs: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        """See ``Judge``."""
        if missing := next((name for name in names if name not in self._numbers), None):
            raise JudgeError(f"{self.name} knows no value {missing} in it.")
        try:
            shapes = {index: value.shape for index, value in zip(self._inputs, inputs, strict=True)}
            interpreter = prepared(self._path, shapes)
            for index, value in zip(self._inputs, inputs, strict=True):
                interpreter.set_tensor(index, np.array(value, order="C"))
            interpreter.invoke()
            return [np.array(interpreter.get_tensor(self._numbers[name])) for name in names]
        except (ValueError, RuntimeError) as error:
            raise JudgeError(f"{self.name} cannot run it: {sentence(error)}.") from error
