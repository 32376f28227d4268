"""How far rounding moves answers is known of models too whose inputs are integers: by their weights."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("tvm")

from tests.support.run_import import run_import
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.judging.reference import check_import, reference_of
from tvm_farm.tracker.tuning.models.importers import load_model

pytestmark = pytest.mark.system


@pytest.fixture
def nearly_nothing(tmp_path):
    """Rows of a table times a matrix, less themselves times the same matrix in another order, made large."""
    random = np.random.default_rng(4)
    table, weights = (random.standard_normal(shape).astype(np.float32) for shape in ((50, 256), (256, 64)))
    order = random.permutation(256)
    constants = {"table": table, "other": table[:, order], "w": weights, "v": weights[order], "many": np.float32(1e4)}
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["a"]),
        helper.make_node("Gather", ["other", "ids"], ["b"]),
        helper.make_node("MatMul", ["a", "w"], ["p"]),
        helper.make_node("MatMul", ["b", "v"], ["q"]),
        helper.make_node("Sub", ["p", "q"], ["d"]),
        helper.make_node("Mul", ["d", "many"], ["m"]),
        helper.make_node("Exp", ["m"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, (8,))],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    path = tmp_path / "m.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(made.SerializeToString())
    return load_model(path, {}, "m")


def test_weights_a_step_away_tell_it(nearly_nothing):
    ids = [np.arange(8)]
    reference = reference_of(nearly_nothing, ids, "random inputs")
    assert reference.expected is not None
    assert 0 < reference.floors[0] <= 0.05 * float(np.abs(reference.expected[0]).max())
    assert check_import(nearly_nothing, reference, run_import, "m").equal


def test_a_wrong_answer_is_found_all_the_same(nearly_nothing):
    reference = reference_of(nearly_nothing, [np.arange(8)], "random inputs")
    with pytest.raises(InputError, match="answers differently than ONNX Runtime"):
        check_import(nearly_nothing, reference, lambda model, x: [1.5 * y for y in run_import(model, x)], "m")
