"""What an operator runs on: arrays of a file, of a function beside it; and which operators are refused, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tvm")

from tests.support.integer_operators import INTEGER_OPERATORS, line_of
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.judging.inputs import read_arrays
from tvm_farm.tracker.tuning.judging.operator_inputs import arrays_of_kernels
from tvm_farm.tracker.tuning.models.operator import load_operator


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "op.py"
    path.write_text(INTEGER_OPERATORS)
    return path


def test_a_function_beside_it_makes_its_inputs_with_the_parameters_that_it_takes(file: Path) -> None:
    operator = load_operator(file, "chosen", {"N": "5"})
    assert operator.inputs is not None
    expected = np.random.default_rng(7).integers(0, 100, 5).astype("int32")
    np.testing.assert_array_equal(operator.inputs(7)["which"], expected)
    assert operator.inputs_label == f"op.py:{line_of('def chosen_inputs')}: chosen_inputs"
    assert load_operator(file, "rows", {}).inputs is None


def test_it_is_no_operator_itself(file: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_operator(file, "nothing", {})
    there = str(caught.value).partition("it has ")[2].rstrip(".").split(", ")
    assert "chosen" in there
    assert "chosen_inputs" not in there


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("raises", "return 1 // 0", "ZeroDivisionError: integer division or modulo by zero."),
        ("gives_none", "def gives_none_inputs", "gives_none_inputs returned None: return a dict of arrays"),
        ("gives_text", "def gives_text_inputs", "returned a str as which, which is no array of numbers."),
        (
            "gives_another_shape",
            "def gives_another_shape_inputs",
            "which has shape (3,); gives_another_shape takes",
        ),
        ("gives_another_name", "def gives_another_name_inputs", "has an array 'witch' that no argument is called: "),
    ],
)
def test_one_at_fault_is_told_with_its_line(file: Path, name: str, line: str, said: str) -> None:
    operator = load_operator(file, name, {})
    assert operator.inputs is not None
    with pytest.raises(InputError) as caught:
        arrays_of_kernels(operator.inputs(0), operator.kernels, operator.inputs_label)
    sentence = str(caught.value)
    assert sentence.startswith(f"op.py:{line_of(line)}: "), sentence
    assert said in sentence
    assert sentence.endswith(".")


def test_an_array_goes_to_each_kernel_that_has_such_an_argument_or_to_the_one_that_is_named(file: Path) -> None:
    kernels = load_operator(file, "Two", {}).kernels
    a, b = np.arange(8, dtype=np.float32), np.arange(4, dtype=np.float32)
    found = arrays_of_kernels({"a": a, "half.a": b}, kernels, "mine")
    assert {name: list(arrays) for name, arrays in found.items()} == {"double": [0], "half": [0]}
    np.testing.assert_array_equal(found["double"][0], a)
    np.testing.assert_array_equal(found["half"][0], b)
    with pytest.raises(InputError, match=r"^mine: a has shape \(8,\); half takes \(4,\)\.$"):
        arrays_of_kernels({"a": a}, kernels, "mine")
    with pytest.raises(
        InputError, match=r"^mine has an array 'c' that no.*: double takes a, out; half takes a, out\.$"
    ):
        arrays_of_kernels({"half.a": b, "c": b}, kernels, "mine")


def test_arguments_of_one_name_are_told_apart(file: Path) -> None:
    [kernel] = load_operator(file, "same_names", {}).kernels
    assert [info.name for info in kernel.arguments] == ["A", "A_1", "C"]


def test_values_that_the_dtype_cannot_hold_are_refused(file: Path) -> None:
    kernels = load_operator(file, "chosen", {}).kernels
    with pytest.raises(InputError, match="values that int32 cannot hold"):
        arrays_of_kernels({"which": np.full(8, 2**40)}, kernels, "mine")
    with pytest.raises(InputError, match="is float64; chosen takes int32"):
        arrays_of_kernels({"which": np.zeros(8)}, kernels, "mine")


def test_a_file_that_is_no_npz_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"^my file is no NPZ file that numpy reads"):
        read_arrays(tmp_path / "x.npz", "my file")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("found", "found is an extern kernel, which runs as its author wrote it: there is nothing to schedule."),
        ("best", "best is an extern kernel, which runs as its author wrote it: there is nothing to schedule."),
        ("summed", "summed is an extern kernel, which runs as its author wrote it: there is nothing to schedule."),
        ("gaps", "gaps takes A with strides (16, 1), and boards call kernels with tensors without gaps."),
        ("scanned", "scanned uses te.scan, of which TVM 0.27"),
    ],
)
def test_what_cannot_be_tuned_is_refused_for_what_it_is(file: Path, name: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load_operator(file, name, {})
    assert str(caught.value).startswith(f"op.py:{line_of(f'def {name}(')}: {said}"), str(caught.value)
