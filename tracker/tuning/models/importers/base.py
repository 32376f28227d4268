"""What every importer gives: a Relax module, its inputs and outputs, and a judge who runs the original file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import tvm

__all__ = ["ImportedModel", "Importer", "Judge", "TensorInfo"]


@dataclass(frozen=True)
class TensorInfo:
    """A model's input or output: name, static shape, numpy dtype name (with those of ``ml_dtypes``)."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class Judge(Protocol):
    """The reference implementation of a format, which runs the original file and knows nothing of TVM."""

    #: With its version: ``ONNX Runtime 1.31.1``.
    name: str

    def answers(self, inputs: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        """Values called ``names`` in the file, of the model's ``inputs`` in order: its outputs or what lies between.

        Raises JudgeError where the reference cannot run the file or has no such value.
        """
        ...


@dataclass(frozen=True)
class ImportedModel:
    """A Relax module whose ``main`` takes ``inputs`` in order, holds its weights as constants and gives ``outputs``."""

    module: tvm.ir.IRModule
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    judge: Judge
    #: Names of values inside the model in the order in which they are computed, and the operator of each: where to
    #: look when an output is wrong.
    values: tuple[tuple[str, str], ...] = ()
    #: The same model with other outputs: some of ``values`` by their names.
    with_outputs: Callable[[Sequence[str]], ImportedModel] | None = field(default=None, repr=False, compare=False)
    #: Sentences for whoever uses the package: what was cut off its end, what does not compare.
    notes: tuple[str, ...] = ()
    #: An ONNX file that makes the outputs that were cut off of what the package gives; empty where none were.
    tail: bytes = field(default=b"", repr=False)
    #: Outputs whose values are random by the model's own wish, so that nothing can judge them.
    random_outputs: tuple[str, ...] = ()
    #: It computes with integers of 8 bits, so that rounding may move values by steps of theirs.
    quantized: bool = False
    #: The judge of a copy of the file whose weights are one rounding step away, up or down at random.
    shaken: Callable[[np.random.Generator], Judge] | None = field(default=None, repr=False, compare=False)
    #: Of integer inputs that index something, or divide: what their values may be.
    bounds: Mapping[str, range] = field(default_factory=dict)


class Importer(Protocol):
    """One format of model files."""

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with these 64 bytes is of this format."""
        ...

    def load(self, path: Path, shapes: Mapping[str, Sequence[int]], name: str) -> ImportedModel:
        """See ``load_model``. Files that belong to the model lie beside ``path``."""
        ...
