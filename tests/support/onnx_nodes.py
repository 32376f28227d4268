"""ONNX's node tests: every node a model of its own, run in one warm process that a crash does not end.

Inputs after the first of at most one dimension are constants (axes, shapes, scales), as they are in real files.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

Answers = Callable[[onnx.ModelProto, Sequence[np.ndarray]], Sequence[np.ndarray]]


#: Reasons, and the cases that do not pass for each.
LIST = Path(__file__).with_name("onnx_nodes.json")


class NotRun(Exception):
    """Whoever was asked refuses the model: the message says why."""


@dataclass(frozen=True)
class NodeCase:
    """``inputs`` are those of ``model`` in order. ``operator`` with its domain: that of the node that is tested."""

    name: str
    operator: tuple[str, str]
    model: onnx.ModelProto
    inputs: tuple[np.ndarray, ...]
    expected: tuple[np.ndarray, ...]
    rtol: float
    atol: float


@dataclass(frozen=True)
class Verdict:
    """``kind``: pass, refused, wrong or crash. ``why`` is "" where it passes."""

    kind: str
    why: str = ""


@cache
def node_cases() -> tuple[NodeCase, ...]:
    """All of them in ONNX's own order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases overflow and divide by zero on purpose
        found = load_model_tests(kind="node")
    nodes = {case.name: case.model.graph.node[0] for case in found}
    return tuple(_case(case, nodes.get(case.name.removesuffix("_expanded"), nodes[case.name])) for case in found)


def not_passing() -> dict[str, str]:
    """Why each case that does not pass does not, by its name."""
    reasons = json.loads(LIST.read_text(encoding="utf-8"))
    return {name: reason for reason, names in reasons.items() for name in names}


def verdicts(cases: Sequence[NodeCase], answers: Answers) -> Iterator[tuple[NodeCase, Verdict]]:
    """``answers`` judged on each case in a forked process; another one goes on behind a case that kills it."""
    left = list(cases)
    while left:
        done = 0
        with _forked(left, answers) as stream:
            while True:
                try:
                    verdict = pickle.load(stream)
                except EOFError:
                    break
                yield left[done], verdict
                done += 1
        if done < len(left):
            yield left[done], Verdict("crash", "it ended the process")
        left = left[done + 1 :]


def judged(case: NodeCase, answers: Answers) -> Verdict:
    """What ``answers`` makes of ``case``, here and now."""
    try:
        found = [np.asarray(value) for value in answers(case.model, case.inputs)]
    except NotRun as error:
        return Verdict("refused", str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the verdict
        return Verdict("crash", f"{type(error).__name__}: {' '.join(str(error).split())[-300:]}")
    if len(found) != len(case.expected):
        return Verdict("wrong", f"{len(found)} outputs of {len(case.expected)}")
    for value, expected in zip(found, case.expected, strict=True):
        if (value.shape, value.dtype) != (expected.shape, expected.dtype):
            return Verdict("wrong", f"{value.dtype}{value.shape} for {expected.dtype}{expected.shape}")
        rtol = max(case.rtol, 2 * _spacing(expected.dtype))
        if expected.dtype.isbuiltin != 1:
            value, expected = value.astype(np.float32), expected.astype(np.float32)
        try:
            np.testing.assert_allclose(value, expected, rtol, max(case.atol, _noise(case, expected)))
        except AssertionError as error:
            return Verdict("wrong", " ".join(str(error).split())[:300])
    return Verdict("pass")


def _spacing(dtype: np.dtype) -> float:
    """Of the floats of ``dtype`` at 1, where ONNX's tolerance of 1e-3 would ask for numpy's own order of rounding."""
    return float(ml_dtypes.finfo(dtype).eps) if dtype.name in ("float16", "bfloat16") else 0.0


def _noise(case: NodeCase, expected: np.ndarray) -> float:
    """What numpy's Fourier transforms leave where the answer is zero: a spacing at the greatest one."""
    return float(np.finfo(expected.dtype).eps * np.abs(expected).max()) if case.operator[1] in ("DFT", "STFT") else 0.0


def saved(model: onnx.ModelProto) -> Path:
    """``model`` in a file that the next call overwrites."""
    path = _file(os.getpid())
    onnx.save(model, path)
    return path


def _file(pid: int) -> Path:
    return Path(tempfile.gettempdir(), f"node-{pid}.onnx")


def _case(case: Any, node: onnx.NodeProto) -> NodeCase:
    inputs, expected = ([_array(value) for value in values] for values in case.data_sets[0])
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    given = _frozen(model, inputs)
    return NodeCase(case.name, (node.domain, node.op_type), model, given, tuple(expected), case.rtol, case.atol)


def _array(value: Any) -> Any:
    """An array; strings, sequences and nothing stay what they are, for nobody runs a model of those."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.ndarray | np.generic) else value


def _frozen(model: onnx.ModelProto, inputs: Sequence[Any]) -> tuple[Any, ...]:
    left = []
    for value, array in zip(list(model.graph.input), inputs, strict=True):
        if not isinstance(array, np.ndarray):
            left.append(array)
        elif left and array.ndim <= 1 and array.dtype != object:
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
            model.graph.input.remove(value)
        else:
            left.append(array)
            kept = next(each for each in model.graph.input if each.name == value.name)
            if kept.type.HasField("tensor_type"):
                del kept.type.tensor_type.shape.dim[:]
                kept.type.tensor_type.shape.SetInParent()
                for size in array.shape:
                    kept.type.tensor_type.shape.dim.add().dim_value = size
    return tuple(left)


class _forked:
    """The stream of verdicts of a child that works off ``cases``."""

    def __init__(self, cases: Sequence[NodeCase], answers: Answers) -> None:
        self._cases = cases
        self._answers = answers

    def __enter__(self) -> Any:
        read, write = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            self._work(read, write)
        os.close(write)
        self._stream = os.fdopen(read, "rb")
        return self._stream

    def _work(self, read: int, write: int) -> None:
        try:
            os.close(read)
            faulthandler.disable()  # a crash is a verdict, not a report on the terminal
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            warnings.simplefilter("ignore")
            with os.fdopen(write, "wb") as stream:
                for case in self._cases:
                    pickle.dump(judged(case, self._answers), stream)
                    stream.flush()
        finally:
            os._exit(0)

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        os.waitpid(self._child, 0)
        _file(self._child).unlink(missing_ok=True)
