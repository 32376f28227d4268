"""What ``farm tune`` can tell of a file before anything is sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.operators import BROKEN, OPERATORS
from tvm_farm.tracker.client.asking.subject import Subject, check_templates, subject_of
from tvm_farm.tracker.client.asking.values import parse_parameter
from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.domain import Parameter, Shape


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "op.py").write_text(OPERATORS)
    (tmp_path / "fed.py").write_text("def mm(): ...\ndef mm_inputs(rng): ...\ndef of_inputs(): ...\n")
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "star.py").write_text("from kernels import *\n")
    (tmp_path / "hidden.py").write_text("try:\n    import mine\nexcept ImportError:\n    def mine(): pass\n")
    (tmp_path / "net.onnx").write_bytes(b"onnx")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "name", "operator"),
    [
        ("net.onnx", "net", ""),
        ("op.py:matmul_bias", "matmul_bias", "op.py:matmul_bias"),
        ("op.py:Both", "Both", "op.py:Both"),
        ("star.py:matmul", "matmul", "star.py:matmul"),
        ("hidden.py:mine", "mine", "hidden.py:mine"),
    ],
)
def test_what_is_sent(folder: Path, text: str, name: str, operator: str) -> None:
    assert subject_of(folder / text, (), ()) == Subject(folder / text.split(":")[0], name, operator)


@pytest.mark.parametrize(
    ("text", "shapes", "parameters", "said"),
    [
        (
            "op.py",
            (),
            (),
            r"op\.py is a Python file: name the operator in it, .*op\.py:NAME\. It has SIZE, ma",
        ),
        ("op.py:my_matmul", (), (), r"op\.py defines no my_matmul; it has SIZE, matmul_bias, scaled, Both, "),
        ("op.py:", (), (), r"op\.py: names no operator: write .*op\.py:NAME, the name of a function in "),
        ("op.py:two words", (), (), r"names no operator"),
        ("fed.py:sum", (), (), r"fed\.py defines no sum; it has mm, of_inputs\."),
        ("none.py:f", (), (), r"There is no file .*none\.py\."),
        ("broken.py:my_matmul", (), (), r"broken\.py:2: '\[' was never closed\."),
        (
            "op.py:matmul_bias",
            (Shape("N", (1,)),),
            (),
            r"shapes= fixes a model's inputs; set .* with parameters=",
        ),
        ("op.py:matmul_bias", (), (Parameter("N", "1"), Parameter("N", "2")), r"parameters= names N twice\."),
        ("net.onnx", (), (Parameter("N", "1"),), r"parameters= sets parameters of an operator, FILE\.py:NAME"),
    ],
)
def test_what_is_refused(
    folder: Path, text: str, shapes: tuple[Shape, ...], parameters: tuple[Parameter, ...], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        subject_of(folder / text, shapes, parameters)


@pytest.mark.parametrize(
    ("files", "engine", "said"),
    [
        (
            ["op.py"],
            "ansor",
            r"templates= is for auto and the autotvm tuners, and ansor has no use for it: choose autotvm with tuner=",
        ),
        (["none.py"], "autotvm", r"There is no file .*none\.py\."),
        (["broken.py"], "autotvm-ga", r"broken\.py:2: '\[' was never closed\."),
        (["op.py", "op.py"], "autotvm", r"templates= names op\.py twice\."),
    ],
)
def test_templates_that_are_refused(folder: Path, files: list[str], engine: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        check_templates([folder / file for file in files], engine)


def test_parameters() -> None:
    assert parse_parameter("M=1024") == Parameter("M", "1024")
    assert parse_parameter("shape=(1, 2)") == Parameter("shape", "(1, 2)")
    for text in ("M", "=3", "a b=3", "2=3"):
        with pytest.raises(ValueError, match=r"sets no parameter: write NAME=VALUE"):
            parse_parameter(text)


def test_a_pipe_is_refused_before_it_is_read(folder: Path) -> None:
    os.mkfifo(folder / "pipe.onnx")
    with pytest.raises(BadInput, match="no file that can be read twice"):
        subject_of(folder / "pipe.onnx", (), ())
