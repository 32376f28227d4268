"""Files that ask for more than any worker has, or that are no whole models: one sentence, at once."""

from contextlib import suppress

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("tvm")

from tests.support.imported import answers, runtime_answers
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.judging.reference import reference_of
from tvm_farm.tracker.tuning.models.importers import load_model, survey_model

pytestmark = pytest.mark.system


def model(nodes, constants=None, shape=(4,), functions=()):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))


def refusal(made, tmp_path):
    """What `farm tune` says; `farm check` stops at the same thing."""
    path = tmp_path / "m.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(InputError) as told:
        load_model(path, {}, "m")
    with suppress(InputError):
        assert survey_model(path, {}, "m")[1] is None
    return str(told.value)


def added(node):
    return [node, helper.make_node("ReduceSum", ["a"], ["r"], keepdims=0), helper.make_node("Add", ["x", "r"], ["y"])]


TERABYTES = {
    "ConstantOfShape": (["s"], {"s": [1 << 40]}),
    "Range": (["b", "s", "d"], {"b": 0.0, "s": 1e12, "d": 1.0}),
    "Tile": (["x", "s"], {"s": [1 << 40]}),
    "Expand": (["c", "s"], {"c": np.zeros(1, np.float32), "s": [1 << 40]}),
    "Pad": (["x", "s"], {"s": [1 << 40, 0]}),
    "MatMul": (["c", "d"], {"c": np.zeros((1 << 17, 1), np.float32), "d": np.zeros((1, 1 << 17), np.float32)}),
}


@pytest.mark.parametrize("op", TERABYTES)
def test_a_value_of_terabytes_is_refused_before_it_is_made(op, tmp_path):
    inputs, constants = TERABYTES[op]
    constants = {k: np.array(v, np.int64 if isinstance(v, list) else np.float32) for k, v in constants.items()}
    told = refusal(model(added(helper.make_node(op, inputs, ["a"], name="big")), constants), tmp_path)
    assert told.startswith(f"m: node big ({op}): its output of shape (")
    assert told.endswith("takes more than 4 GiB, the most for one value.")


def test_an_input_of_terabytes_is_refused(tmp_path):
    made = model([helper.make_node("Relu", ["x"], ["y"])], shape=(1 << 62, 4))
    assert refusal(made, tmp_path) == f"m: input x of shape ({1 << 62}, 4) takes more than 4 GiB."


def test_a_loop_of_nothing_ends(tmp_path):
    given = [("i", TensorProto.INT64, []), ("c", TensorProto.BOOL, []), ("v", TensorProto.FLOAT, [4])]
    infos = [helper.make_tensor_value_info(*each) for each in given]
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=helper.make_graph([], "b", infos, infos[1:]))
    assert "more than 5000 nodes" in refusal(model([loop], {"n": np.array(10**9)}), tmp_path)


def test_a_body_without_one_of_its_outputs_is_told(tmp_path):
    given = [("i", TensorProto.INT64, []), ("c", TensorProto.BOOL, []), ("v", TensorProto.FLOAT, [4])]
    infos = [helper.make_tensor_value_info(*each) for each in given]
    lost = helper.make_tensor_value_info("lost", TensorProto.FLOAT, [4])
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=helper.make_graph([], "b", infos, [infos[1], lost]))
    told = refusal(model([loop], {"n": np.array(2)}), tmp_path)
    assert told == "m: node number 0 (Loop): nothing in its branch or body computes lost."


def function(name, *called):
    nodes = [helper.make_node(op, [f"v{at}"], [f"v{at + 1}"], domain=domain) for at, (op, domain) in enumerate(called)]
    return helper.make_function("own", name, ["v0"], [f"v{len(called)}"], nodes, [helper.make_opsetid("own", 1)])


def test_functions_that_call_each_other_in_a_ring_are_refused(tmp_path):
    ring = [function("f", ("g", "own")), function("g", ("f", "own"))]
    told = refusal(model([helper.make_node("f", ["x"], ["y"], domain="own")], functions=ring), tmp_path)
    assert told == "m: its function f calls itself, which ONNX does not allow."


def test_functions_that_double_forty_times_are_refused(tmp_path):
    doubled = [function(f"f{at}", *[(f"f{at + 1}", "own")] * 2) for at in range(40)]
    made = model(
        [helper.make_node("f0", ["x"], ["y"], domain="own")], functions=[*doubled, function("f40", ("Relu", ""))]
    )
    assert refusal(made, tmp_path) == "m: its functions, written out, are more than 200000 nodes."


@pytest.mark.parametrize("number", [0, 77])
def test_a_dtype_that_onnx_does_not_have_is_told(number, tmp_path):
    made = model([helper.make_node("Relu", ["x"], ["y"])])
    made.graph.input[0].type.tensor_type.elem_type = number
    assert refusal(made, tmp_path) == f"m: input x has dtype number {number}: ONNX has none."


def test_two_inputs_of_one_name_are_told(tmp_path):
    made = model([helper.make_node("Relu", ["x"], ["y"])])
    made.graph.input.append(made.graph.input[0])
    assert refusal(made, tmp_path) == "m has two inputs named x."


BEYOND = {
    "Gather": ({"i": [0, 9]}, "its index 9 lies beyond an axis of 4"),
    "GatherElements": ({"i": [0, -5]}, "its index -5 lies beyond an axis of 4"),
    "TopK": ({"i": [9]}, "it takes 9 of 4 elements"),
}


@pytest.mark.parametrize("op", BEYOND)
def test_what_reaches_beyond_the_data_is_refused(op, tmp_path):
    constants, reason = BEYOND[op]
    outputs = ["a", "places"][: 2 if op == "TopK" else 1]
    told = refusal(model(added(helper.make_node(op, ["x", "i"], outputs)), constants), tmp_path)
    assert told == f"m: node number 0 ({op}): {reason}."


@pytest.mark.parametrize(
    ("number", "divisor", "reason"),
    [
        (-(2**63), -1, f"it divides {-(2**63)} by -1, which int64 cannot hold"),
        (5, 0, "it divides integers by zero"),
    ],
)
def test_a_constant_division_without_an_answer_is_refused(number, divisor, reason, tmp_path):
    nodes = [helper.make_node("Div", ["n", "d"], ["q"]), helper.make_node("Cast", ["q"], ["a"], to=TensorProto.FLOAT)]
    made = model([nodes[0], *added(nodes[1])], {"n": np.array([number]), "d": np.array([divisor])})
    assert refusal(made, tmp_path) == f"m: node number 0 (Div): {reason}."


def test_an_error_of_tvm_names_its_operator_alone(tmp_path):
    made = model([helper.make_node("Add", ["x", "c"], ["y"])], {"c": np.zeros(3, np.float32)})
    told = refusal(made, tmp_path)
    assert "ir.Op(" not in told
    assert "relax.add" in told
    assert "4" in told
    assert "3" in told


def test_a_damaged_constant_is_told(tmp_path):
    made = model([helper.make_node("Add", ["x", "c"], ["y"])], {"c": np.zeros(4, np.float32)})
    made.graph.initializer[0].raw_data = bytes(15)
    assert refusal(made, tmp_path).startswith("m: its constant c is damaged: ")


def test_control_characters_of_names_reach_no_terminal(tmp_path):
    made = model([helper.make_node("Nothing", ["x"], ["y"], name="a\x1b[2J\x07")])
    told = refusal(made, tmp_path)
    assert told == r"m: node a\x1b[2J\x07 (Nothing): this operator does not exist in ONNX operator set 17."
    survey, _ = survey_model(tmp_path / "m.onnx", {}, "m")
    assert all("\x1b" not in str(obstacle) for obstacle in survey.obstacles)


def test_nodes_in_any_order_are_imported_as_onnx_runtime_runs_them():
    made = model([helper.make_node("Neg", ["a"], ["y"]), helper.make_node("Exp", ["x"], ["a"])])
    given = [np.float32([0, 1, 2, 3])]
    for found, right in zip(answers(made, given), runtime_answers(made, given), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-6)


def test_nodes_that_wait_for_each_other_are_refused(tmp_path):
    made = model([helper.make_node("Add", ["x", "y"], ["a"]), helper.make_node("Neg", ["a"], ["y"])])
    assert refusal(made, tmp_path) == "m: node number 0 (Add): it takes what is computed of its own output."


def test_a_model_that_cannot_run_a_rounding_step_away_is_judged_all_the_same(tmp_path):
    """Its inputs, cut to whole numbers, are the last places of a table; a step up they lie beyond it."""
    places = helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64)
    made = model([places, helper.make_node("Gather", ["t", "i"], ["y"])], {"t": np.float32([1, 2, 3, 4])}, shape=(64,))
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    given = np.full(64, np.nextafter(np.float32(4), np.float32(0)))
    reference = reference_of(load_model(tmp_path / "m.onnx", {}, "m"), [given], "the test")
    assert reference.expected is not None
    assert reference.expected[0].tolist() == [4.0] * 64


@pytest.mark.parametrize(
    ("node", "lacks"),
    [
        (helper.make_node("If", ["c"], ["a"], name="odd"), "else_branch"),
        (helper.make_node("Loop", ["n", "c", "x"], ["a"], name="odd"), "body"),
        (helper.make_node("Cast", ["x"], ["a"], name="odd"), "to"),
    ],
    ids=lambda value: getattr(value, "op_type", value),
)
def test_a_node_without_what_its_operator_needs_says_so(node, lacks, tmp_path):
    told = refusal(model(added(node), {"c": True, "n": np.int64(3)}), tmp_path)
    assert f"odd ({node.op_type}): it has no attribute {lacks}, which it needs" in told


def test_random_divisors_are_not_zero(tmp_path):
    """Of integers: ONNX Runtime dies of a division by 0."""
    names = ("x", "y")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["y"], ["d"]), helper.make_node("Div", ["x", "d"], ["q"])],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.INT64, (64,)) for name in names],
        [helper.make_empty_tensor_value_info("q")],
    )
    path = tmp_path / "m.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(made.SerializeToString())
    assert load_model(path, {}, "m").bounds == {"y": range(1, 10)}
