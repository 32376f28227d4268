"""Operators on constants alone become constants, with the values that TVM would have computed."""

import numpy as np
import pytest

tvm = pytest.importorskip("tvm")

from tvm import relax  # noqa: E402

from tvm_farm.tracker.tuning.models.constants import fold_constants  # noqa: E402

pytestmark = pytest.mark.system

X = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
TABLE = {
    "add": (lambda x: relax.op.add(x, relax.const(X)), X + X),
    "add a scalar": (lambda x: relax.op.add(x, relax.prim_value(tvm.tirx.FloatImm("float32", 0.5))), X + 0.5),
    "astype": (lambda x: relax.op.astype(x, "float64"), X.astype("float64")),
    "broadcast_to": (lambda x: relax.op.broadcast_to(x, (2, 2, 3)), np.broadcast_to(X, (2, 2, 3))),
    "divide": (lambda x: relax.op.divide(x, relax.const(X + 1)), X / (X + 1)),
    "expand_dims": (lambda x: relax.op.expand_dims(x, [0, 3]), X[None, :, :, None]),
    "flatten": (relax.op.flatten, X.reshape(-1)),
    "maximum": (lambda x: relax.op.maximum(x, relax.const(np.float32(3))), np.maximum(X, 3)),
    "minimum": (lambda x: relax.op.minimum(x, relax.const(np.float32(3))), np.minimum(X, 3)),
    "multiply": (lambda x: relax.op.multiply(x, relax.const(X)), X * X),
    "negative": (relax.op.negative, -X),
    "permute_dims": (lambda x: relax.op.permute_dims(x, [1, 0]), X.T),
    "permute all": (relax.op.permute_dims, X.T),
    "reshape": (lambda x: relax.op.reshape(x, (3, 2)), X.reshape(3, 2)),
    "rsqrt": (relax.op.rsqrt, 1 / np.sqrt(X)),
    "sqrt": (relax.op.sqrt, np.sqrt(X)),
    "squeeze": (lambda x: relax.op.squeeze(relax.op.expand_dims(x, 0), [0]), X),
    "subtract": (lambda x: relax.op.subtract(x, relax.const(X * 2)), X - X * 2),
}


def graph(build, input_shape=(2, 3)):
    """``main`` returns its input, and beside it what ``build`` makes of a constant."""
    builder = relax.BlockBuilder()
    y = relax.Var("y", relax.TensorType(input_shape, "float32"))
    with builder.function("main", [y]):
        with builder.dataflow():
            made = builder.emit(build(relax.const(X)))
            result = builder.emit_output(relax.op.add(relax.op.astype(made, "float32"), relax.const(np.float32(0))))
        builder.emit_func_output(result)
    return builder.get()


def calls(module) -> list[str]:
    values = [binding.value for block in module["main"].body.blocks for binding in block.bindings]
    return [value.op.name for value in values if isinstance(value, relax.Call)]


def returned(module) -> np.ndarray:
    built = relax.VirtualMachine(tvm.compile(module, tvm.target.Target("llvm")), tvm.cpu())
    return built["main"](tvm.runtime.tensor(X)).numpy()


@pytest.mark.parametrize("name", TABLE)
def test_an_operator_on_constants_is_computed_ahead(name):
    build, expected = TABLE[name]
    folded = fold_constants(graph(build))
    # What the model returns is computed in the graph; everything before it is gone.
    assert calls(folded) == ["relax.add"]
    np.testing.assert_allclose(returned(folded), expected.astype(np.float32), rtol=1e-6)


def test_what_depends_on_the_input_stays():
    builder = relax.BlockBuilder()
    y = relax.Var("y", relax.TensorType((2, 3), "float32"))
    with builder.function("main", [y]):
        with builder.dataflow():
            doubled = builder.emit(relax.op.multiply(relax.const(X), relax.const(np.float32(2))))
            summed = builder.emit(relax.op.add(y, doubled))
            result = builder.emit_output(relax.op.negative(summed))
        builder.emit_func_output(result)
    folded = fold_constants(builder.get())
    assert calls(folded) == ["relax.add", "relax.negative"]
    np.testing.assert_allclose(returned(folded), -(X + 2 * X), rtol=1e-6)


def test_integers_are_left_to_tvm():
    module = graph(lambda x: relax.op.divide(relax.const(np.array([-7, 7])), relax.const(np.array([2, 2]))))
    assert calls(fold_constants(module)) == calls(module)
