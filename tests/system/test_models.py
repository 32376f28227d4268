"""ONNX files through TVM: what is folded, what is refused, and that the answers are ONNX Runtime's."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm_ffi
from onnx import TensorProto, helper, numpy_helper

from tests.support.networks import small_network
from tests.support.onnx_bytes import load_onnx
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.light import light_network

tvm = pytest.importorskip("tvm")

from tvm_farm.tracker.tuning.building.builder import build_model  # noqa: E402
from tvm_farm.tracker.tuning.models.graph import lower, tasks_of, with_schedules  # noqa: E402
from tvm_farm.tracker.tuning.packages.package import save_params  # noqa: E402

pytestmark = pytest.mark.system
TARGET = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2", "num-cores": 2}


def run_tvm(model: bytes, inputs: list[np.ndarray], folder: Path) -> np.ndarray:
    """``model`` compiled untuned and run in this process through its library and parameter file."""
    target = tvm.target.Target(TARGET)
    lowered = lower(load_onnx(model, {}, "model").module, target)
    (folder / "model.so").write_bytes(build_model(lowered.module, target))
    save_params(lowered.params, folder / "params.bin")
    machine = tvm.runtime.load_module(str(folder / "model.so"))["vm_load_executable"]()
    machine["vm_initialization"](1, 0, 2)
    params = tvm.get_global_func("runtime.LoadParamsFromFile")(str(folder / "params.bin"))
    result = machine["main"](*map(tvm.runtime.tensor, inputs), *[params[name] for name in lowered.params])
    return result.numpy()


def run_onnx(model: bytes, inputs: list[np.ndarray]) -> np.ndarray:
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, quiet, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: x for i, x in zip(session.get_inputs(), inputs, strict=True)})[0]


@pytest.mark.parametrize("name", ["light_squeezenet", pytest.param("light_shufflenet", marks=pytest.mark.slow)])
def test_a_real_network_answers_as_onnx_runtime(name, tmp_path):
    model = light_network(name, seed=7)
    x = np.random.default_rng(1).random((1, 3, 224, 224), dtype=np.float32)
    expected = run_onnx(model, [x])
    assert expected.std() > 0, "a network that answers the same for every class proves nothing"
    np.testing.assert_allclose(run_tvm(model, [x], tmp_path), expected, rtol=1e-3, atol=1e-5)


def test_the_known_answer_of_the_onnx_package(tmp_path):
    folder = Path(onnx.__file__).parent / "backend/test/data/light"
    x = (np.arange(3 * 224 * 224, dtype=np.float32) / (3 * 224 * 224)).reshape(1, 3, 224, 224)
    known = numpy_helper.to_array(onnx.load_tensor(folder / "light_squeezenet_output_0.pb"))
    got = run_tvm((folder / "light_squeezenet.onnx").read_bytes(), [x], tmp_path)
    np.testing.assert_allclose(got, known, rtol=1e-4, atol=1e-6)


def operators(module) -> list[str]:
    bindings = [binding for block in module["main"].body.blocks for binding in block.bindings]
    return [binding.value.op.name for binding in bindings if hasattr(binding.value, "op")]


def test_constants_are_folded_dropout_vanishes_and_sum_becomes_additions():
    graph = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["shape"], ["w"], value=helper.make_tensor("v", 1, [1], [0.5])),
            helper.make_node("Identity", ["x"], ["same"]),
            helper.make_node("Sum", ["same", "w", "x"], ["sum"]),
            helper.make_node("Dropout", ["sum"], ["dropped"]),
            helper.make_node("Relu", ["dropped"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [numpy_helper.from_array(np.array([2, 3], dtype=np.int64), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    imported = load_onnx(model.SerializeToString(), {}, "sums")
    assert operators(imported.module) == ["relax.add", "relax.add", "relax.nn.relu"]
    assert [i.name for i in imported.inputs] == ["x"]
    assert imported.outputs[0].shape == (2, 3)


def test_batch_normalization_is_folded_into_the_convolution(tmp_path):
    random = np.random.default_rng(0)
    statistics = [numpy_helper.from_array(random.random(8).astype(np.float32) + 0.5, name) for name in "sbmv"]
    weights = numpy_helper.from_array(random.standard_normal((8, 3, 3, 3)).astype(np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"]),
            helper.make_node("Relu", ["n"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 6, 6])],
        [weights, *statistics],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    target = tvm.target.Target(TARGET)
    lowered = lower(load_onnx(model, {}, "normalized").module, target)
    assert sorted(t.name for t in tasks_of(lowered, target)) == ["fused_conv2d_add_relu", "fused_transpose_reshape"]
    x = random.random((1, 3, 8, 8), dtype=np.float32)
    np.testing.assert_allclose(run_tvm(model, [x], tmp_path), run_onnx(model, [x]), rtol=1e-4, atol=1e-5)


def test_the_same_model_gives_the_same_tasks_in_the_same_order():
    target = tvm.target.Target(TARGET)
    lowered = [lower(load_onnx(small_network(seed=3), {}, "small").module, target) for _ in range(2)]
    first, second = ([(t.name, t.workload.key, t.weight) for t in tasks_of(one, target)] for one in lowered)
    assert first == second
    assert all(task.workload.flops >= 0 for task in tasks_of(lowered[0], target))


def test_no_schedules_leave_the_module_as_it_is():
    target = tvm.target.Target(TARGET)
    lowered = lower(load_onnx(small_network(seed=3), {}, "small").module, target)
    assert tvm_ffi.structural_equal(with_schedules(lowered.module, target, {}), lowered.module)


def one_node(operator: str, *, domain: str = "", shape=(1, 4), **attributes) -> bytes:
    opsets = [helper.make_opsetid("", 13)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], domain=domain, **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(shape))],
    )
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


@pytest.mark.parametrize(
    ("model", "shapes", "sentence"),
    [
        pytest.param(b"not a model at all", {}, "m is damaged, or no model that the farm", id="foreign bytes"),
        pytest.param(b"", {}, "m is no model that the farm takes (ONNX, TFLite", id="empty"),
        pytest.param(one_node("Relu")[:-20], {}, "m is damaged", id="cut short"),
        pytest.param(
            one_node("Hardmax2"), {}, "node number 0 (Hardmax2): this operator does not exist", id="no such operator"
        ),
        pytest.param(
            one_node(
                "TfIdfVectorizer",
                mode="TF",
                max_gram_length=1,
                min_gram_length=1,
                max_skip_count=0,
                ngram_counts=[0],
                ngram_indexes=[0],
            ),
            {},
            "number 0 (TfIdfVectorizer): it looks n-grams up",
            id="not of tensors",
        ),
        pytest.param(one_node("Frobnicate", domain="com.acme"), {}, "com.acme.Frobnicate", id="foreign operator"),
        pytest.param(one_node("Relu", shape=("n", 4)), {}, "input x has open dimensions (n,4)", id="open dimension"),
        pytest.param(one_node("Relu"), {"z": [1]}, "no input named z; its inputs are: x", id="shape of no input"),
        pytest.param(one_node("Relu"), {"x": [2, 4]}, "--shape x=2,4 differs", id="contradicting shape"),
        pytest.param(one_node("Relu", shape=("n", 4)), {"x": [-1, 4]}, "negative", id="negative dimension"),
        pytest.param(one_node("Relu", shape=("n", 4)), {"x": [4]}, "--shape x=4 differs", id="wrong rank"),
    ],
)
def test_bad_input_is_one_sentence(model, shapes, sentence):
    with pytest.raises(InputError) as caught:
        load_onnx(model, shapes, "m")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_open_dimension_can_be_fixed():
    imported = load_onnx(one_node("Relu", shape=("n", 4)), {"x": [3, 4]}, "m")
    assert imported.inputs[0].shape == imported.outputs[0].shape == (3, 4)


def branching_model() -> bytes:
    """``If`` whose branches read the result of an Identity outside of them."""

    def branch(operator: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 4])
        return helper.make_graph([helper.make_node(operator, ["same"], ["out"])], operator, [], [out])

    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("If", ["condition"], ["y"], then_branch=branch("Relu"), else_branch=branch("Neg")),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4]),
            helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def test_of_an_unknown_condition_both_branches_are_computed_and_one_is_chosen(tmp_path):
    x = np.array([[1.0, -2.0, 3.0, -4.0]], dtype=np.float32)
    for condition in (True, False):
        inputs, folder = [x, np.array(condition)], tmp_path / str(condition)
        folder.mkdir()  # a library that is loaded must not be overwritten
        np.testing.assert_array_equal(run_tvm(branching_model(), inputs, folder), run_onnx(branching_model(), inputs))


def test_another_domains_identity_is_not_taken_for_onnxs():
    with pytest.raises(InputError, match=r"node number 0 \(com\.acme\.Identity\): neither the farm nor TVM"):
        load_onnx(one_node("Identity", domain="com.acme"), {}, "m")


def test_a_dropout_in_training_mode_is_refused_and_not_computed():
    graph = helper.make_graph(
        [
            helper.make_node("Dropout", ["c", "ratio", "training"], ["d"]),
            helper.make_node("Add", ["x", "d"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
        [
            numpy_helper.from_array(np.ones(4, dtype=np.float32), "c"),
            numpy_helper.from_array(np.array(0.5, dtype=np.float32), "ratio"),
            numpy_helper.from_array(np.array(True), "training"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with pytest.raises(InputError, match=r"node number 0 \(Dropout\): it is in training mode"):
        load_onnx(model.SerializeToString(), {}, "m")
