"""Models that end in shapes which depend on values: what the package gives, and what the tail makes of it."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

pytest.importorskip("tvm")

import tvm
from tvm import relax

from tests.support.imported import runtime_answers
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.graph import lower
from tvm_farm.tracker.tuning.models.importers import ImportedModel, load_model

pytestmark = pytest.mark.system


def imported(text: str, folder, **constants: np.ndarray) -> tuple[onnx.ModelProto, ImportedModel]:
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": 17, "local": 1]> {text}')
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.save(model, folder / "model.onnx")
    return model, load_model(folder / "model.onnx", {}, "model")


def through_the_tail(found: ImportedModel, inputs: list[np.ndarray]) -> dict[str, np.ndarray]:
    """All values at hand in the end: what the package gives, and what ONNX Runtime's tail makes of that."""
    target = tvm.target.Target("llvm")
    lowered = lower(found.module, target, as_written=True)
    machine = relax.VirtualMachine(relax.build(lowered.module, target), tvm.cpu())
    given = machine["main"](*map(tvm.runtime.tensor, inputs), *lowered.params.values())
    given = [given.numpy()] if hasattr(given, "numpy") else [each.numpy() for each in given]
    judged = found.judge.answers(inputs, [output.name for output in found.outputs])
    for one, other, told in zip(given, judged, found.outputs, strict=True):
        assert (one.shape, one.dtype.name) == (told.shape, told.dtype)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    hand = {told.name: value for told, value in zip((*found.inputs, *found.outputs), (*inputs, *given), strict=True)}
    session = onnxruntime.InferenceSession(found.tail, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    made = session.run(names, {each.name: hand[each.name] for each in session.get_inputs()})
    return hand | dict(zip(names, made, strict=True))


def check(text: str, folder, inputs: list[np.ndarray], gives: list[str], **constants: np.ndarray) -> ImportedModel:
    model, found = imported(text, folder, **constants)
    assert [output.name for output in found.outputs] == gives
    hand = through_the_tail(found, inputs)
    for output, expected in zip(model.graph.output, runtime_answers(model, inputs), strict=True):
        assert hand[output.name].dtype == expected.dtype
        np.testing.assert_allclose(hand[output.name], expected, rtol=1e-4, atol=1e-5)
    return found


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).normal(size=shape).astype(np.float32)


def test_a_detector_is_cut_before_its_suppression(tmp_path):
    text = """detector (float[1,20,4] b, float[1,2,20] s) => (int64[n,3] kept, float[m,4] chosen, float[1,2,20] scores)
        <int64[1] most = {5}, float[1] overlap = {0.5}, float[1] least = {0.3},
         int64[1] one = {1}, int64[1] two = {2}, int64[1] three = {3}>
    {
        scores = Sigmoid (s)
        boxes = Abs (b)
        kept = NonMaxSuppression (boxes, scores, most, overlap, least)
        column = Slice (kept, two, three, one)
        rows = Squeeze (column, one)
        flat = Squeeze (boxes)
        chosen = Gather (flat, rows)
    }"""
    found = check(text, tmp_path, [values(1, 20, 4), values(1, 2, 20)], ["scores", "boxes", "flat"])
    (note,) = found.notes
    assert "node number 2 (NonMaxSuppression)" in note
    assert "outputs kept, chosen" in note
    assert "tail.onnx" in note
    assert b"Sigmoid" not in found.tail


def test_a_tail_of_the_inputs_alone_is_told_so(tmp_path):
    text = """m (float[1,6,4] b, float[1,2,6] s) => (int64[n,3] kept, float[1,6,4] r)
        <int64[1] most = {5}, float[1] overlap = {0.5}, float[1] least = {0.3}>
    {
        kept = NonMaxSuppression (b, s, most, overlap, least)
        r = Relu (b)
    }"""
    (note,) = check(text, tmp_path, [values(1, 6, 4), values(1, 2, 6)], ["r"]).notes
    assert note.endswith("tail.onnx, run by ONNX Runtime, makes output kept from the model's inputs b, s alone.")


def test_known_values_and_inputs_go_along(tmp_path):
    # The tail takes the model's own input x beside the package's r, and holds the constant itself.
    text = """m (float[4,6] x) => (float[n] picked, float[4,6] r) {
        r = Relu (x)
        mask = Greater (r, limit)
        flags = Cast <to: int = 9> (mask)
        flat = Reshape (flags, all)
        picked = Compress (x, flat)
    }"""
    limit, everything = np.array(0.3, np.float32), np.array([-1])
    found = check(text, tmp_path, [values(4, 6)], ["r", "flat"], limit=limit, all=everything)
    assert "from the model's input x" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("m (float[4,6] x) => (int64[2,n] y) { r = Relu (x) y = NonZero (r) }", ["r"]),
        ("m (float[4,6] x) => (float[n] y, int64[n] i) { r = Round (x) y, i = Unique (r) }", ["r"]),
        (
            """m (float[4,6] x) => (float[4,n] y) {
                s = ReduceSum <keepdims: int = 0> (x)
                a = Abs (s)
                f = Clip (a, low, high)
                k = Cast <to: int = 7> (f)
                e = Unsqueeze (k, zero)
                y, i = TopK (x, e)
            }""",
            ["e"],
        ),
        (
            """m (float[4,6] x) => (float[n,6] y) {
                s = ReduceMax <keepdims: int = 0> (x)
                c = Greater (s, low)
                r = Relu (x)
                y = If (c) <then_branch = yes () => (float[4,6] a) { a = Identity (r) },
                            else_branch = no () => (float[8,6] b) { b = Concat <axis: int = 0> (r, r) }>
            }""",
            ["c", "r"],
        ),
    ],
)
def test_ends_of_several_kinds(text, gives, tmp_path):
    low, high, zero = np.array(1, np.float32), np.array(5, np.float32), np.array([0])
    check(text, tmp_path, [values(4, 6)], gives, low=low, high=high, zero=zero)


def test_a_known_mask_needs_no_cut(tmp_path):
    text = "m (float[4,6] x) => (float[2,6] y) { y = Compress <axis: int = 0> (x, mask) }"
    _, found = imported(text, tmp_path, mask=np.array([False, True, False, True]))
    assert not found.tail
    assert not found.notes
    assert found.outputs[0].shape == (2, 6)


def test_what_hangs_on_values_beside_the_way_to_an_output_is_no_matter(tmp_path):
    _, found = imported("m (float[4,6] x) => (float[4,6] y) { unused = NonZero (x) y = Relu (x) }", tmp_path)
    assert not found.tail


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "m (float[4,6] x) => (int64[2,n] y) { y = NonZero (x) }",
            r"number 0 \(NonZero\): .* there is nothing to tune",
        ),
        (
            """m (float[4,6] x) => (float[n,3] y) {
                r = Relu (x)
                flat = Reshape (r, all)
                c = Unique (flat)
                d = Unsqueeze (c, one)
                y = MatMul (d, w)
            }""",
            r"number 4 \(MatMul\): it works on values .* from node number 2 \(Unique\) on\. .* where no MatMul comes",
        ),
        (
            """m (float[4,6] x) => (int64[2,n] y) { y = local.f (x) }
               <domain: "local", opset_import: ["": 17]> f (a) => (b) { r = Relu (a) b = NonZero (r) }""",
            r"\(NonZero\): .* is made within a function",
        ),
    ],
)
def test_other_ends_are_refused(text, reason, tmp_path):
    with pytest.raises(InputError, match=reason):
        imported(text, tmp_path, all=np.array([-1]), one=np.array([1]), w=values(1, 3))


def test_inside_a_branch_it_is_refused_by_its_node(tmp_path):
    inner = helper.make_graph(
        [helper.make_node("NonZero", ["x"], ["b"], "inner")],
        "g",
        [],
        [helper.make_tensor_value_info("b", TensorProto.INT64, [2, None])],
    )
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)],
        "g",
        [helper.make_tensor_value_info("x", 1, [4, 6]), helper.make_tensor_value_info("c", 9, [])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [2, None])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"node inner \(NonZero\)"):
        load_model(tmp_path / "m.onnx", {}, "m")
