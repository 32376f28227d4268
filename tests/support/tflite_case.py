"""A TFLite model of one operator, with inputs for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from tests.support.tflite_models import Quantized, TfliteModel

__all__ = ["ACT", "RELU", "RELU6", "RELU_N1_TO_1", "Case", "Cases", "In", "Known", "ints", "normal", "whole", "x"]

RELU = schema.ActivationFunctionType.RELU
RELU6 = schema.ActivationFunctionType.RELU6
RELU_N1_TO_1 = schema.ActivationFunctionType.RELU_N1_TO_1
ACT = "fusedActivationFunction"
_random = np.random.default_rng(20)


@dataclass(frozen=True)
class Case:
    operator: str
    file: bytes
    inputs: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class In:
    """An input: its values, and how they are quantized."""

    values: np.ndarray
    quantized: Quantized | None = None


@dataclass(frozen=True)
class Known:
    """A constant that is quantized."""

    values: np.ndarray
    quantized: Quantized


class Cases(dict[str, Case]):
    """By operator and form."""

    def case(
        self,
        operator: str,
        inputs: Sequence[In | Known | np.ndarray | None],
        options: Any = None,
        name: str = "",
        **more: Any,
    ) -> None:
        """``more``: of ``TfliteModel.add``. Bare arrays are constants."""
        model = TfliteModel()
        numbers, fed = [], []
        for each in inputs:
            if isinstance(each, In):
                numbers.append(model.input(f"x{len(fed)}", each.values.shape, each.values.dtype.name, each.quantized))
                fed.append(each.values)
            elif isinstance(each, Known):
                numbers.append(model.constant(each.values, each.quantized))
            else:
                numbers.append(-1 if each is None else model.constant(each))
        outputs = model.add(operator, numbers, options, **more)
        key = f"{operator}-{name}" if name else operator
        assert key not in self, key
        self[key] = Case(operator, model.build(*(outputs if isinstance(outputs, list) else [outputs])), tuple(fed))


def normal(*shape: int) -> np.ndarray:
    return (2 * _random.standard_normal(shape)).astype(np.float32)


def whole(low: int, high: int, *shape: int, dtype: str = "int32") -> np.ndarray:
    return _random.integers(low, high, shape).astype(dtype)


def x(*shape: int) -> In:
    return In(normal(*shape))


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)
