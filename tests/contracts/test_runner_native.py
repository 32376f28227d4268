"""What the native runner promises, in both of its modes, with kernels that TVM compiled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.support import compare_runner_modes, kernels
from tvm_farm.agent.runner import (
    LocalRequest,
    LocalTransport,
    NativeRunner,
    RunnerError,
    RunReport,
    RuntimeLibraries,
    find_runner,
    find_runtime,
)
from tvm_farm.agent.runner.connection import Connection, RunnerDiedError
from tvm_farm.agent.runner.transport import Process
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

MODES = (RunnerMode.FULL, RunnerMode.MICRO)
#: 0 as every value: what the telling kernels begin with.
ZEROS = Argument((4,), "int32", data=bytes(16))
ONCE = TimingPlan()
TEN_SECONDS = Limits()


@pytest.fixture(params=MODES, ids=lambda mode: mode.value)
async def runner(request: pytest.FixtureRequest) -> AsyncIterator[NativeRunner]:
    native = NativeRunner(find_runner(), find_runtime() if request.param is RunnerMode.FULL else None)
    info = await native.start()
    assert info.mode is request.param
    yield native
    await native.stop()


def request_of(
    library: Path,
    *args: Argument,
    outputs: tuple[int, ...] = (),
    plan: TimingPlan = ONCE,
    limits: Limits = TEN_SECONDS,
    kind: ProgramKind = ProgramKind.KERNEL,
    params: Path | None = None,
    entry: str = "main",
) -> LocalRequest:
    artifact = Artifact("0" * 64, library.stat().st_size if library.exists() else 0)
    program = Program(kind, artifact, entry, args, None, outputs)
    return LocalRequest(MeasureRequest("trial", program, plan, limits), library, params)


def array(output: OutputTensor) -> np.ndarray:
    return np.frombuffer(output.data, output.dtype).reshape(output.shape)


async def works(runner: NativeRunner) -> bool:
    """Whether the runner still gives the right answer: what any failure before must not change."""
    report = await runner.run(request_of(kernels.kernel("count"), ZEROS, outputs=(0,)))
    return report.outcome is Outcome.OK and array(report.outputs[0]).tolist() == [1, 0, 0, 0]


async def until(condition, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.01)


def family(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() for process in processes)


# Results


async def test_matmul_agrees_with_numpy(runner: NativeRunner) -> None:
    a, b = Argument((64, 64), "float32", fill_seed=1), Argument((64, 64), "float32", fill_seed=(1 << 64) - 1)
    report = await runner.run(request_of(kernels.matmul(64), a, b, a, outputs=(2, 0)))
    assert report.outcome is Outcome.OK, report.detail
    left, right = kernels.splitmix_uniform(1, (64, 64)), kernels.splitmix_uniform((1 << 64) - 1, (64, 64))
    np.testing.assert_allclose(array(report.outputs[0]), left @ right, rtol=1e-5)
    np.testing.assert_array_equal(array(report.outputs[1]), left)


@pytest.mark.parametrize("dtype", ["float64", "int32", "int64", "float16", "uint8", "int8"])
async def test_matmul_of_other_dtypes(runner: NativeRunner, dtype: str) -> None:
    rng = np.random.default_rng(3)
    left, right = (rng.integers(0, 3, (16, 16)).astype(dtype) for _ in range(2))
    args = [Argument((16, 16), dtype, data=x.tobytes()) for x in (left, right, np.zeros_like(left))]
    report = await runner.run(request_of(kernels.matmul(16, dtype), *args, outputs=(2,)))
    assert report.outcome is Outcome.OK, report.detail
    np.testing.assert_array_equal(array(report.outputs[0]), left @ right)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float64", lambda x: (x >> np.uint64(11)).astype("float64") / 2.0**53),
        ("float32", lambda x: (x >> np.uint64(40)).astype("float32") / np.float32(2**24)),
        ("float16", lambda x: ((x >> np.uint64(53)).astype("float64") / 2.0**11).astype("float16")),
        ("bfloat16", lambda x: (((x >> np.uint64(56)).astype("float32") / 256).view("uint32") >> 16).astype("uint16")),
        ("bool", lambda x: x >> np.uint64(63) == 1),
        *(
            (name, lambda x, name=name: (((x >> np.uint64(32)) * np.uint64(10)) >> np.uint64(32)).astype(name))
            for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
        ),
    ],
)
async def test_fill_is_what_the_protocol_says(runner: NativeRunner, dtype: str, expected) -> None:
    filled, to = Argument((64,), dtype, fill_seed=11), Argument((64,), dtype, fill_seed=0)
    report = await runner.run(request_of(kernels.copy(dtype), filled, to, outputs=(1,)))
    assert report.outcome is Outcome.OK, report.detail
    values = expected(kernels.splitmix(11, 64))
    assert report.outputs[0].dtype == dtype
    assert report.outputs[0].data == values.tobytes()
    if "float" in dtype and dtype != "bfloat16":
        assert 0 <= values.min() < values.max() < 1


async def test_a_large_request_and_its_large_answer_cross_the_pipe(runner: NativeRunner) -> None:
    big = np.random.default_rng(0).random((64,), dtype="float32")
    data = np.zeros(10 << 20, "float32")
    data[:4] = big[:4]
    args = (Argument(data.shape, "float32", data=data.tobytes()), Argument((4,), "float32", fill_seed=0))
    # The kernel refuses the shape of its first argument: the runner has carried it to it all the same.
    report = await runner.run(request_of(kernels.scratch(1), *args))
    assert report.outcome is Outcome.RUN_ERROR
    exact = (Argument((1024, 1024), "float64", data=np.ones((1024, 1024)).tobytes()),) * 3
    report = await runner.run(request_of(kernels.matmul(1024, "float64"), *exact, outputs=(0, 1)))
    assert [len(output.data) for output in report.outputs] == [8 << 20] * 2
    assert await works(runner)


async def test_a_parameter_of_a_file(runner: NativeRunner) -> None:
    path, w = kernels.model_params()
    args = [Argument((16, 16), "float32", data=np.eye(16, dtype="float32").tobytes())] * 3
    args[1] = Argument((16, 16), "float32", param="w")
    report = await runner.run(request_of(kernels.matmul(16), *args, outputs=(2,), params=path))
    assert report.outcome is Outcome.OK, report.detail
    np.testing.assert_array_equal(array(report.outputs[0]), w)


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [("absent", (16, 16), "holds no parameter absent"), ("w", (8, 32), "another shape or dtype")],
)
async def test_a_parameter_that_is_not_there(
    runner: NativeRunner, name: str, shape: tuple[int, int], says: str
) -> None:
    path, _ = kernels.model_params()
    args = [Argument((16, 16), "float32", fill_seed=0)] * 3
    args[1] = Argument(shape, "float32", param=name)
    report = await runner.run(request_of(kernels.matmul(16), *args, params=path))
    assert report.outcome is Outcome.RUN_ERROR
    assert says in report.detail


@pytest.mark.parametrize("keep", [0, 20, 60, -1])
async def test_a_cut_parameter_file(runner: NativeRunner, tmp_path: Path, keep: int) -> None:
    path, _ = kernels.model_params()
    cut = tmp_path / "cut.params"
    cut.write_bytes(path.read_bytes()[:keep])
    args = [Argument((16, 16), "float32", param="w")] * 3
    report = await runner.run(request_of(kernels.matmul(16), *args, params=cut))
    assert report.outcome is Outcome.RUN_ERROR
    assert "no parameter file" in report.detail


async def test_a_model_runs_in_full_mode_and_is_refused_in_micro(runner: NativeRunner) -> None:
    path, w = kernels.model_params()
    shape = (kernels.MODEL_SIZE, kernels.MODEL_SIZE)
    args = (Argument(shape, "float32", fill_seed=5), Argument(shape, "float32", param="w"))
    plan = TimingPlan(number=2, repeat=3)
    asked = request_of(kernels.model(), *args, outputs=(0,), kind=ProgramKind.MODEL, params=path, plan=plan)
    report = await runner.run(asked)
    if (await runner.start()).mode is RunnerMode.MICRO:
        assert report.outcome is Outcome.RUN_ERROR
        assert report.detail == "a whole model needs TVM's runtime, and this runner is in micro mode"
        return
    assert report.outcome is Outcome.OK, report.detail
    product = kernels.splitmix_uniform(5, shape) @ w
    assert len(report.outputs) == 2
    np.testing.assert_allclose(array(report.outputs[0]), product, rtol=1e-5)
    np.testing.assert_allclose(array(report.outputs[1]), np.maximum(product - 4, 0), rtol=1e-4, atol=1e-5)
    assert len(report.run_secs) == 3
    assert all(secs > 0 for secs in report.run_secs)


async def test_libraries_need_neither_their_names_nor_each_other_beside_them(tmp_path: Path) -> None:
    """As a board has them that got them from its tracker: by digest."""
    found = find_runtime()
    assert found is not None
    assert found.extra is not None
    ffi, runtime, extra = (
        Path(shutil.copy(path, tmp_path / f"{number:064}.so"))
        for number, path in enumerate((found.ffi, found.runtime, found.extra))
    )
    path, w = kernels.model_params()
    shape = (kernels.MODEL_SIZE, kernels.MODEL_SIZE)
    args = (Argument(shape, "float32", fill_seed=5), Argument(shape, "float32", param="w"))
    native = NativeRunner(find_runner(), RuntimeLibraries(ffi, runtime, extra))
    try:
        assert (await native.start()).mode is RunnerMode.FULL
        report = await native.run(request_of(kernels.model(), *args, outputs=(0,), kind=ProgramKind.MODEL, params=path))
        assert report.outcome is Outcome.OK, report.detail
        product = kernels.splitmix_uniform(5, shape) @ w
        np.testing.assert_allclose(array(report.outputs[0]), product, rtol=1e-5)
    finally:
        await native.stop()


# The timing plan


async def calls_of(
    runner: NativeRunner, plan: TimingPlan, tmp_path: Path, kernel: str = "trail", hopeless_s: float = 0.0
) -> tuple[int, RunReport]:
    """How often a kernel is called for a plan: it adds a byte to a file a call."""
    trail = tmp_path / "trail"
    trail.write_bytes(b"")
    path = Argument((256,), "int8", data=os.fsencode(trail).ljust(256, b"\0"))
    limits = Limits(hopeless_s=hopeless_s)
    report = await runner.run(request_of(kernels.kernel(kernel), path, ZEROS, plan=plan, limits=limits))
    assert report.outcome is Outcome.OK, report.detail
    return trail.stat().st_size, report


async def test_number_and_repeat_say_how_often_it_is_called(runner: NativeRunner, tmp_path: Path) -> None:
    calls, report = await calls_of(runner, TimingPlan(number=3, repeat=4), tmp_path)
    assert calls == 1 + 3 * 4  # the first call is not timed
    assert len(report.run_secs) == 4


async def test_number_grows_until_a_repeat_is_long_enough(runner: NativeRunner, tmp_path: Path) -> None:
    calls, report = await calls_of(runner, TimingPlan(number=1, repeat=2, min_repeat_ms=30), tmp_path)
    assert calls > 10
    assert report.finished_s - report.started_s >= 0.06


async def test_the_number_that_was_found_holds_for_the_next_repeats(runner: NativeRunner, tmp_path: Path) -> None:
    """A call takes 10 ms at least, so 35 ms need 4 calls at most: batches of 1, 2 and 3 may be tried and be too short.

    A search in each repeat would add at least its first call to each: 1 + 20 * (1 + 4) on an idle machine.
    """
    plan = TimingPlan(number=1, repeat=20, min_repeat_ms=35)
    calls, report = await calls_of(runner, plan, tmp_path, "slow_trail")
    assert calls <= 1 + (1 + 2 + 3) + 20 * 4
    assert all(secs >= 0.01 for secs in report.run_secs)


async def test_a_candidate_that_is_not_hopeless_is_timed_as_if_none_were(runner: NativeRunner, tmp_path: Path) -> None:
    calls, report = await calls_of(runner, TimingPlan(number=3, repeat=4), tmp_path, hopeless_s=100.0)
    assert (calls, len(report.run_secs), report.cut_short) == (1 + 3 * 4, 4, False)
    plan = TimingPlan(number=1, repeat=20, min_repeat_ms=35)
    calls, report = await calls_of(runner, plan, tmp_path, "slow_trail", hopeless_s=100.0)
    assert calls <= 1 + (1 + 2 + 3) + 20 * 4
    assert (len(report.run_secs), report.cut_short) == (20, False)
    plan = TimingPlan(number=5, repeat=1, min_repeat_ms=1)
    calls, report = await calls_of(runner, plan, tmp_path, "slow_trail", hopeless_s=100.0)
    assert calls == 1 + 1 + 5, "what one call is enough for is made of five all the same"


async def test_the_first_timing_of_a_hopeless_candidate_is_its_last(runner: NativeRunner, tmp_path: Path) -> None:
    """A call takes 10 ms or more: the first alone decides only where it took 32, as it may on a busy machine, and one
    timing only where a call of it took 12.
    """
    plan = TimingPlan(number=2, repeat=5, min_repeat_ms=500)
    calls, report = await calls_of(runner, plan, tmp_path, "slow_trail", hopeless_s=0.006)
    [secs] = report.run_secs
    assert calls == 1 + 1 + 1 or (calls == 1 + 1 and secs > 0.012) or (calls == 1 and secs > 0.032)
    assert secs > 0.009
    assert report.cut_short
    # A little behind, a call is too short a look: it takes a sixteenth of the plan, 4 calls, once more to be sure, and
    # shorter looks before where those were interrupted. A repeat of the plan alone has 42 calls and more.
    calls, report = await calls_of(runner, plan, tmp_path, "slow_trail", hopeless_s=0.0095)
    assert report.cut_short
    assert calls < 42


async def test_a_first_call_that_is_far_too_long_is_the_only_one(runner: NativeRunner, tmp_path: Path) -> None:
    calls, report = await calls_of(runner, TimingPlan(number=2, repeat=5), tmp_path, "slower_trail", hopeless_s=0.01)
    [secs] = report.run_secs
    assert (calls, report.cut_short) == (1, True)
    assert secs >= 0.06


async def test_a_hopeless_candidate_with_its_plan_made_is_not_cut(runner: NativeRunner, tmp_path: Path) -> None:
    calls, report = await calls_of(runner, ONCE, tmp_path, "slow_trail", hopeless_s=0.009)
    assert (calls, report.cut_short) == (2, False) or report.run_secs[0] > 0.038


async def test_a_timer_that_may_end_early_makes_every_timing_where_nothing_is_hopeless(runner: NativeRunner) -> None:
    """In full mode too, which leaves TVM's own timer for it."""
    whole = compare_runner_modes.cases()["matmul 64, parallel"]
    hopeful = replace(whole, request=replace(whole.request, limits=Limits(hopeless_s=100.0)))
    for request in (whole, hopeful):
        report = await runner.run(request)
        assert (report.outcome, report.cut_short, len(report.run_secs)) == (Outcome.OK, False, 5), report.detail
        assert all(secs > 0 for secs in report.run_secs)


@pytest.mark.parametrize("case", ["matmul 64, parallel", "scale 1048576, serial", "scratch memory 4 MB, serial"])
async def test_every_kind_of_kernel_gets_its_timings(runner: NativeRunner, case: str) -> None:
    """In both modes; that they time alike, tests.support.compare_runner_modes shows."""
    report = await runner.run(compare_runner_modes.cases()[case])
    assert report.outcome is Outcome.OK, report.detail
    assert len(report.run_secs) == 5
    assert all(secs > 0 for secs in report.run_secs)


async def test_cooldown_pauses_between_repeats(runner: NativeRunner) -> None:
    def plan(every: int) -> TimingPlan:
        return TimingPlan(repeat=4, cooldown_ms=150, repeats_to_cooldown=every)

    spent = []
    for every in (1, 2, 4):
        report = await runner.run(request_of(kernels.kernel("count"), ZEROS, plan=plan(every)))
        assert report.outcome is Outcome.OK
        spent.append(report.finished_s - report.started_s)
    for pauses, seconds in zip((4, 2, 1), spent, strict=True):
        assert seconds >= 0.15 * pauses
    assert spent[0] > spent[2] + 0.2


async def test_the_cache_is_flushed_before_every_repeat(runner: NativeRunner) -> None:
    """Flushing takes memory and time of its own, outside what is timed."""
    size = 64 << 20

    async def best(plan: TimingPlan) -> tuple[float, RunReport]:
        reports = [await runner.run(request_of(kernels.kernel("count"), ZEROS, plan=plan)) for _ in range(3)]
        assert all(report.outcome is Outcome.OK for report in reports)
        return min(((report.finished_s - report.started_s, report) for report in reports), key=lambda pair: pair[0])

    async def extra_s(repeat: int) -> float:
        spent_s, report = await best(TimingPlan(repeat=repeat, cache_flush_bytes=size))
        plain_s, _ = await best(TimingPlan(repeat=repeat))
        assert sum(report.run_secs) < (spent_s - plain_s) / 2
        return spent_s - plain_s

    # The first flush also pays for touching its memory, as much as ten more cost: a single one is far from this.
    assert await extra_s(33) > max(2 * await extra_s(1), 33 * size / 200e9)
    limited = Limits(memory_bytes=size)
    plan = TimingPlan(cache_flush_bytes=size)
    report = await runner.run(request_of(kernels.kernel("count"), ZEROS, plan=plan, limits=limited))
    assert report.outcome is Outcome.OUT_OF_MEMORY


async def test_the_timing_is_of_one_call(runner: NativeRunner) -> None:
    report = await runner.run(request_of(kernels.kernel("sleep"), ZEROS, plan=TimingPlan(number=5, repeat=2)))
    assert all(0.01 <= secs < 0.05 for secs in report.run_secs)
    assert report.finished_s - report.started_s >= 0.1
    assert abs(report.finished_s - time.time()) < 5


async def test_outputs_are_of_one_call_on_the_given_input(runner: NativeRunner) -> None:
    plan = TimingPlan(number=10, repeat=3)
    report = await runner.run(request_of(kernels.kernel("count"), ZEROS, outputs=(0,), plan=plan))
    assert array(report.outputs[0]).tolist() == [1, 0, 0, 0]


# Failures, each of which leaves the next kernel unharmed


async def test_a_crash_has_its_signal(runner: NativeRunner) -> None:
    report = await runner.run(request_of(kernels.kernel("crash"), ZEROS))
    assert (report.outcome, report.signal) == (Outcome.CRASH, signal.SIGSEGV)
    assert "signal 11" in report.detail
    assert report.finished_s >= report.started_s > 0
    assert await works(runner)


async def test_a_crash_tells_what_it_printed(runner: NativeRunner) -> None:
    report = await runner.run(request_of(kernels.kernel("print_and_crash"), ZEROS))
    assert (report.outcome, report.signal) == (Outcome.CRASH, signal.SIGABRT)
    assert report.detail.endswith("it printed: the reason")


async def test_a_kernel_that_exits_is_an_error(runner: NativeRunner) -> None:
    report = await runner.run(request_of(kernels.kernel("exit"), ZEROS))
    assert report.outcome is Outcome.RUN_ERROR
    assert "exit status 3" in report.detail
    assert await works(runner)


async def test_a_hanging_kernel_is_ended_at_its_limit(runner: NativeRunner) -> None:
    began = time.monotonic()
    report = await runner.run(request_of(kernels.kernel("hang"), ZEROS, limits=Limits(run_timeout_s=0.3)))
    assert report.outcome is Outcome.RUN_TIMEOUT
    assert "limit of 0.3 s" in report.detail
    assert 0.3 <= report.finished_s - report.started_s < 2
    assert time.monotonic() - began < 5
    assert await works(runner)


async def test_too_large_an_argument_is_out_of_memory(runner: NativeRunner) -> None:
    large = Argument((64, 64), "float32", fill_seed=1)
    asked = request_of(
        kernels.matmul(64),
        large,
        large,
        Argument((1 << 28,), "float32", fill_seed=1),
        limits=Limits(memory_bytes=64 << 20),
    )
    report = await runner.run(asked)
    assert report.outcome is Outcome.OUT_OF_MEMORY, report.detail
    assert await works(runner)


async def test_too_much_scratch_memory_is_out_of_memory(runner: NativeRunner) -> None:
    args = (Argument((4,), "float32", fill_seed=1),) * 2
    enough, scarce = Limits(memory_bytes=400 << 20), Limits(memory_bytes=100 << 20)
    report = await runner.run(request_of(kernels.scratch(256), *args, limits=enough))
    assert report.outcome is Outcome.OK, report.detail
    report = await runner.run(request_of(kernels.scratch(256), *args, limits=scarce))
    assert report.outcome is Outcome.OUT_OF_MEMORY, report.detail
    assert await works(runner)


async def test_a_parallel_kernel_fits_a_small_limit(runner: NativeRunner) -> None:
    args = (Argument((64, 64), "float32", fill_seed=1),) * 3
    report = await runner.run(request_of(kernels.matmul(64), *args, limits=Limits(memory_bytes=8 << 20)))
    assert report.outcome is Outcome.OK, report.detail


async def test_an_error_of_the_kernel_comes_with_its_text(runner: NativeRunner) -> None:
    report = await runner.run(request_of(kernels.kernel("count"), Argument((5,), "int32", fill_seed=0)))
    assert report.outcome is Outcome.RUN_ERROR
    assert "4" in report.detail
    assert "shape" in report.detail
    assert await works(runner)


@pytest.mark.parametrize("content", [None, b"", b"no library"])
async def test_a_library_that_is_none(runner: NativeRunner, tmp_path: Path, content: bytes | None) -> None:
    library = tmp_path / "broken.so"
    if content is not None:
        library.write_bytes(content)
    report = await runner.run(request_of(library, ZEROS))
    assert report.outcome is Outcome.RUN_ERROR
    assert "broken.so" in report.detail


async def test_an_entry_that_is_none(runner: NativeRunner) -> None:
    report = await runner.run(request_of(kernels.kernel("count"), ZEROS, entry="other"))
    assert report.outcome is Outcome.RUN_ERROR
    assert report.detail == "the library has no function other"


async def test_a_request_that_cannot_be_executed_is_an_error_of_the_trial(runner: NativeRunner) -> None:
    report = await runner.run(request_of(kernels.kernel("count"), Argument((4,), "float8_e4m3fn", fill_seed=0)))
    assert report.outcome is Outcome.RUN_ERROR
    assert "float8_e4m3fn" in report.detail
    report = await runner.run(request_of(kernels.kernel("count"), ZEROS, plan=TimingPlan(cache_flush_bytes=1 << 31)))
    assert report.outcome is Outcome.RUN_ERROR
    assert "cache_flush_bytes" in report.detail


async def test_cancelling_ends_the_kernel_at_hand(runner: NativeRunner) -> None:
    running = asyncio.create_task(runner.run(request_of(kernels.kernel("hang"), ZEROS)))
    await until(lambda: family(runner.pid))
    await runner.cancel()
    assert (await running).outcome is Outcome.CANCELLED
    assert family(runner.pid) == []
    assert await works(runner)


async def test_cancelling_nothing_has_no_effect(runner: NativeRunner) -> None:
    await runner.cancel()
    assert await works(runner)


async def test_what_a_kernel_prints_is_no_protocol(runner: NativeRunner) -> None:
    report = await runner.run(request_of(kernels.kernel("print"), ZEROS, outputs=(0,), plan=TimingPlan(number=5000)))
    assert report.outcome is Outcome.OK, report.detail
    assert array(report.outputs[0])[3] == 7
    assert await works(runner)


# Processes


async def test_processes_of_a_kernel_end_with_it(runner: NativeRunner) -> None:
    running = asyncio.create_task(
        runner.run(request_of(kernels.kernel("fork_and_hang"), ZEROS, limits=Limits(run_timeout_s=0.5)))
    )
    await until(lambda: len(family(runner.pid)) >= 2)
    kin = family(runner.pid)
    assert (await running).outcome is Outcome.RUN_TIMEOUT
    await until(lambda: gone(kin))
    assert psutil.Process(runner.pid).children() == []


async def test_a_killed_runner_is_replaced_and_its_trial_tried_again(runner: NativeRunner) -> None:
    asked = request_of(kernels.kernel("hang"), ZEROS, limits=Limits(run_timeout_s=1.0))
    running = asyncio.create_task(runner.run(asked))
    first = runner.pid
    await until(lambda: family(first))
    kin = family(first)
    os.kill(first, signal.SIGKILL)
    assert (await running).outcome is Outcome.RUN_TIMEOUT  # the second try ran to its limit
    assert runner.pid != first
    await until(lambda: gone(kin))
    assert await works(runner)


async def test_a_trial_that_costs_two_runners_has_crashed(runner: NativeRunner) -> None:
    running = asyncio.create_task(runner.run(request_of(kernels.kernel("hang"), ZEROS)))
    killed: list[int] = []
    for _ in range(2):
        await until(lambda: runner.pid is not None and runner.pid not in killed and family(runner.pid))
        killed.append(runner.pid)
        os.kill(killed[-1], signal.SIGKILL)
    report = await running
    assert (report.outcome, report.signal) == (Outcome.CRASH, signal.SIGKILL)
    assert await works(runner)


async def test_stop_leaves_nothing(runner: NativeRunner) -> None:
    running = asyncio.create_task(runner.run(request_of(kernels.kernel("hang"), ZEROS)))
    await until(lambda: family(runner.pid))
    everything = [psutil.Process(runner.pid), *family(runner.pid)]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: gone(everything))
    await runner.stop()
    await runner.stop()


async def test_the_pool_has_as_many_threads_as_asked_for() -> None:
    args = (Argument((64, 64), "float32", fill_seed=1),) * 3
    for libraries in (find_runtime(), None):
        native = NativeRunner(find_runner(), libraries, threads=1)
        try:
            assert (await native.start()).threads == 1
            assert (await native.run(request_of(kernels.matmul(64), *args))).outcome is Outcome.OK
        finally:
            await native.stop()


class OnCpu(LocalTransport):
    """Allows the runner one CPU, the last."""

    async def spawn(self, argv: Sequence[str]) -> Process:
        return await super().spawn(["taskset", "-c", str(max(os.sched_getaffinity(0))), *argv])


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
async def test_the_pool_keeps_to_the_cpus_it_is_allowed(mode: RunnerMode) -> None:
    args = (Argument((64, 64), "float32", fill_seed=1),) * 3
    libraries = find_runtime() if mode is RunnerMode.FULL else None
    native = NativeRunner(find_runner(), libraries, transport=OnCpu())
    try:
        assert (await native.start()).threads == 1
        assert (await native.run(request_of(kernels.matmul(64), *args))).outcome is Outcome.OK
    finally:
        await native.stop()


class Unprivileged(LocalTransport):
    """The runner as a user who owns nothing, where the test may become one; its files are copied to where he reads."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        folder.chmod(0o755)

    async def put(self, path: Path) -> str:
        copy = self._folder / path.name
        shutil.copyfile(path, copy)
        copy.chmod(0o755)
        return str(copy)

    async def spawn(self, argv: Sequence[str]) -> Process:
        pipe = asyncio.subprocess.PIPE
        nobody: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        return await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe, **nobody)


def oom_score_adj(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


async def test_a_kernel_goes_first_when_the_board_runs_out_of_memory() -> None:
    with tempfile.TemporaryDirectory() as folder:
        native = NativeRunner(find_runner(), None, transport=Unprivileged(Path(folder)))
        try:
            await native.start()
            patient = Limits(run_timeout_s=60)
            running = asyncio.create_task(native.run(request_of(kernels.kernel("hang"), ZEROS, limits=patient)))
            await until(lambda: family(native.pid))
            [kernel] = family(native.pid)
            assert kernel.uids().effective != 0
            await until(lambda: oom_score_adj(kernel.pid) == 1000)
            assert oom_score_adj(native.pid) == oom_score_adj(os.getpid())
            await native.cancel()
            assert (await running).outcome is Outcome.CANCELLED
        finally:
            await native.stop()


async def test_a_runner_that_does_not_read_has_the_same_time_as_one_that_does_not_answer() -> None:
    connection = Connection(await LocalTransport().spawn(["sleep", "60"]))
    began = time.monotonic()
    try:
        with pytest.raises(RunnerDiedError, match="gave no answer within 1 s"):
            await connection.ask([bytes(8 << 20)], 1, within_s=1.0)
        assert 0.9 < time.monotonic() - began < 1.8
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("absent", None, "No such file"),
        ("text", "#!/bin/sh\nexit 0\n", "exit status 0"),
        ("talker", "#!/bin/sh\nprintf 'Hello, this is no runner at all'\n", "closed its output|exit status|frame"),
        ("stranger", "#!/bin/sh\nprintf '\\004\\000\\000\\000\\201nope'; cat\n", "is no runner"),
    ],
)
async def test_a_program_that_is_no_runner(tmp_path: Path, name: str, content: str | None, says: str) -> None:
    program = tmp_path / name
    if content is not None:
        program.write_text(content)
        program.chmod(0o755)
    with pytest.raises(RunnerError, match=says):
        await NativeRunner(program, None).start()


async def test_two_trials_at_once_are_refused(runner: NativeRunner) -> None:
    running = asyncio.create_task(runner.run(request_of(kernels.kernel("hang"), ZEROS)))
    await until(lambda: family(runner.pid))
    with pytest.raises(RunnerError, match="two trials at once"):
        await runner.run(request_of(kernels.kernel("count"), ZEROS))
    await runner.cancel()
    assert (await running).outcome is Outcome.CANCELLED


async def test_cancelling_before_the_kernel_is_sent(runner: NativeRunner) -> None:
    await runner.stop()  # so that the trial has to wait for a new runner
    running = asyncio.create_task(runner.run(request_of(kernels.kernel("hang"), ZEROS)))
    await asyncio.sleep(0)
    await runner.cancel()
    assert (await asyncio.wait_for(running, 5)).outcome is Outcome.CANCELLED
    assert await works(runner)


# The next trial, told ahead


def trail_request(trail: Path, limits: Limits = TEN_SECONDS) -> LocalRequest:
    """A trial that adds a byte to ``trail`` at each of its two calls."""
    trail.write_bytes(b"")
    path = Argument((256,), "int8", data=os.fsencode(trail).ljust(256, b"\0"))
    asked = request_of(kernels.kernel("trail"), path, ZEROS, limits=limits)
    return replace(asked, request=replace(asked.request, trial_id=trail.name))


async def test_an_offered_trial_begins_at_the_end_of_the_one_before(runner: NativeRunner, tmp_path: Path) -> None:
    following = trail_request(tmp_path / "trail")
    running = asyncio.create_task(
        runner.run(request_of(kernels.kernel("hang"), ZEROS, limits=Limits(run_timeout_s=0.5)))
    )
    await until(lambda: family(runner.pid))
    await runner.offer(following)
    assert (tmp_path / "trail").stat().st_size == 0
    first = await running
    assert first.outcome is Outcome.RUN_TIMEOUT
    await until(lambda: (tmp_path / "trail").stat().st_size == 2)  # nobody has asked for it yet
    report = await runner.run(following)
    assert report.outcome is Outcome.OK
    assert report.started_s >= first.finished_s
    assert (tmp_path / "trail").stat().st_size == 2
    assert await works(runner)


async def test_a_cancelled_trial_makes_way_for_the_offered_one(runner: NativeRunner, tmp_path: Path) -> None:
    following = trail_request(tmp_path / "trail")
    running = asyncio.create_task(runner.run(request_of(kernels.kernel("hang"), ZEROS)))
    await until(lambda: family(runner.pid))
    await runner.offer(following)
    await runner.cancel()
    assert (await running).outcome is Outcome.CANCELLED
    assert (await runner.run(following)).outcome is Outcome.OK
    assert (tmp_path / "trail").stat().st_size == 2


async def test_an_offer_that_is_taken_back_never_runs(runner: NativeRunner, tmp_path: Path) -> None:
    following, other = trail_request(tmp_path / "trail"), trail_request(tmp_path / "other")
    running = asyncio.create_task(runner.run(request_of(kernels.kernel("hang"), ZEROS)))
    await until(lambda: family(runner.pid))
    await runner.offer(following)
    await runner.withdraw(following)
    await runner.offer(other)
    await runner.withdraw(following)
    await runner.cancel()
    assert (await running).outcome is Outcome.CANCELLED
    assert (await runner.run(other)).outcome is Outcome.OK
    assert [(tmp_path / name).stat().st_size for name in ("trail", "other")] == [0, 2]


async def test_several_offers_are_run_in_their_order(runner: NativeRunner, tmp_path: Path) -> None:
    """More than the runner takes ahead: those too many are sent by their ``run``."""
    following = [trail_request(tmp_path / f"trail {number}") for number in range(6)]
    running = asyncio.create_task(runner.run(request_of(kernels.kernel("hang"), ZEROS)))
    await until(lambda: family(runner.pid))
    for each in following:
        await runner.offer(each)
    await runner.withdraw(following[1])
    await runner.cancel()
    await running
    reports = [await runner.run(each) for each in following]
    assert [report.outcome for report in reports] == [Outcome.OK] * 6
    began = [report.started_s for number, report in enumerate(reports) if number != 1]
    assert began == sorted(began)
    assert [(tmp_path / f"trail {number}").stat().st_size for number in range(6)] == [2] * 6


async def test_an_offer_that_has_begun_is_stopped_when_it_is_taken_back(runner: NativeRunner) -> None:
    slow = request_of(kernels.kernel("hang"), ZEROS, limits=Limits(run_timeout_s=0.3))
    following = request_of(kernels.kernel("hang"), ZEROS, limits=Limits(run_timeout_s=60))
    following = replace(following, request=replace(following.request, trial_id="following"))
    running = asyncio.create_task(runner.run(slow))
    await until(lambda: family(runner.pid))
    await runner.offer(following)
    assert (await running).outcome is Outcome.RUN_TIMEOUT
    await until(lambda: family(runner.pid))
    await runner.withdraw(following)
    await until(lambda: not family(runner.pid))
    assert await works(runner)


async def test_another_trial_than_the_offered_one_comes_after_it(runner: NativeRunner, tmp_path: Path) -> None:
    following, other = trail_request(tmp_path / "trail"), trail_request(tmp_path / "other")
    running = asyncio.create_task(runner.run(request_of(kernels.kernel("hang"), ZEROS)))
    await until(lambda: family(runner.pid))
    await runner.offer(following)
    await runner.cancel()
    await running
    assert (await runner.run(other)).outcome is Outcome.OK
    assert (await runner.run(following)).outcome is Outcome.OK
    assert [(tmp_path / name).stat().st_size for name in ("trail", "other")] == [2, 2]


async def test_an_offered_trial_outlives_the_runner_that_it_was_told(runner: NativeRunner, tmp_path: Path) -> None:
    following = trail_request(tmp_path / "trail")
    slow = request_of(kernels.kernel("hang"), ZEROS, limits=Limits(run_timeout_s=0.5))
    running = asyncio.create_task(runner.run(slow))
    await until(lambda: family(runner.pid))
    await runner.offer(following)
    os.kill(runner.pid, signal.SIGKILL)
    assert (await running).outcome is Outcome.RUN_TIMEOUT
    assert (await runner.run(following)).outcome is Outcome.OK
    assert (tmp_path / "trail").stat().st_size == 2


async def test_an_offer_that_cannot_be_executed_is_told_by_its_run(runner: NativeRunner) -> None:
    broken = request_of(kernels.kernel("count"), ZEROS, plan=TimingPlan(cache_flush_bytes=1 << 31))
    broken = replace(broken, request=replace(broken.request, trial_id="broken"))
    running = asyncio.create_task(runner.run(request_of(kernels.kernel("hang"), ZEROS)))
    await until(lambda: family(runner.pid))
    await runner.offer(broken)
    await runner.cancel()
    await running
    report = await runner.run(broken)
    assert (report.outcome, "cache_flush_bytes" in report.detail) == (Outcome.RUN_ERROR, True)


# Arguments that are kept from one trial to the next


async def test_what_a_kernel_writes_to_its_arguments_is_gone_with_it(runner: NativeRunner) -> None:
    filled = Argument((4,), "int32", fill_seed=9)
    values = ((kernels.splitmix(9, 4) >> np.uint64(32)) * np.uint64(10) >> np.uint64(32)).astype("int32")
    for _ in range(3):
        report = await runner.run(request_of(kernels.kernel("count"), filled, outputs=(0,)))
        assert array(report.outputs[0]).tolist() == [values[0] + 1, *values[1:]]


@pytest.mark.parametrize("size", [64, 256, 1024])
async def test_equal_arguments_are_tensors_of_their_own(runner: NativeRunner, size: int) -> None:
    """Those of 256 KB are inherited from what is kept, smaller and larger ones are copied."""
    same = Argument((size, size), "float32", fill_seed=1)
    values = kernels.splitmix_uniform(1, (size, size))
    for _ in range(2):
        report = await runner.run(request_of(kernels.matmul(size), same, same, same, outputs=(0, 1, 2)))
        assert report.outcome is Outcome.OK, report.detail
        np.testing.assert_array_equal(array(report.outputs[0]), values)
        np.testing.assert_array_equal(array(report.outputs[1]), values)
        np.testing.assert_allclose(array(report.outputs[2]), values @ values, rtol=1e-4)


async def test_what_is_kept_is_bounded_and_the_oldest_goes(runner: NativeRunner) -> None:
    idle = psutil.Process(runner.pid).memory_info().rss
    for seed in range(0, 21, 3):  # 84 MB in all
        args = (Argument((1024, 1024), "float32", fill_seed=seed + i) for i in range(3))
        report = await runner.run(request_of(kernels.matmul(1024), *args))
        assert report.outcome is Outcome.OK, report.detail
    assert psutil.Process(runner.pid).memory_info().rss - idle < 72 << 20
    assert await works(runner)


async def test_a_limit_counts_a_trials_own_tensors_and_not_what_is_kept_for_others(runner: NativeRunner) -> None:
    kept = tuple(Argument((1024, 1024), "float32", fill_seed=i) for i in range(3))
    assert (await runner.run(request_of(kernels.matmul(1024), *kept))).outcome is Outcome.OK
    small = (Argument((64, 64), "float32", fill_seed=1),) * 3
    report = await runner.run(request_of(kernels.matmul(64), *small, limits=Limits(memory_bytes=8 << 20)))
    assert report.outcome is Outcome.OK, report.detail
    for limit, outcome in ((10 << 20, Outcome.OUT_OF_MEMORY), (20 << 20, Outcome.OK)):
        report = await runner.run(request_of(kernels.matmul(1024), *kept, limits=Limits(memory_bytes=limit)))
        assert report.outcome is outcome, report.detail
    args = (Argument((4,), "float32", fill_seed=1),) * 2
    for limit, outcome in ((100 << 20, Outcome.OUT_OF_MEMORY), (400 << 20, Outcome.OK)):
        report = await runner.run(request_of(kernels.scratch(256), *args, limits=Limits(memory_bytes=limit)))
        assert report.outcome is outcome, report.detail
