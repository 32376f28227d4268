"""What integers that a kernel takes may be: derived from how they are used, by hand beside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

pytest.importorskip("tvm")

import tvm
from onnx import TensorProto, helper
from tvm import te, tirx, topi

from tests.support.onnx_bytes import load_onnx
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.judging.kernel_inputs import kernel_inputs
from tvm_farm.tracker.tuning.models.graph import flops_of, lower, tasks_of
from tvm_farm.tracker.tuning.models.index_ranges import value_ranges

E = te.placeholder((100, 8), "float32", name="E")
I = te.placeholder((5,), "int64", name="I")  # noqa: E741
J = te.placeholder((5,), "int64", name="J")
Index = Callable[[tvm.ir.Expr], tvm.ir.Expr]


def ranges(*tensors: te.Tensor) -> dict[str, tuple[int, int]]:
    """By the arguments' names; (0, 0) of one that nobody knows."""
    function = te.create_prim_func(list(tensors))
    found = value_ranges(function).items()
    return {function.params[at].name: (each.low, each.high) if each.proven else (0, 0) for at, each in found}


def rows(index: Index) -> te.Tensor:
    return te.compute((5, 8), lambda i, j: E[index(i), j], name="rows")


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        pytest.param(lambda i: I[i], (0, 100), id="as it is"),
        pytest.param(lambda i: I[i].astype("int32"), (0, 100), id="as another integer"),
        pytest.param(lambda i: I[i] - 1, (1, 100), id="counted from one"),
        pytest.param(lambda i: I[i] * 2 + 1, (0, 50), id="every other row"),
        pytest.param(lambda i: I[i] + i, (0, 96), id="beside the loop"),
        pytest.param(lambda i: tirx.Select(I[i] < 0, I[i] + 100, I[i]), (0, 100), id="from the end where negative"),
        pytest.param(lambda i: tirx.min(tirx.max(I[i], 0), 99), (0, 100), id="clamped"),
        pytest.param(lambda i: I[i] * I[i] - 7, (0, 0), id="nobody knows"),
    ],
)
def test_an_index_stays_within_its_tensor(index: Index, expected: tuple[int, int]) -> None:
    assert ranges(E, I, rows(index)) == {"I": expected}


def test_it_is_followed_through_what_is_computed_on_the_way() -> None:
    later = te.compute((5,), lambda i: I[i] + 1, name="later")
    assert ranges(E, I, rows(lambda i: later[i])) == {"I": (0, 99)}
    k = te.reduce_axis((0, 5), name="k")
    total = te.compute((1,), lambda _: te.sum(I[k], axis=k), name="total")
    assert ranges(E, I, rows(lambda i: total[0])) == {"I": (0, 0)}


def test_two_that_index_together_stay_within_it_together() -> None:
    found = ranges(E, I, J, rows(lambda i: I[i] + J[i]))
    assert found["I"][1] - 1 + found["J"][1] - 1 < 100


@pytest.mark.parametrize("guard", [lambda c, a, b: tirx.if_then_else(c, a, b), tirx.Select], ids=["if", "select"])
def test_a_condition_is_known_where_it_holds(guard: Callable[..., tvm.ir.Expr]) -> None:
    def value(i: tirx.Var, j: tirx.Var) -> tvm.ir.Expr:
        return guard(tirx.all(I[i] >= 3, I[i] < 50), E[I[i] - 3, j], tirx.const(0, "float32"))

    assert ranges(E, I, te.compute((5, 8), value)) == {"I": (0, 100)}


def test_a_divisor_is_not_0() -> None:
    divided = te.compute((5,), lambda i: tirx.floordiv(I[i], J[i]), name="q")
    assert ranges(I, J, divided) == {"J": (1, 10)}
    assert ranges(I, J, te.compute((5,), lambda i: tirx.truncmod(I[i], J[i] + 1), name="q")) == {"J": (0, 10)}
    never = te.compute((5,), lambda i: tirx.floordiv(I[i], J[i] * (J[i] - 1)), name="q")
    assert ranges(I, J, never) == {"J": (0, 0)}


def test_what_neither_indexes_nor_divides_may_be_anything() -> None:
    assert ranges(I, J, te.compute((5,), lambda i: I[i] * J[i])) == {}
    assert ranges(E, topi.nn.softmax(E)) == {}


def csr(rows: int, columns: int, width: int, stored: int) -> list[te.Tensor]:
    """Sparse rows times dense columns."""
    pointers = te.placeholder((rows + 1,), "int32", name="pointers")
    places = te.placeholder((stored,), "int32", name="places")
    values = te.placeholder((stored,), "float32", name="values")
    dense = te.placeholder((columns, width), "float32", name="dense")

    def element(i: tirx.Var, j: tirx.Var) -> tvm.ir.Expr:
        r = te.reduce_axis((0, pointers[i + 1] - pointers[i]), name="r")
        return te.sum(values[pointers[i] + r] * dense[places[pointers[i] + r], j], axis=r)

    return [pointers, places, values, dense, te.compute((rows, width), element, name="out")]


def test_row_pointers_ascend_from_the_first_element_to_the_last() -> None:
    module = tvm.IRModule({"main": te.create_prim_func(csr(6, 30, 4, 20))})
    inputs = kernel_inputs(module)
    assert inputs.values.keys() == {0, 1}
    pointers, places = inputs.values[0], inputs.values[1]
    assert (pointers[0], pointers[-1], pointers.dtype) == (0, 20, np.int32)
    assert np.all(np.diff(pointers) >= 0)
    assert np.all((places >= 0) & (places < 30))
    assert len(np.unique(places)) > 5
    assert flops_of(module) == 0, "how many there are depends on the pointers"


def test_small_values_travel_with_each_trial_and_large_ones_in_a_file() -> None:
    def of(count: int) -> tvm.IRModule:
        index = te.placeholder((count,), "int64", name="I")
        return tvm.IRModule({"main": te.create_prim_func([E, index, te.compute((count,), lambda i: E[index[i], 0])])})

    small, large = kernel_inputs(of(8)), kernel_inputs(of(4096))
    assert small.arguments[1].data == small.values[1].tobytes()
    assert small.params == {}
    assert (large.arguments[1].data, large.arguments[1].fill_seed) == (None, None)
    assert list(large.params) == [large.arguments[1].param]
    np.testing.assert_array_equal(large.params["argument 1"].numpy(), large.values[1])
    assert small.arguments[0].fill_seed is not None
    assert small.digest != large.digest
    assert kernel_inputs(of(8)).digest == small.digest


def test_given_values_are_taken_and_those_that_index_what_is_not_there_refused() -> None:
    module = tvm.IRModule({"main": te.create_prim_func([E, I, rows(lambda i: I[i])])})
    given = np.array([99, 0, 1, 2, 3])
    inputs = kernel_inputs(module, {1: given})
    assert inputs.arguments[1].data == given.tobytes()
    assert inputs.ranges == {}
    with pytest.raises(InputError, match=r"^I\[2\] is 100, and it indexes a dimension of 100\.$"):
        kernel_inputs(module, {1: np.array([0, 1, 100, 2, 3])})


def test_the_kernels_of_a_model_get_indices_within_their_tables() -> None:
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "tokens"], ["y"])],
        "embedding",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 8])],
        [helper.make_tensor("table", TensorProto.FLOAT, [7, 8], np.arange(56, dtype=np.float32))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    target = tvm.target.Target("llvm")
    tasks = tasks_of(lower(load_onnx(model.SerializeToString(), {}, "embedding").module, target), target)
    [values] = [array for task in tasks for array in kernel_inputs(task.module).values.values()]
    assert values.size == 16
    assert np.all((values >= 0) & (values < 7))
    assert len(np.unique(values)) > 2
