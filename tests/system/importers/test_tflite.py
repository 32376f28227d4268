"""TFLite files through the importer: every operator answers as LiteRT's reference kernels do, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flatbuffers import flexbuffers

pytest.importorskip("tvm")
pytest.importorskip("ai_edge_litert")

import ai_edge_litert.schema_py_generated as schema

from tests.support.public_models import TFLITE_MODELS, fetched
from tests.support.run_import import run_import
from tests.support.tflite_cases import CASES
from tests.support.tflite_cases_quantized import NEAR_CASES, QUANTIZED_CASES
from tests.support.tflite_models import Quantized, TfliteModel
from tvm_farm.tracker.tuning.errors import InputError, JudgeError
from tvm_farm.tracker.tuning.models.importers import ImportedModel, load_model, survey_model
from tvm_farm.tracker.tuning.models.importers.tflite import operators
from tvm_farm.tracker.tuning.models.importers.tflite.node import CONVERTERS, QUANTIZED
from tvm_farm.tracker.tuning.models.importers.tflite.stock import TRUSTED

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


@pytest.mark.parametrize("name", NEAR_CASES)
def test_probabilities_on_8_bits_are_a_step_away_at_most(name, tmp_path):
    case = NEAR_CASES[name]
    (expected,), (given,) = judged(imported(case.file, tmp_path), case.inputs)
    apart = np.abs(given.astype(int) - expected.astype(int))
    assert apart.max() <= 1
    assert apart.mean() < 0.05


def test_every_operator_has_its_cases():
    assert operators
    assert {case.operator for case in CASES.values()} == set(CONVERTERS) | TRUSTED
    assert {case.operator for case in (*QUANTIZED_CASES.values(), *NEAR_CASES.values())} == set(QUANTIZED)


@pytest.mark.parametrize("name", TFLITE_MODELS)
def test_a_network_that_people_ship_answers_as_litert(name, tmp_path):
    """Half precision, sparse weights, several outputs, an open batch."""
    public = TFLITE_MODELS[name]
    model = load_model(fetched(public), public.shapes, name)
    inputs = tuple(np.random.default_rng(3).random(info.shape).astype(info.dtype) for info in model.inputs)
    expected, given = judged(model, inputs)
    for a, b in zip(expected, given, strict=True):
        assert a.std() > 0 or a.size == 1
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5 * float(np.abs(a).max()))


def open_model() -> bytes:
    """An open batch whose size is taken from the image while the model runs."""
    model = TfliteModel()
    x = model.input("image", (-1, 4, 6, 2))
    size = model.add("SHAPE", [x], schema.ShapeOptionsT(outType=schema.TensorType.INT32), dtype="int32")
    limits = [model.constant(np.int32([at])) for at in (0, 1, 1)]
    batch = model.add("STRIDED_SLICE", [size, *limits], schema.StridedSliceOptionsT(shrinkAxisMask=1), dtype="int32")
    rest = model.constant(np.int32(48))
    wanted = model.add("PACK", [batch, rest], schema.PackOptionsT(axis=0, valuesCount=2), dtype="int32")
    flat = model.add("RESHAPE", [x, wanted])
    return model.build(model.add("NEG", [flat]), x)


def test_open_dimensions_are_fixed_and_shapes_computed_from_them_are_known(tmp_path):
    model = imported(open_model(), tmp_path, {"image": (3, 4, 6, 2)})
    assert [info.shape for info in model.outputs] == [(3, 48), (3, 4, 6, 2)]
    assert [operator for _, operator in model.values] == ["RESHAPE", "NEG"]
    x = np.random.default_rng(0).random((3, 4, 6, 2), dtype=np.float32)
    expected, given = judged(model, (x,))
    np.testing.assert_array_equal(given[0], -x.reshape(3, 48))
    np.testing.assert_array_equal(given[1], x)
    np.testing.assert_array_equal(expected[0], given[0])


def test_an_open_dimension_that_nobody_fixes_is_named(tmp_path):
    with pytest.raises(InputError, match=r"input image has open dimensions \(\?,4,6,2\)"):
        imported(open_model(), tmp_path)
    with pytest.raises(InputError, match="no input named picture; its inputs are: image"):
        imported(open_model(), tmp_path, {"picture": (1, 4, 6, 2)})


def test_values_inside_can_be_asked_for(tmp_path):
    """By model and judge alike, under one name each even where the file uses a name twice."""
    made = TfliteModel()
    x = made.input("x", (2, 3))
    first = made.add("EXP", [x])
    second = made.add("NEG", [first])
    made.graph.tensors[second].name = made.graph.tensors[first].name = "twice"
    model = imported(made.build(made.add("ABS", [second])), tmp_path)
    names = [name for name, _ in model.values]
    assert names == ["twice", "twice#2", "t3"]
    assert model.with_outputs is not None
    inner = model.with_outputs(names[:2])
    given = np.float32([[0, 1, 2], [-1, -2, -3]])
    expected, found = judged(inner, (given,))
    for a, b, wanted in zip(expected, found, (np.exp(given), -np.exp(given)), strict=True):
        np.testing.assert_allclose(a, wanted, rtol=1e-6)
        np.testing.assert_allclose(b, wanted, rtol=1e-6)
    with pytest.raises(JudgeError, match="knows no value nowhere"):
        model.judge.answers([given], ["nowhere"])


def test_inputs_that_look_something_up_have_bounds(tmp_path):
    made = TfliteModel()
    rows = made.input("rows", (4,), "int32")
    table = made.constant(np.arange(21, dtype=np.float32).reshape(7, 3))
    model = imported(made.build(made.add("GATHER", [table, rows], schema.GatherOptionsT(axis=0))), tmp_path)
    assert model.bounds == {"rows": range(7)}


def refused(file: bytes, folder: Path) -> str:
    with pytest.raises(InputError) as error:
        imported(file, folder)
    return str(error.value)


def test_what_cannot_be_imported_is_refused_by_its_operator(tmp_path):
    def told(build: Callable[[TfliteModel], int]) -> str:
        made = TfliteModel()
        return refused(made.build(build(made)), tmp_path)

    own = told(lambda made: made.add("CUSTOM", [made.input("x", (3,))], custom="Whatever"))
    assert own == "model.tflite: Whatever is an operator of its author's own, which is not in TFLite."
    where = told(
        lambda made: made.add(
            "FULLY_CONNECTED",
            [
                made.add("CAST", [made.add("WHERE", [made.input("x", (3,), "bool")], dtype="int64")]),
                made.constant(np.ones((2, 1), np.float32)),
            ],
            schema.FullyConnectedOptionsT(),
        )
    )
    assert where.endswith("(WHERE, giving t1): the shape of its output depends on the values of the model's inputs.")
    uniform = told(lambda made: made.add("RANDOM_UNIFORM", [made.constant(np.int32([3]))], schema.RandomOptionsT()))
    assert "(RANDOM_UNIFORM, giving t1): it draws random numbers, so that nothing can judge" in uniform
    weights = Quantized(0.1)
    hybrid = told(
        lambda made: made.add(
            "FULLY_CONNECTED",
            [made.input("x", (1, 4)), made.constant(np.ones((3, 4), np.int8), weights)],
            schema.FullyConnectedOptionsT(),
        )
    )
    assert "FULLY_CONNECTED" in hybrid
    assert hybrid.endswith(
        "its weights are quantized and its input is not: LiteRT then quantizes the input as it runs."
    )
    sizes = np.int32([4, 8])
    spectrum = told(lambda made: made.add("RFFT2D", [made.input("x", (4, 8)), made.constant(sizes)], dtype="complex64"))
    assert spectrum.endswith("(RFFT2D, giving t2): the farm cannot import this operator.")


@pytest.mark.parametrize("damage", ["cut short", "emptied", "of another version"])
def test_a_damaged_file_is_refused(damage, tmp_path):
    file = open_model()
    broken = {
        "cut short": file[: len(file) // 2],
        "emptied": file[:8],
        "of another version": file[:8] + bytes(len(file) - 8),
    }[damage]
    assert refused(broken, tmp_path).startswith("model.tflite is not a TFLite file that LiteRT reads:")


def test_an_output_that_is_missing_is_told(tmp_path):
    made = TfliteModel()
    y = made.add("NEG", [made.input("x", (4,))])
    for outputs in ((), (-1,)):
        assert "it has no outputs, or one that is no tensor" in refused(made.build(*outputs), tmp_path)
    made.graph.operators = []
    assert refused(made.build(y), tmp_path).endswith(f"nothing computes its output {made.graph.tensors[y].name}.")


def test_a_detector_is_cut_before_it_picks(tmp_path):
    """The outputs are then what the last operator would have taken, less what is constant; it is said."""
    made = TfliteModel()
    boxes = made.add("NEG", [made.input("boxes", (1, 6, 4))])
    scores = made.add("LOGISTIC", [made.input("scores", (1, 6, 3))])
    anchors = made.constant(np.ones((6, 4), np.float32))
    settings = flexbuffers.Builder()
    with settings.Map():
        for key in ("y_scale", "x_scale", "h_scale", "w_scale", "nms_score_threshold", "nms_iou_threshold"):
            settings.Float(key, 0.5)
        for key in ("max_detections", "max_classes_per_detection", "detections_per_class", "num_classes"):
            settings.Int(key, 2)
    chosen = made.add("CUSTOM", [boxes, scores, anchors], None, ["float32"] * 4, custom="TFLite_Detection_PostProcess")
    made.graph.operators[-1].customOptions = list(settings.Finish())
    model = imported(made.build(*chosen), tmp_path)
    assert [info.name for info in model.outputs] == ["t1", "t3"]
    assert model.notes == (
        "model.tflite is cut before TFLite_Detection_PostProcess, which is not compiled: "
        "the outputs are what that picks from.",
    )
    random = np.random.default_rng(0)
    inputs = tuple(random.random(info.shape, dtype=np.float32) for info in model.inputs)
    expected, given = judged(model, inputs)
    for a, b in zip(expected, given, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6)


def test_all_that_is_refused_is_surveyed(tmp_path):
    """Two operators that draw random numbers, an addition of what they give, and one behind it."""
    made = TfliteModel()
    first, second = (
        made.add("RANDOM_UNIFORM", [made.constant(np.array([2, 3], np.int32))], schema.RandomOptionsT()) for _ in "ab"
    )
    both = made.add("ADD", [first, made.input("x", (2, 3))], schema.AddOptionsT())
    path = tmp_path / "model.tflite"
    path.write_bytes(made.build(made.add("MUL", [made.add("NEG", [both]), second], schema.MulOptionsT())))
    survey, model = survey_model(path, {}, "model")
    assert model is None
    assert [obstacle.operator for obstacle in survey.obstacles] == ["RANDOM_UNIFORM", "RANDOM_UNIFORM"]
    assert all("draws random numbers" in obstacle.reason for obstacle in survey.obstacles)
    assert {use.name: (use.refused, use.by_farm + use.by_tvm) for use in survey.operators} == {
        "ADD": (0, 1), "MUL": (0, 1), "NEG": (0, 1), "RANDOM_UNIFORM": (2, 0)
    }  # fmt: skip
    with pytest.raises(InputError, match="draws random numbers"):
        load_model(path, {}, "model")
