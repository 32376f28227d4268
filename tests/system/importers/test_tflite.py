"""TFLite files through the importer: every operator answers as LiteRT's reference kernels do, or is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tvm")
pytest.importorskip("ai_edge_litert")

from tests.support.run_import import run_import
from tests.support.tflite_cases import CASES
from tests.support.tflite_cases_quantized import QUANTIZED_CASES
from tracker.tuning.models.importers import ImportedModel, load_model

pytestmark = pytest.mark.system


def imported(file: bytes, folder: Path, shapes: dict[str, tuple[int, ...]] | None = None) -> ImportedModel:
    path = folder / "model.tflite"
    path.write_bytes(file)
    return load_model(path, shapes or {}, "model.tflite")


def judged(model: ImportedModel, inputs: tuple[np.ndarray, ...]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What LiteRT answers and what the import does."""
    expected = model.judge.answers(inputs, [output.name for output in model.outputs])
    given = run_import(model, inputs)
    for info, a, b in zip(model.outputs, expected, given, strict=True):
        assert (info.shape, info.dtype) == (a.shape, a.dtype.name) == (b.shape, b.dtype.name)
    return expected, given


@pytest.mark.parametrize("name", CASES)
def test_an_operator_answers_as_litert(name, tmp_path):
    case = CASES[name]
    expected, given = judged(imported(case.file, tmp_path), case.inputs)
    for a, b in zip(expected, given, strict=True):
        if a.dtype.kind == "f":
            np.testing.assert_allclose(b, a, rtol=2e-5, atol=1e-6 * max(1.0, float(np.abs(a).max())))
        else:
            np.testing.assert_array_equal(b, a)


@pytest.mark.parametrize("name", QUANTIZED_CASES)
def test_an_operator_on_8_bits_answers_bit_by_bit(name, tmp_path):
    case = QUANTIZED_CASES[name]
    expected, given = judged(imported(case.file, tmp_path), case.inputs)
    for a, b in zip(expected, given, strict=True):
        np.testing.assert_array_equal(b, a)
