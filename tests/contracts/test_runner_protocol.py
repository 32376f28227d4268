"""The runner's program at its pipe, without the supervisor: what it says, and how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import kernels
from tvm_farm.agent.runner import find_runner, find_runtime, protocol
from tvm_farm.protos.device import RunnerMode
from tvm_farm.protos.measurement import Argument, Artifact, Limits, MeasureRequest, Outcome, Program, ProgramKind

RUN, CANCEL = 1, 2
ZEROS = Argument((4,), "int32", data=bytes(16))


class Pipe:
    """A runner's process, spoken to in frames."""

    def __init__(self, *options: str) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([find_runner(), *options], stdin=pipe, stdout=pipe, stderr=pipe)

    def send(self, *pieces: bytes) -> None:
        self.process.stdin.write(b"".join(pieces))
        self.process.stdin.flush()

    def receive(self) -> tuple[int, bytes]:
        size, kind = protocol.FRAME_HEAD.unpack(self.process.stdout.read(5))
        return kind, self.process.stdout.read(size)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def ends(self, within_s: float = 10.0) -> tuple[int, str]:
        """Exit status and last words."""
        status = self.process.wait(within_s)
        return status, self.process.stderr.read().decode()


@pytest.fixture(params=(RunnerMode.FULL, RunnerMode.MICRO), ids=lambda mode: mode.value)
def pipe(request: pytest.FixtureRequest) -> Iterator[Pipe]:
    options: list[str] = []
    if request.param is RunnerMode.FULL:
        found = find_runtime()
        assert found is not None
        options = ["--ffi", str(found.ffi), "--runtime", str(found.runtime)]
    opened = Pipe(*options)
    kind, payload = opened.receive()
    assert kind == protocol.HELLO
    assert protocol.decode_hello(payload).mode is request.param
    yield opened
    opened.close()


def run_frame(kernel: str, sequence: int = 7, **limits: float) -> list[bytes]:
    library = kernels.kernel(kernel)
    program = Program(ProgramKind.KERNEL, Artifact("", 0), "main", (ZEROS,), None, (0,))
    return protocol.encode_run(sequence, MeasureRequest("t", program, limits=Limits(**limits)), str(library), "")


def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def test_it_answers_one_run_after_the_other(pipe: Pipe) -> None:
    for sequence in (7, 0, (1 << 32) - 1):
        pipe.send(*run_frame("count", sequence))
        kind, payload = pipe.receive()
        result = protocol.decode_result(payload)
        assert (kind, result.sequence, result.outcome) == (protocol.RESULT, sequence, Outcome.OK)


def test_the_end_of_its_input_ends_it(pipe: Pipe) -> None:
    pipe.process.stdin.close()
    assert pipe.ends() == (0, "")


def test_the_end_of_its_input_ends_it_and_the_kernel_at_hand(pipe: Pipe) -> None:
    pipe.send(*run_frame("hang"))
    runner = psutil.Process(pipe.process.pid)
    until(runner.children)
    kernel = runner.children()[0]
    pipe.process.stdin.close()
    assert pipe.ends() == (0, "")
    until(lambda: not kernel.is_running())


def test_a_kernel_does_not_outlive_a_killed_runner(pipe: Pipe) -> None:
    pipe.send(*run_frame("hang"))
    runner = psutil.Process(pipe.process.pid)
    until(runner.children)
    kernel = runner.children()[0]
    os.kill(runner.pid, signal.SIGKILL)
    until(lambda: not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE)


def test_a_late_cancel_is_ignored(pipe: Pipe) -> None:
    pipe.send(*run_frame("count"))
    assert protocol.decode_result(pipe.receive()[1]).outcome is Outcome.OK
    pipe.send(protocol.encode_cancel(7), *run_frame("count", 8))
    assert protocol.decode_result(pipe.receive()[1]).sequence == 8


def test_a_cancel_of_another_run_is_ignored(pipe: Pipe) -> None:
    pipe.send(*run_frame("hang", 7, run_timeout_s=0.5), protocol.encode_cancel(6))
    assert protocol.decode_result(pipe.receive()[1]).outcome is Outcome.RUN_TIMEOUT


def test_more_runs_wait_for_the_end_of_the_first(pipe: Pipe) -> None:
    waiting = [run_frame("count", sequence) for sequence in range(8, 8 + protocol.MAX_WAITING)]
    pipe.send(*run_frame("hang", 7, run_timeout_s=0.3), *(piece for frame in waiting for piece in frame))
    answers = [protocol.decode_result(pipe.receive()[1]) for _ in range(1 + protocol.MAX_WAITING)]
    assert [answer.sequence for answer in answers] == list(range(7, 8 + protocol.MAX_WAITING))
    assert [answer.outcome for answer in answers] == [Outcome.RUN_TIMEOUT] + [Outcome.OK] * protocol.MAX_WAITING
    times = [time for answer in answers for time in (answer.started_s, answer.finished_s)]
    assert times == sorted(times)


def test_a_waiting_run_is_cancelled_at_once_and_another_may_wait(pipe: Pipe) -> None:
    last = 7 + protocol.MAX_WAITING
    for sequence in range(7, last + 1):
        pipe.send(*run_frame("hang" if sequence == 7 else "count", sequence))
    pipe.send(protocol.encode_cancel(8), *run_frame("count", last + 1))
    answer = protocol.decode_result(pipe.receive()[1])
    assert (answer.sequence, answer.outcome, answer.started_s) == (8, Outcome.CANCELLED, 0.0)
    pipe.send(protocol.encode_cancel(7))
    answers = [protocol.decode_result(pipe.receive()[1]) for _ in range(1 + protocol.MAX_WAITING)]
    assert [answer.sequence for answer in answers] == [7, *range(9, last + 2)]
    assert [answer.outcome for answer in answers] == [Outcome.CANCELLED] + [Outcome.OK] * protocol.MAX_WAITING


def test_one_run_too_many_ends_it_and_the_kernel_at_hand(pipe: Pipe) -> None:
    for sequence in range(1 + protocol.MAX_WAITING):
        pipe.send(*run_frame("hang", sequence))
    runner = psutil.Process(pipe.process.pid)
    until(runner.children)
    kernel = runner.children()[0]
    pipe.send(*run_frame("count", 99))
    said = f"tvm-farm-runner: malformed frame: one request more than the {protocol.MAX_WAITING} that may wait\n"
    assert pipe.ends() == (2, said)
    until(lambda: not kernel.is_running())


def run_payload() -> bytes:
    return b"".join(run_frame("count")[1:])


def changed(at: int, new: bytes) -> bytes:
    payload = run_payload()
    return payload[:at] + new + payload[at + len(new) :]


def argument(head: bytes) -> bytes:
    """A RUN whose one argument is ``head``."""
    texts = struct.pack("<I", 1) + b"k" + bytes(4) + struct.pack("<I", 1) + b"m"
    return run_payload()[: 29 + 24] + texts + struct.pack("<I", 1) + head


@pytest.mark.parametrize(
    ("kind", "payload", "says"),
    [
        (99, b"", "type 99 is unknown"),
        (RUN, b"", "4 bytes missing"),
        (CANCEL, b"12345", "1 bytes too many"),
        (RUN, changed(4, b"\x09"), "program kind 9"),
        (RUN, changed(5, struct.pack("<d", float("nan"))), "a time limit of"),
        (RUN, changed(5, struct.pack("<d", -1.0)), "a time limit of -1 s"),
        (RUN, changed(13, struct.pack("<d", float("nan"))), "hopeless above"),
        (RUN, changed(13, struct.pack("<d", -1.0)), "hopeless above -1 s"),
        (RUN, changed(29, struct.pack("<I", 0)), "number is 0"),
        (RUN, changed(33, struct.pack("<I", 1 << 31)), "repeat is 2147483648"),
        (RUN, changed(53, struct.pack("<I", 0xFFFFFFFF)), "bytes missing"),
        (RUN, changed(57, b"\0"), "a text holds a zero byte"),
        (RUN, run_payload() + b"x", "1 bytes too many"),
        (RUN, run_payload()[:-4] + struct.pack("<I", 1), "output 1 of 1 arguments"),
        (RUN, argument(struct.pack("<BBHB", 2, 7, 1, 0)), "a dtype of 7 bits"),
        (RUN, argument(struct.pack("<BBHB", 2, 32, 4, 0)), "a dtype of 32 bits in 4 lanes"),
        (RUN, argument(struct.pack("<BBHB", 2, 32, 1, 17)), "17 dimensions"),
        (RUN, argument(struct.pack("<BBHBq", 2, 32, 1, 1, -1)), "a dimension of -1"),
        (RUN, argument(struct.pack("<BBHB3q", 2, 32, 1, 3, 1 << 40, 1 << 40, 1 << 40)), "a dimension of"),
        (RUN, argument(struct.pack("<BBHBqB", 2, 32, 1, 1, 1, 9)), "source 9"),
        (RUN, argument(struct.pack("<BBHBqBQ", 2, 32, 1, 1, 1, 2, 8)), "8 bytes for a tensor of 4"),
    ],
)
def test_a_malformed_frame_ends_it_with_a_sentence(pipe: Pipe, kind: int, payload: bytes, says: str) -> None:
    pipe.send(protocol.FRAME_HEAD.pack(len(payload), kind), payload)
    status, said = pipe.ends()
    assert status == 2
    assert said.startswith("tvm-farm-runner: malformed frame: ")
    assert says in said


def test_a_frame_too_large_to_be_one_ends_it(pipe: Pipe) -> None:
    pipe.send(struct.pack("<IB", 0xFFFFFFFF, RUN))
    status, said = pipe.ends()
    assert status == 2
    assert "4294967295 bytes are more than" in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--threads", "0"], "--threads takes a number above 0, not 0"),
        (["--threads", "2x"], "not 2x"),
        (["--threads", "4000"], "CPUs are allowed to it"),
        (["--threads"], "--threads is unknown or lacks its value"),
        (["--other", "1"], "--other is not an option"),
        (["--ffi", "/x"], "--ffi and --runtime go together"),
        (["--ffi", "/absent", "--runtime", "/absent"], "cannot load libtvm_ffi: /absent"),
    ],
)
def test_options_that_cannot_be_used(options: list[str], says: str) -> None:
    done = subprocess.run(
        [find_runner(), *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 2
    assert says in done.stderr


def test_a_library_that_is_not_tvms(tmp_path: Path) -> None:
    other = kernels.kernel("count")
    done = subprocess.run(
        [find_runner(), "--ffi", other, "--runtime", other],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert done.returncode == 2
    assert "no libtvm_ffi that this runner knows" in done.stderr
