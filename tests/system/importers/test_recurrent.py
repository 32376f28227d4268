"""LSTM, GRU and RNN of ONNX: every form answers as ONNX Runtime does, or as ONNX's reference where that lacks it."""

import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.support.imported import answers, runtime_answers

tvm = pytest.importorskip("tvm")

pytestmark = pytest.mark.system
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
OUTPUTS = {"LSTM": ["Y", "Y_h", "Y_c"], "GRU": ["Y", "Y_h"], "RNN": ["Y", "Y_h"]}
STEPS, BATCH, INPUT, HIDDEN = 7, 3, 5, 6


def layer(
    op,
    *,
    steps=STEPS,
    batch=BATCH,
    hidden=HIDDEN,
    biased=True,
    states=False,
    lengths=None,
    peepholes=False,
    runtime=(),
    outputs=None,
    opset=14,
    dtype=np.float32,
    scale=1.0,
    **attributes,
):
    """Model and inputs. ``runtime``: names of inputs beside X that are no constants."""
    rng = np.random.default_rng(hidden)
    gates, first = GATES[op], attributes.get("layout", 0)
    ways = 2 if attributes.get("direction") == "bidirectional" else 1
    draw = lambda *shape: (rng.standard_normal(shape) * scale).astype(dtype)  # noqa: E731
    x = draw(batch, steps, INPUT) if first else draw(steps, batch, INPUT)
    state = (batch, ways, hidden) if first else (ways, batch, hidden)
    given = {
        "W": draw(ways, gates * hidden, INPUT),
        "R": draw(ways, gates * hidden, hidden),
        "B": draw(ways, 2 * gates * hidden) if biased else None,
        "sequence_lens": None if lengths is None else np.array(lengths, np.int32),
        "initial_h": draw(*state) if states else None,
    }
    if op == "LSTM":
        given |= {"initial_c": draw(*state) if states else None, "P": draw(ways, 3 * hidden) if peepholes else None}
    inputs = {"X": x, **{name: given[name] for name in runtime}}
    names = ["X", *(name if value is not None else "" for name, value in given.items())]
    wanted = OUTPUTS[op] if outputs is None else outputs
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [helper.make_node(op, names, wanted, hidden_size=hidden, **attributes)],
        "g",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for n, v in inputs.items()
        ],
        [helper.make_tensor_value_info(name, kind, None) for name in wanted if name],
        [numpy_helper.from_array(v, n) for n, v in given.items() if v is not None and n not in inputs],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), list(inputs.values())


def check(model, inputs, expected=None, rtol=1e-4, atol=1e-5):
    expected = runtime_answers(model, inputs) if expected is None else expected
    found = answers(model, inputs)
    assert [(v.shape, v.dtype) for v in found] == [(v.shape, v.dtype) for v in expected]
    for value, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, right, rtol=rtol, atol=atol)


FORMS = {
    "plain": {},
    "no bias": {"biased": False},
    "reverse from states": {"direction": "reverse", "states": True},
    "bidirectional from states": {"direction": "bidirectional", "states": True},
    "lengths": {"lengths": [4, 7, 1]},
    "lengths, reverse": {"lengths": [4, 7, 1], "direction": "reverse", "states": True},
    "lengths at run time, both ways": {
        "lengths": [2, 5, 7],
        "direction": "bidirectional",
        "states": True,
        "runtime": ("sequence_lens", "initial_h"),
    },
    "clip": {"clip": 0.4, "states": True},
    "one row, a rest of units": {"batch": 1, "hidden": 37},
    "four rows, a rest of units": {"batch": 4, "hidden": 37, "direction": "bidirectional"},
    "weights at run time": {"runtime": ("W", "R", "B"), "hidden": 19},
    "opset 7": {"opset": 7},
    "only the last state": {"outputs": ["", "Y_h"]},
    "only all states": {"outputs": ["Y"]},
    "one step": {"steps": 1, "states": True},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("op", GATES)
def test_a_layer_answers_as_onnx_runtime(op, form):
    check(*layer(op, **FORMS[form]))


LSTM_FORMS = {
    "peepholes": {"peepholes": True, "states": True},
    "peepholes both ways, with lengths": {"peepholes": True, "lengths": [3, 7, 6], "direction": "bidirectional"},
    "coupled gates": {"input_forget": 1, "states": True},
    "only the cell": {"outputs": ["", "", "Y_c"], "lengths": [3, 7, 6]},
    "peepholes at run time, clipped": {"peepholes": True, "runtime": ("P", "initial_c"), "states": True, "clip": 0.7},
}


@pytest.mark.parametrize("form", LSTM_FORMS)
def test_an_lstm_answers_as_onnx_runtime(form):
    check(*layer("LSTM", **LSTM_FORMS[form]))


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(
    "form", ["plain", "clip", "bidirectional from states", "lengths, reverse", "weights at run time"]
)
def test_a_gru_that_resets_after_its_product(form, biased):
    form = {**FORMS[form], "biased": biased}
    if not biased and "runtime" in form:
        form["runtime"] = ("W", "R")
    check(*layer("GRU", linear_before_reset=1, **form))


ACTIVATIONS = {
    "Affine": {"activation_alpha": [0.6], "activation_beta": [0.1]},
    "Elu": {"activation_alpha": [0.7]},
    "HardSigmoid": {"activation_alpha": [0.3], "activation_beta": [0.4]},
    "LeakyRelu": {"activation_alpha": [0.2]},
    "Relu": {},
    "ScaledTanh": {"activation_alpha": [1.2], "activation_beta": [0.8]},
    "Sigmoid": {},
    "Softplus": {},
    "Softsign": {},
    "Tanh": {},
    "ThresholdedRelu": {"activation_alpha": [0.5]},
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_with_numbers_of_its_own(name):
    check(*layer("RNN", activations=[name], scale=0.5, **ACTIVATIONS[name]))


@pytest.mark.parametrize("name", ["HardSigmoid", "LeakyRelu", "Elu"])
def test_activations_have_the_defaults_of_their_operators(name):
    check(*layer("RNN", activations=[name], scale=0.5))


def test_activations_take_their_numbers_in_turn_and_differ_by_direction():
    names = ["HardSigmoid", "ScaledTanh", "Tanh", "Sigmoid", "LeakyRelu", "Softsign"]
    numbers = {"activation_alpha": [0.3, 1.1, 0.05], "activation_beta": [0.45, 0.9]}
    check(*layer("LSTM", direction="bidirectional", activations=names, scale=0.5, **numbers))


def test_far_arguments_saturate_and_nan_stays_nan():
    model, (x,) = layer("LSTM", outputs=["Y"])
    x[0, 0], x[0, 1], x[2, 2, 0] = 1e4, -1e4, np.nan
    (found,), (expected,) = answers(model, [x]), runtime_answers(model, [x])
    # ONNX Runtime makes numbers of NaN. By the formula the row has none from there on.
    expected[2:, 0, 2] = np.nan
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("op", GATES)
def test_the_batch_comes_first(op):
    # ONNX Runtime refuses layout 1: by the definition its answers are those of layout 0, transposed.
    ways = {"direction": "bidirectional", "states": True, "lengths": [4, 7, 1]}
    model, inputs = layer(op, layout=1, **ways)
    twin, _ = layer(op, **ways)
    kept = {tensor.name: tensor for tensor in model.graph.initializer}
    for tensor in twin.graph.initializer:
        value = numpy_helper.to_array(kept[tensor.name])
        if tensor.name.startswith("initial"):
            value = value.transpose(1, 0, 2)
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))
    y, *states = runtime_answers(twin, [np.ascontiguousarray(inputs[0].transpose(1, 0, 2))])
    check(model, inputs, [y.transpose(2, 0, 1, 3), *(state.transpose(1, 0, 2) for state in states)])


def test_float64_is_computed_as_such():
    # ONNX Runtime has none. ONNX's reference knows the plain LSTM.
    model, inputs = layer("LSTM", dtype=np.float64, batch=2, outputs=["Y", "Y_h"])
    check(model, inputs, ReferenceEvaluator(model).run(None, {"X": inputs[0]}), rtol=1e-10, atol=1e-12)


def test_float16_is_rounded_once():
    model, (x,) = layer("GRU", dtype=np.float16, scale=0.5)
    wide, _ = layer("GRU", dtype=np.float32, scale=0.5)
    for tensor, short in zip(wide.graph.initializer, model.graph.initializer, strict=True):
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(short).astype(np.float32), tensor.name))
    expected = [value.astype(np.float16) for value in runtime_answers(wide, [x.astype(np.float32)])]
    check(model, [x], expected, rtol=2e-3, atol=1e-3)


REFUSED = {
    "an activation unknown": (layer("RNN", activations=["Swish"]), "ONNX has no activation Swish"),
    "too few activations": (layer("GRU", activations=["Tanh"]), "it has 1 activations in place of 2"),
    "a size that contradicts": (layer("RNN", lengths=[9, 1, 1]), "its sequence_lens"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_by_node(what):
    from tvm_farm.tracker.tuning.errors import InputError

    (model, inputs), reason = REFUSED[what]
    with pytest.raises(InputError, match=rf"node number 0 \((RNN|GRU)\): {reason}"):
        answers(model, inputs)


@pytest.mark.parametrize("op", GATES)
def test_a_layer_is_one_kernel_and_one_product_however_long(op, tmp_path):
    import onnx

    from tvm_farm.tracker.tuning.models.graph import lower, tasks_of, with_schedules
    from tvm_farm.tracker.tuning.models.importers import load_model

    model, _ = layer(op, steps=300, hidden=16)
    onnx.save(model, tmp_path / "model.onnx")
    target = tvm.target.Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v3", "num-cores": 2})
    lowered = lower(load_model(tmp_path / "model.onnx", {}, "model").module, target)
    kernels = [str(name.name_hint) for name in lowered.module.get_global_vars() if name.name_hint != "main"]
    assert len(kernels) == 2
    assert op.lower() in kernels
    # The product is tuned; the recurrence has nothing to choose and stays as it is.
    assert [task.name for task in tasks_of(lowered, target)] == [name for name in kernels if name != op.lower()]
    tuned = with_schedules(lowered.module, target, {})
    assert op.lower() in [str(name.name_hint) for name in tuned.get_global_vars()]
