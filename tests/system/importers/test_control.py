"""If, Loop and Scan of ONNX, inputs fixed to a value, and ReverseSequence: answers are ONNX Runtime's."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from tests.support.imported import answers, runtime_answers

tvm = pytest.importorskip("tvm")

from tvm_farm.tracker.tuning.errors import InputError  # noqa: E402
from tvm_farm.tracker.tuning.models.importers import load_model  # noqa: E402
from tvm_farm.tracker.tuning.models.importers.onnx.node import MOST_REPEATED  # noqa: E402

pytestmark = pytest.mark.system
RNG = np.random.default_rng(5)


def draw(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def model(text, opset=16, ir_version=8):
    return parser.parse_model(f'<ir_version: {ir_version}, opset_import: ["": {opset}]>\n{text}')


def check(made, inputs, expected=None):
    found = answers(made, inputs)
    expected = runtime_answers(made, inputs) if expected is None else expected
    assert [(v.shape, v.dtype) for v in found] == [(v.shape, v.dtype) for v in expected]
    for value, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, right, rtol=1e-5, atol=1e-6)


COUNTED = """g (float[3] x) => (float[3] y, float[n,3] all) <int64 n = {3}, bool go = {1}> {
    y, all = Loop (n, go, x) <body = b (int64 i, bool c, float[3] v) => (bool d, float[3] w, float[3] s) {
        d = Identity(c)
        two = Constant<value = float {2}>()
        f = Cast<to = 1>(i)
        m = Mul(v, two)
        w = Add(m, f)
        s = Neg(w)
    }>
}"""
#: The condition is known at last: it says when the counter is 4.
UNTIL_FOUR = """g (float[2] x) => (float[2] y, float[n,2] all) <int64 n = {9}, bool go = {1}> {
    y, all = Loop (n, go, x) <body = b (int64 i, bool c, float[2] v) => (bool d, float[2] w, float[2] w2) {
        three = Constant<value = int64 {3}>()
        d = Less(i, three)
        w = Mul(v, v)
        w2 = Identity(w)
    }>
}"""
#: A while loop without a trip count.
WHILE = """g (float[2] x) => (float[2] y) <bool go = {1}, int64 zero = {0}> {
    y, k = Loop ("", go, x, zero) <body = b (int64 i, bool c, float[2] v, int64 j) => (bool d, float[2] w, int64 k) {
        one = Constant<value = int64 {1}>()
        k = Add(j, one)
        five = Constant<value = int64 {5}>()
        d = Less(k, five)
        w = Add(v, v)
    }>
}"""
#: What grows in a loop has another shape in every iteration; a name from outside; a loop in a loop.
GROWING = """g (float[1,2] x, float[1,2] z) => (float[4,2] y) <int64 n = {3}, int64 two = {2}> {
    y = Loop (n, "", x) <body = b (int64 i, bool c, float[a,2] v) => (bool d, float[b,2] w) {
        d = Identity(c)
        r = Loop (two, "", z) <body = b2 (int64 k, bool e, float[1,2] p) => (bool h, float[1,2] q) {
            h = Identity(e)
            f = Cast<to = 1>(i)
            o = Mul(p, z)
            q = Add(o, f)
        }>
        w = Concat<axis = 0>(v, r)
    }>
}"""
#: The condition is computed: until the sum is above a bound, seven times at most.
MASKED = """g (float[3] x) => (float[3] y, float[1] last)
    <int64 n = {7}, bool go = {1}, float bound = {20}, float[1] t = {0}> {
    y, last = Loop (n, go, x, t) <
        body = b (int64 i, bool c, float[3] v, float[1] u) => (bool d, float[3] w, float[1] s) {
        w = Add(v, v)
        s = ReduceSum(w)
        s0 = ReduceSum<keepdims = 0>(w)
        d = Less(s0, bound)
    }>
}"""


@pytest.mark.parametrize("text", [COUNTED, UNTIL_FOUR, WHILE])
def test_a_loop_of_known_length_is_written_out(text):
    made = model(text)
    check(made, [draw(*[dim.dim_value for dim in made.graph.input[0].type.tensor_type.shape.dim])])


def test_what_grows_in_a_loop_has_a_shape_of_its_own_in_each_iteration():
    check(model(GROWING), [draw(1, 2), draw(1, 2)])


@pytest.mark.parametrize("start", [0.01, 1.0, 4.0, 100.0])
def test_a_loop_that_ends_by_its_values_keeps_what_it_had(start):
    # It runs seven times and more, some times, twice, once.
    check(model(MASKED), [np.full(3, start, np.float32)])


def test_a_loop_of_no_iterations_gives_what_it_was_given_and_collects_nothing():
    made = model(COUNTED.replace("n = {3}", "n = {0}"))
    x = draw(3)
    check(made, [x], [x, np.zeros((0, 3), np.float32)])


REFUSED = {
    "collected": (
        MASKED.replace("=> (float[3] y, float[1] last)", "=> (float[3] y, float[m,1] last)")
        .replace("Loop (n, go, x, t)", "Loop (n, go, x)")
        .replace(", float[1] u) =>", ") =>"),
        r"\(Loop\): when it ends depends on the values of the model's inputs, and so does the shape of what it collects"
        r" \(--fix x=… fixes them\)\.",
    ),
    "endless": (MASKED.replace("Loop (n, go", 'Loop ("", go'), r"\(Loop\): when it ends .* has no highest trip count"),
    "reaches beyond": (
        MASKED.replace("w = Add(v, v)", "w0 = Add(v, v)\nk = Cast<to = 7>(v)\nw = Gather(w0, k)"),
        r"\(Loop\): when it ends .* its Gather may reach beyond its data after that",
    ),
    "divides": (
        MASKED.replace("w = Add(v, v)", "k = Cast<to = 7>(v)\nq = Div(k, k)\nw = Cast<to = 1>(q)"),
        r"\(Loop\): when it ends .* its Div may divide an integer by 0 after that",
    ),
    "too long": (
        COUNTED.replace("n = {3}", "n = {100000}"),
        rf"\(Loop\): written out, .* more than {MOST_REPEATED} nodes",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_loop_that_cannot_be_written_out_is_refused_in_a_sentence(what, tmp_path):
    text, reason = REFUSED[what]
    onnx.save(model(text), tmp_path / "m.onnx")
    with pytest.raises(InputError, match=reason):
        load_model(tmp_path / "m.onnx", {}, "m")


def scan(opset, **attributes):
    """A state, two inputs that are scanned, two outputs: one depends on constants of the body too."""
    body = parser.parse_graph("""b (float[2] s, float[2] a, float[2] c) => (float[2] t, float[2] u, float[2] v)
        <float[2] k = {0.5, -1.5}> {
            kk = Mul(k, k)
            sa = Mul(s, kk)
            t = Add(sa, a)
            u = Sub(t, c)
            v = Mul(a, k)
        }""")
    batched = opset < 9
    axes = attributes.get("scan_input_axes", [0, 0])
    shape = lambda axis: (2, 5, 2) if batched else ((5, 2) if axis % 2 == 0 else (2, 5))  # noqa: E731
    inputs = [draw(2, 2) if batched else draw(2), draw(*shape(axes[0])), draw(*shape(axes[1]))]
    names = ["s", "a", "c"]
    graph = helper.make_graph(
        [
            helper.make_node(
                "Scan",
                [*([""] if batched else []), *names],
                ["t", "u", "v"],
                body=body,
                num_scan_inputs=2,
                **attributes,
            )
        ],
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, x.shape) for n, x in zip(names, inputs, strict=True)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("t", "u", "v")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7), inputs


SCANS = {
    "plain": (11, {}),
    "version 9": (9, {}),
    "version 8, by batch": (8, {}),
    "version 8, one input from its end": (8, {"directions": [0, 1]}),
    "one input from its end": (16, {"scan_input_directions": [1, 0]}),
    "along other axes": (16, {"scan_input_axes": [1, 0], "scan_output_axes": [1, 0]}),
    "negative axes, outputs from their end": (
        11,
        {"scan_input_axes": [-1, -2], "scan_output_axes": [-1, 0], "scan_output_directions": [0, 1]},
    ),
}


@pytest.mark.parametrize("what", SCANS)
def test_a_scan_answers_as_onnx_runtime(what):
    opset, attributes = SCANS[what]
    check(*scan(opset, **attributes))


def test_a_long_scan_is_a_few_kernels_and_a_longer_one_refused_by_its_limit(tmp_path):
    from tvm_farm.tracker.tuning.models.graph import lower, tasks_of

    def saved(steps):
        made, _ = scan(11)
        for value in list(made.graph.input)[1:]:
            value.type.tensor_type.shape.dim[0].dim_value = steps
        onnx.save(made, tmp_path / f"{steps}.onnx")
        return tmp_path / f"{steps}.onnx"

    target = tvm.target.Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v3", "num-cores": 2})
    tasks = tasks_of(lower(load_model(saved(60), {}, "m").module, target), target)
    assert len(tasks) < 8
    assert max(task.weight for task in tasks) >= 60
    with pytest.raises(InputError, match=r"\(Scan\): written out, its 9000 steps of 4 nodes are more than"):
        load_model(saved(9000), {}, "m")


#: As voice detectors are made: a number of the input decides between two nets whose answers have unlike shapes.
BY_RATE = """g (float[1,8] x, int64 sr) => (float[1,n] y) <int64 high = {16000}> {
    wide = Equal(sr, high)
    y = If (wide) <
        then_branch = t () => (float[1,8] p) { p = Neg(x) },
        else_branch = e () => (float[1,4] q) {
            h = Constant<value = int64[1] {4}>()  z = Constant<value = int64[1] {0}>()
            a = Constant<value = int64[1] {1}>()  q = Slice(x, z, h, a) }
    >
}"""


@pytest.mark.parametrize("rate", [16000, 8000])
def test_an_input_fixed_to_a_value_decides_a_branch_and_is_no_input(rate, tmp_path):
    made, x = model(BY_RATE), draw(1, 8)
    onnx.save(made, tmp_path / "m.onnx")
    imported = load_model(tmp_path / "m.onnx", {}, "m", {"sr": np.array(rate)})
    (expected,) = runtime_answers(made, [x, np.array(rate, np.int64)])
    assert [info.name for info in imported.inputs] == ["x"]
    assert imported.outputs[0].shape == expected.shape == ((1, 8) if rate == 16000 else (1, 4))
    np.testing.assert_array_equal(imported.judge.answers([x], ["y"])[0], expected)


def test_branches_of_unlike_shapes_are_refused_with_the_remedy(tmp_path):
    onnx.save(model(BY_RATE), tmp_path / "m.onnx")
    with pytest.raises(
        InputError, match=r"\(If\): it gives float32\[1, 8\] or float32\[1, 4\].*\(--fix sr=… fixes them\)\."
    ):
        load_model(tmp_path / "m.onnx", {}, "m")


def test_a_branch_that_cannot_be_is_told_as_what_it_is(tmp_path):
    onnx.save(model(BY_RATE.replace("q = Slice(x, z, h, a)", "q = Unique(x)")), tmp_path / "m.onnx")
    with pytest.raises(
        InputError, match=r"its else_branch cannot be imported: node .* \(Unique\).*\(--fix sr=… fixes them\)\."
    ):
        load_model(tmp_path / "m.onnx", {}, "m")


@pytest.mark.parametrize("rate", [16000, 8000])
def test_branches_of_like_shapes_are_both_computed_and_said_to_be(rate, tmp_path):
    text = BY_RATE.replace("float[1,4] q", "float[1,8] q").replace("q = Slice(x, z, h, a)", "q = Exp(x)")
    made = model(text)
    check(made, [draw(1, 8), np.array(rate, np.int64)])
    onnx.save(made, tmp_path / "m.onnx")
    (note,) = load_model(tmp_path / "m.onnx", {}, "m").notes
    assert note == (
        "node number 1 (If): both of its branches are computed, since which one is taken depends on the values of the "
        "model's inputs (--fix sr=… fixes them)."
    )
    assert load_model(tmp_path / "m.onnx", {}, "m", {"sr": np.array(rate)}).notes == ()


FIXED_WRONG = {
    "no such input": ({"rate": np.array(1)}, r"m has no input named rate; its inputs are: x, sr\."),
    "another kind": ({"sr": np.array(0.5)}, r"m: input sr holds int64, and 0.5 is not of that kind\."),
    "another shape": (
        {"x": np.zeros((1, 9))},
        r"m: input x has shape \(1, 9\) where it is fixed, and \(1, 8\) in the file\.",
    ),
    "out of range": ({"sr": np.array(1e30)}, r"m: input sr holds int64, and 1e\+30 is not of that kind\."),
}


@pytest.mark.parametrize("what", FIXED_WRONG)
def test_a_value_that_contradicts_the_file_is_refused(what, tmp_path):
    onnx.save(model(BY_RATE), tmp_path / "m.onnx")
    fixed, reason = FIXED_WRONG[what]
    with pytest.raises(InputError, match=reason):
        load_model(tmp_path / "m.onnx", {}, "m", fixed)


def test_a_scalar_fills_the_shape_of_its_input(tmp_path):
    made, x = model("g (float[2,n] x, float[n] scale) => (float[2,n] y) { y = Mul(x, scale) }"), draw(2, 3)
    onnx.save(made, tmp_path / "m.onnx")
    imported = load_model(tmp_path / "m.onnx", {"x": (2, 3), "scale": (3,)}, "m", {"scale": np.array(3)})
    assert [info.name for info in imported.inputs] == ["x"]
    np.testing.assert_array_equal(imported.judge.answers([x], ["y"])[0], x * np.float32(3))


@pytest.mark.parametrize("dtype", ["float32", "int8", "float64"])
@pytest.mark.parametrize(("time", "batch"), [(0, 1), (1, 0)])
@pytest.mark.parametrize("known", [True, False])
def test_sequences_are_reversed_within_their_lengths(dtype, time, batch, known):
    x = (RNG.standard_normal((4, 4, 3)) * 20).astype(dtype)
    lengths = np.array([1, 4, 2, 3], np.int64)
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [helper.make_node("ReverseSequence", ["x", "l"], ["y"], time_axis=time, batch_axis=batch)],
        "g",
        [
            helper.make_tensor_value_info("x", kind, x.shape),
            *([] if known else [helper.make_tensor_value_info("l", TensorProto.INT64, [4])]),
        ],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(lengths, "l")] if known else [],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=8)
    check(made, [x] if known else [x, lengths])
