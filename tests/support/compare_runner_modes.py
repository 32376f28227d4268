"""Timings of both modes of the runner on ten kernels, side by side: ``python -m tests.support.compare_runner_modes``.

Not pass or fail: the two modes alternate round by round, so that what disturbs one disturbs the other, and the
table shows the medians, their ratio, and how far the rounds of one mode scatter (median absolute deviation).
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable

import tvm
from tvm import te

from tests.support import kernels
from tvm_farm.agent.runner import LocalRequest, NativeRunner, find_runner, find_runtime
from tvm_farm.protos.measurement import Argument, Artifact, MeasureRequest, Outcome, Program, ProgramKind, TimingPlan

__all__ = ["cases", "median_s"]

ROUNDS = 9
PLAN = TimingPlan(number=1, repeat=5, min_repeat_ms=20)


def _elementwise(size: int, parallel: bool, of: Callable[[tvm.tirx.PrimExpr], tvm.tirx.PrimExpr]) -> tvm.IRModule:
    a = te.placeholder((size,), "float32", "a")
    b = te.compute((size,), lambda i: of(a[i]), "b")
    schedule = tvm.s_tir.Schedule(tvm.IRModule({"main": te.create_prim_func([a, b])}))
    (loop,) = schedule.get_loops(schedule.get_sblock("b"))
    outer, vector = schedule.split(loop, [None, 8])
    schedule.vectorize(vector)
    if parallel:
        schedule.parallel(outer)
    return schedule.mod


def cases() -> dict[str, LocalRequest]:
    """A request for each kernel, by what it is."""
    requests: dict[str, LocalRequest] = {}
    for size in (16, 64, 128, 256):
        args = tuple(Argument((size, size), "float32", fill_seed=seed) for seed in range(3))
        requests[f"matmul {size}, parallel"] = _request(kernels.matmul(size), args)
    for size, parallel in ((1 << 10, False), (1 << 10, True), (1 << 16, True), (1 << 20, False), (1 << 20, True)):
        library = kernels.build(_elementwise(size, parallel, lambda x: x * 2.0 + 1.0), f"scale_{size}_{parallel}")
        args = (Argument((size,), "float32", fill_seed=0),) * 2
        requests[f"scale {size}, {'parallel' if parallel else 'serial'}"] = _request(library, args)
    args = (Argument((4,), "float32", fill_seed=1),) * 2
    requests["scratch memory 4 MB, serial"] = _request(kernels.scratch(4), args)
    return requests


def _request(library, args: tuple[Argument, ...], plan: TimingPlan = PLAN) -> LocalRequest:
    program = Program(ProgramKind.KERNEL, Artifact("", 0), "main", args)
    return LocalRequest(MeasureRequest("compare", program, plan), library)


async def median_s(runner: NativeRunner, request: LocalRequest) -> float:
    """Of the repeats of one run. Ends the program where the kernel fails."""
    report = await runner.run(request)
    if report.outcome is not Outcome.OK:
        sys.exit(f"{request.library.name}: {report.outcome.value}: {report.detail}")
    return statistics.median(report.run_secs)


async def _overhead_ms(runner: NativeRunner, request: LocalRequest, runs: int = 200) -> tuple[float, float]:
    """Milliseconds of a whole ``run`` beyond the kernel's two calls (one untimed): median and 95th percentile."""
    spent = []
    for _ in range(runs):
        began = time.perf_counter()
        report = await runner.run(request)
        spent.append((time.perf_counter() - began - 2 * report.run_secs[0]) * 1e3)
    return statistics.median(spent), statistics.quantiles(spent, n=20)[-1]


async def main() -> None:
    full, micro = NativeRunner(find_runner(), find_runtime()), NativeRunner(find_runner(), None)
    try:
        for runner in (full, micro):
            print(await runner.start())
        print(f"{'kernel':30} {'full':>12} {'micro':>12} {'ratio':>7} {'scatter full':>13} {'micro':>7}")
        for name, request in cases().items():
            taken: dict[NativeRunner, list[float]] = {full: [], micro: []}
            for _ in range(ROUNDS):
                for runner, seconds in taken.items():
                    seconds.append(await median_s(runner, request))
            middle = {runner: statistics.median(seconds) for runner, seconds in taken.items()}
            scatter = {
                runner: statistics.median(abs(x - middle[runner]) for x in seconds) / middle[runner]
                for runner, seconds in taken.items()
            }
            print(
                f"{name:30} {middle[full] * 1e6:9.2f} us {middle[micro] * 1e6:9.2f} us"
                f" {middle[micro] / middle[full]:7.3f} {scatter[full]:13.1%} {scatter[micro]:7.1%}"
            )
        small = _request(
            kernels.matmul(16), tuple(Argument((16, 16), "float32", fill_seed=0) for _ in range(3)), TimingPlan()
        )
        serial = _request(kernels.kernel("count"), (Argument((4,), "int32", fill_seed=0),), TimingPlan())
        for name, runner in (("full", full), ("micro", micro)):
            for kind, request in (("parallel", small), ("serial", serial)):
                middle_ms, high_ms = await _overhead_ms(runner, request)
                print(
                    f"overhead of one run, {name} mode, {kind} kernel: median {middle_ms:.2f} ms, 95 % {high_ms:.2f} ms"
                )
    finally:
        await full.stop()
        await micro.stop()


if __name__ == "__main__":
    asyncio.run(main())
