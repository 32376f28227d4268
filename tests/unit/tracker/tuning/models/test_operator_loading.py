"""A person's Python file and a name in it: which kernels it gives, and what is said of one at fault."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

pytest.importorskip("tvm")

from tests.support.operators import OPERATORS, line_of
from tvm_farm.tracker.tuning import foreign_code
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.operator import load_operator


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "op.py"
    path.write_text(OPERATORS)
    return path


MATMUL = [("a", (96, 96)), ("b", (96, 96)), ("bias", (96,)), ("out", (96, 96))]


@pytest.mark.parametrize(
    ("name", "parameters", "arguments", "dtype"),
    [
        ("matmul_bias", {}, MATMUL, "float32"),
        ("matmul_bias", {"N": "8"}, [("a", (8, 96)), *MATMUL[1:3], ("out", (8, 96))], "float32"),
        ("matmul_bias", {"dtype": "float16"}, MATMUL, "float16"),
        ("matmul_bias", {"dtype": "'float64'"}, MATMUL, "float64"),
        ("half", {"N": "8"}, [("a", (8, 96)), *MATMUL[1:3], ("out", (8, 96))], "float16"),
        ("inputs_and_output", {}, MATMUL, "float32"),
        ("inputs_and_outputs", {}, MATMUL, "float32"),
        ("scaled", {}, [("a", (64, 64)), ("out", (64, 64))], "float32"),
        ("script", {}, [("a", (64, 64)), ("out", (64, 64))], "float32"),
    ],
)
def test_one_function_is_one_kernel(
    file: Path, name: str, parameters: dict[str, str], arguments: list[tuple[str, tuple[int, ...]]], dtype: str
) -> None:
    operator = load_operator(file, name, parameters)
    [kernel] = operator.kernels
    assert (kernel.name, operator.left_out) == (name, ())
    assert [(info.name, info.shape) for info in kernel.arguments] == arguments
    assert {info.dtype for info in kernel.arguments} == {dtype}
    assert kernel.outputs == (len(arguments) - 1,)
    assert [key.name_hint for key in kernel.module.get_global_vars()] == ["main"]


def test_a_module_is_a_kernel_for_each_function_with_blocks(file: Path) -> None:
    operator = load_operator(file, "Both", {})
    assert [kernel.name for kernel in operator.kernels] == ["columns", "double"]
    assert [kernel.arguments[0].shape for kernel in operator.kernels] == [(32, 48), (32, 32)]
    assert operator.left_out == ("plain",)


@pytest.mark.parametrize(
    ("name", "parameters", "line", "said"),
    [
        ("np", {}, "import numpy", "np is a module: name a function that returns its TE tensors, a TVMScript function"),
        ("SIZE", {}, "SIZE = 96", "SIZE is an int: name a function"),
        ("returns_nothing", {}, "def returns_nothing", "returns_nothing returned None: return [input, …, output]"),
        ("returns_inputs", {}, "def returns_inputs", "returns_inputs returned inputs alone"),
        ("returns_numbers", {}, "def returns_numbers", "returns_numbers returned a list of int, str: return"),
        ("lacks_an_input", {}, "def lacks_an_input", "computes from bias, which is not among the tensors"),
        ("open_dimension", {}, "def open_dimension", "has a dynamic shape, a is (n,4)"),
        ("fails", {}, "return 1 // 0", "ZeroDivisionError: integer division or modulo by zero."),
        ("leaves", {}, "raise SystemExit", "SystemExit: 3."),
        ("imports", {}, "import mylib", "No module named 'mylib' (the file travels alone"),
        ("odd_dtype", {}, "def odd_dtype", "takes a of float8_e4m3fn, which boards cannot fill"),
        ("wrong_script", {}, "a[vi] = undefined_thing", "Undefined variable: undefined_thing."),
        ("without_blocks", {}, "def without_blocks", "without_blocks has no blocks to schedule"),
        ("takes_a_number", {}, "def takes_a_number", "takes n, which is no tensor"),
        ("matmul_bias", {"Q": "1"}, "def matmul_bias", "has no parameter Q: its parameters are K, M, N, dtype."),
        ("half", {}, "def half", "half has no default for N: give --with N=…"),
        ("scaled", {"N": "1"}, "def scaled", "scaled is a TVMScript function, which takes no parameters"),
        ("matmul_bias", {"dtype": "flaot32"}, "a = te.placeholder((N, K)", "flaot32"),
    ],
)
def test_what_is_at_fault_is_told_with_its_line(
    file: Path, name: str, parameters: dict[str, str], line: str, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_operator(file, name, parameters)
    sentence = str(caught.value)
    assert sentence.startswith(f"op.py:{line_of(line)}: "), sentence
    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_function_that_never_returns_ends_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_code, "LIMIT_S", 0.05)
    monkeypatch.setattr(foreign_code, "_AGAIN_S", 0.5)
    # What swallows the first meets the next. CPython takes a signal between two turns of a loop, where it may be out of
    # reach of the loop's handler.
    (tmp_path / "op.py").write_text(
        "def f():\n  try:\n    while True: int()\n  except TimeoutError:\n    while True: int()\n"
    )
    with pytest.raises(InputError, match=r"^op\.py:[35]: TimeoutError: still running after 0\.05 s\.$"):
        load_operator(tmp_path / "op.py", "f", {})
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_name_that_is_not_there_names_those_that_are(file: Path) -> None:
    with pytest.raises(InputError, match=r"op.py defines no my_matmul; it has matmul_bias, scaled, Both, inputs_and"):
        load_operator(file, "my_matmul", {})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(:\n", "op.py:1: invalid syntax"),
        ("x = 1\nraise ValueError('first\\nlast')\n", "op.py:2: ValueError: last."),
        ("import tvm\ntvm.no_such_thing\n", "op.py:2: AttributeError: "),
    ],
)
def test_a_file_that_cannot_be_executed(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "op.py").write_text(source)
    with pytest.raises(InputError) as caught:
        load_operator(tmp_path / "op.py", "f", {})
    assert str(caught.value).startswith(said)
