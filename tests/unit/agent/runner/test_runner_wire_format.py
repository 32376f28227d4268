"""Frames as values: what is refused before it reaches the pipe, and what an answer must look like."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest

from tvm_farm.agent.runner import protocol
from tvm_farm.protos.device import RunnerMode
from tvm_farm.protos.measurement import (
    Argument,
    Artifact,
    Limits,
    MeasureRequest,
    Outcome,
    OutputTensor,
    Program,
    ProgramKind,
    TimingPlan,
)

PROGRAM = Program(ProgramKind.KERNEL, Artifact("", 0), "main", (Argument((2,), "float32", fill_seed=1),), None, (0,))
REQUEST = MeasureRequest("t", PROGRAM)


def with_argument(**changes: Any) -> MeasureRequest:
    return replace(REQUEST, program=replace(PROGRAM, args=(replace(PROGRAM.args[0], **changes),)))


def with_plan(**changes: Any) -> MeasureRequest:
    return replace(REQUEST, plan=TimingPlan(**changes))


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (with_plan(number=0), "number is 0"),
        (with_plan(repeat=0), "repeat is 0"),
        (with_plan(min_repeat_ms=-1), "min_repeat_ms is -1"),
        (with_plan(repeats_to_cooldown=0), "repeats_to_cooldown is 0"),
        (with_plan(cache_flush_bytes=1 << 31), "cache_flush_bytes is 2147483648"),
        (replace(REQUEST, limits=Limits(run_timeout_s=0)), "run_timeout_s is 0"),
        (replace(REQUEST, limits=Limits(run_timeout_s=float("nan"))), "run_timeout_s is nan"),
        (replace(REQUEST, limits=Limits(hopeless_s=-1.0)), "hopeless_s is -1"),
        (replace(REQUEST, limits=Limits(hopeless_s=float("nan"))), "hopeless_s is nan"),
        (replace(REQUEST, program=replace(PROGRAM, entry="a\0b")), "entry holds a zero character"),
        (replace(REQUEST, program=replace(PROGRAM, outputs=(1,))), "output 1 is no position among 1 arguments"),
        (replace(REQUEST, program=replace(PROGRAM, args=PROGRAM.args * 4097)), "4097 arguments are more than 4096"),
        (with_argument(dtype="complex64"), "argument 0 has dtype 'complex64'"),
        (with_argument(shape=(-1,)), "argument 0 has shape (-1,)"),
        (with_argument(shape=(1,) * 17), "at most 16 dimensions"),
        (with_argument(shape=(1 << 40, 1 << 40)), "would take"),
        (with_argument(data=b"1234567"), "has 7 bytes of data, its shape and dtype need 8"),
        (with_argument(fill_seed=None), "does not say where its values come from"),
        (with_argument(fill_seed=1 << 64), "a seed has 64 bits"),
    ],
)
def test_a_request_that_no_runner_can_execute(request_: MeasureRequest, says: str) -> None:
    with pytest.raises(protocol.RequestError) as caught:
        protocol.encode_run(1, request_, "/k.so", "")
    assert says in str(caught.value)


def test_a_run_frame_says_its_size() -> None:
    frame = b"".join(protocol.encode_run(1, REQUEST, "/k.so", ""))
    assert protocol.FRAME_HEAD.unpack(frame[:5]) == (len(frame) - 5, 1)


def test_large_data_is_not_copied() -> None:
    data = bytes(8)
    assert any(piece is data for piece in protocol.encode_run(1, with_argument(data=data), "/k.so", ""))


def hello(magic: bytes = b"TVMF", version: int = 3, mode: int = 2) -> bytes:
    return magic + struct.pack("<IIII", version, mode, 4, 5) + b"0.1.2"


def test_hello() -> None:
    assert protocol.decode_hello(hello()) == protocol.Hello(3, RunnerMode.MICRO, 4, "0.1.2")


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (hello(magic=b"HTTP"), "no runner"),
        (hello(version=2), "version 2 of its protocol, this agent 3"),
        (hello(mode=3), "unknown mode, 3"),
        (hello()[:-1], "1 bytes too early"),
        (b"", "4 bytes too early"),
    ],
)
def test_a_hello_that_is_none(payload: bytes, says: str) -> None:
    with pytest.raises(protocol.ProtocolError, match=says):
        protocol.decode_hello(payload)


HEAD = struct.pack("<IIidddI", 9, 1, 0, 1.5, 2.5, 2.75, 0)
OUTPUT = struct.pack("<BBHBqqQ", 1, 16, 1, 2, 1, 2, 4) + b"abcd"


@pytest.mark.parametrize("cut_short", [False, True])
def test_an_answer_with_outputs(cut_short: bool) -> None:
    payload = HEAD + struct.pack("<I", 1) + OUTPUT + struct.pack("<Idd?", 2, 0.25, 0.5, cut_short)
    assert protocol.decode_result(payload) == protocol.Result(
        9, Outcome.OK, 0, 1.5, 2.5, 2.75, "", (OutputTensor((1, 2), "uint16", b"abcd"),), (0.25, 0.5), cut_short
    )


def test_an_answer_of_a_failure() -> None:
    payload = struct.pack("<IIidddI", 9, 6, 11, 1.5, 2.5, 2.75, 3) + b"why"
    assert protocol.decode_result(payload) == protocol.Result(9, Outcome.CRASH, 11, 1.5, 2.5, 2.75, "why", (), ())


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "too early"),
        (HEAD, "too early"),
        (HEAD + struct.pack("<II", 0, 0), "1 bytes too early"),
        (HEAD + struct.pack("<II", 0, 0) + b"xy", "1 bytes too many"),
        (HEAD + struct.pack("<II", 0, 2) + bytes(8), "8 bytes too early"),
        (HEAD + struct.pack("<I", 1) + OUTPUT[:-1], "too early"),
        (HEAD + struct.pack("<I", 1) + b"\x09" + OUTPUT[1:], "unknown dtype: code 9"),
        (struct.pack("<IIidddI", 9, 2, 0, 0, 0, 0, 0), "unknown outcome, 2"),
    ],
)
def test_an_answer_that_is_none(payload: bytes, says: str) -> None:
    with pytest.raises(protocol.ProtocolError, match=says):
        protocol.decode_result(payload)
