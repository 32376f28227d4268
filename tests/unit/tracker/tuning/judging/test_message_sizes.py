"""What one message cannot carry travels another way, or is refused before a board is asked."""

import numpy as np
import pytest

pytest.importorskip("tvm_ffi")

from tvm_farm.tracker.domain import Artifact, TimingPlan
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.judging.answer_size import check_answer_size
from tvm_farm.tracker.tuning.judging.model_verification import artifact_of, model_request, uploaded_inputs
from tvm_farm.tracker.tuning.models.importers.base import TensorInfo

MIB = 1 << 20
ARTIFACT = Artifact("0" * 64, 1)


def test_outputs_that_a_message_carries_are_taken() -> None:
    check_answer_size([TensorInfo("y", (15, MIB), "float32")], "model")
    check_answer_size([TensorInfo("y", (60, MIB), "uint8"), TensorInfo("none", (0, 7), "int64")], "model")
    check_answer_size([TensorInfo("y", (), "float64")], "model", limit_bytes=8)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ([TensorInfo("y", (25, MIB), "float32")], "its output y takes 100 MiB, and"),
        ([TensorInfo("y", (60 * MIB + 1,), "int8")], "its output y takes 60.0 MiB, and"),
        (
            [TensorInfo("a", (10, MIB), "float16"), TensorInfo("b", (6, MIB), "float64")],
            "its output b takes 48.0 MiB, 68.0 MiB with its other outputs, and",
        ),
    ],
)
def test_outputs_beyond_that_are_refused_by_name(outputs: list[TensorInfo], words: str) -> None:
    with pytest.raises(InputError, match=rf"^model is not tuned: {words} a board's answer carries at most 60.0 MiB"):
        check_answer_size(outputs, "model")


def test_inputs_travel_inline_as_long_as_they_fit_together() -> None:
    inputs = [np.zeros(size, np.uint8) for size in (4, 9, 3, 0, 3)]
    assert uploaded_inputs(inputs, 10) == {1: "input 1"}
    assert uploaded_inputs(inputs, 9) == {0: "input 0", 1: "input 1"}
    assert uploaded_inputs(inputs, 100) == {}
    assert uploaded_inputs(inputs[1:2], 8) == {0: "input 0"}


def test_a_request_with_many_inputs_stays_small() -> None:
    inputs = [np.full((3, MIB), number, np.uint8) for number in range(30)]
    request = model_request(ARTIFACT, ARTIFACT, {"p0": ((2,), "float32")}, inputs, TimingPlan(), 1.0)
    *taken, param = request.program.args
    assert sum(len(argument.data or b"") for argument in taken) <= 8 * MIB
    for number, argument in enumerate(taken):
        assert argument.shape == (3, MIB)
        carried = argument.data == inputs[number].tobytes()
        assert carried != (argument.param == f"input {number}")
    assert (param.param, param.shape) == ("p0", (2,))


def test_a_library_comes_along_where_it_is_small(tmp_path) -> None:
    path = tmp_path / "model.so"
    path.write_bytes(b"12345")
    small, large = artifact_of(path, 5), artifact_of(path, 4)
    assert (small.inline, large.inline) == (b"12345", b"")
    assert (small.digest, small.size) == (large.digest, large.size)
    assert large.size == 5
