"""What a measurement costs beside the kernel: 64 compiled candidates through each side's whole way.

Twice as many candidates of a 512x512x512 float32 matmul are proposed and compiled once and the faster half of
them chosen, since the slow ones' own times vary by more than the overhead; that time is outside. Then the
same object code is measured with ``number=1, repeat=1``:

- stock: ``RPCRunner`` -> RPC tracker -> RPC server: a session each, upload, link on the server, allocate and
  fill three tensors, time, clean up. Timed from ``runner.run`` to the last future's result. A second figure
  has shared objects uploaded instead of the tar files of its default builder: without the linking.
- farm: ``Farm.measuring`` -> tracker -> agent -> isolating runner. Timed from the call to the last answer.

Each side runs a kernel twice (a warm-up and the timed call), so twice its reported time is taken off its
wall time; the rest, over the number of candidates, is the overhead. Both have measured another kernel
before, so that their processes are up.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench
from benchmarks.farm import LocalFarm
from benchmarks.machine import host_target, threads
from benchmarks.plotting import FARM, MUTED, STOCK, pick
from benchmarks.result import Metric, Result
from benchmarks.results_file import quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmarks.matmul import Candidate
    from benchmarks.stock import StockFarm

TITLE = "measure: overhead of a measurement beside its kernel, 64 candidates of a 512³ matmul"
OVERHEAD = "overhead a candidate"
LINKED = "overhead a candidate, stock with linked libraries"
METRICS = (
    Metric(OVERHEAD, "ms", must="ratio >= 25", aim="farm <= 1.3"),
    Metric(LINKED, "ms"),
)


def run(bench: Bench) -> list[Result]:
    from benchmarks.matmul import build_candidates, matmul, sample_candidates
    from benchmarks.stock import StockFarm

    count = 4 if bench.quick else 64
    with bench.step("compile candidates once"):
        proposed = sample_candidates(matmul(), host_target(), 2 * count + 32, quick=bench.quick)
        built = build_candidates(proposed, host_target(), bench.folder, 2 * count)
    with bench.step(f"choose the {count} fastest"):
        candidates = fastest(bench.folder / "choosing", built, count + 1)
    with LocalFarm(bench.folder, agents=1) as farm, bench.step("measure them on the farm"):
        ours = measure_farm(farm, candidates)
    with StockFarm(bench.folder / "stock", threads=threads(), quick=bench.quick) as stock:
        with bench.step("measure them with stock TVM"):
            theirs = measure_stock(stock, candidates, "tar")
        with bench.step("measure linked libraries with stock TVM"):
            linked = measure_stock(stock, candidates, "library")
    bench.series.update(farm=ours, stock=theirs, stock_linked=linked)
    return [
        bench.result(OVERHEAD, farm=overhead_ms(ours), stock=overhead_ms(theirs)),
        bench.result(LINKED, farm=overhead_ms(ours), stock=overhead_ms(linked)),
    ]


def fastest(folder: Path, candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """The ``count`` fastest of ``candidates``, by a run on a farm of its own, which nothing that follows knows."""
    folder.mkdir()
    with LocalFarm(folder, agents=1) as farm:
        run_s = measure_farm(farm, [candidates[0], *candidates])["run_s"]
    return [candidate for _, candidate in sorted(zip(run_s, candidates, strict=True), key=lambda pair: pair[0])[:count]]


def overhead_ms(side: dict[str, Any]) -> float:
    run_s: list[float] = side["run_s"]
    return float(1e3 * (side["wall_s"] - 2 * sum(run_s)) / len(run_s))


def measure_farm(farm: LocalFarm, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Wall seconds and the kernels' own, in order; the first candidate only warms up. RuntimeError if one fails.

    Trial ids are new ones each time.
    """
    from benchmarks.matmul import request
    from tvm_farm.protos.measurement import Measurement, TimingPlan

    plan = TimingPlan(number=1, repeat=1)
    requests = [request(uuid.uuid4().hex, each.library.read_bytes(), plan) for each in candidates]
    pool = farm.devices()[0].pools[0]
    run_s: dict[str, float] = {}
    begun_s = 0.0
    for batch in (requests[:1], requests[1:]):
        run_s.clear()
        begun_s = time.perf_counter()
        for answer in farm.client.measuring.measure(batch, client="benchmark", pool=pool):
            if isinstance(answer, Measurement):
                if not answer.run_secs:
                    raise RuntimeError(
                        f"the farm could not measure {answer.trial_id}: {answer.outcome} {answer.detail}"
                    )
                run_s[answer.trial_id] = answer.run_secs[0]
    wall_s = time.perf_counter() - begun_s
    return {"wall_s": wall_s, "run_s": [run_s[each.trial_id] for each in requests[1:]]}


def measure_stock(stock: StockFarm, candidates: Sequence[Candidate], kind: str) -> dict[str, Any]:
    """The same with RPCRunner; ``kind``: ``tar`` or ``library``, which of a candidate's files is uploaded."""
    from tvm.s_tir import meta_schedule as ms

    config = ms.runner.EvaluatorConfig(number=1, repeat=1, min_repeat_ms=0)
    runner = ms.runner.RPCRunner(rpc_config=stock.rpc_config(), evaluator_config=config)
    inputs = [
        ms.runner.RunnerInput(str(getattr(each, kind)), device_type="cpu", args_info=list(each.arguments))
        for each in candidates
    ]
    run_s: list[float] = []
    begun_s = 0.0
    for batch in (inputs[:1], inputs[1:]):
        begun_s = time.perf_counter()
        results = [future.result() for future in runner.run(batch)]
        failed = [result.error_msg for result in results if result.run_secs is None]
        if failed:
            raise RuntimeError(f"stock TVM could not measure {len(failed)} candidates, the first: {failed[0]}")
        run_s = [float(result.run_secs[0]) for result in results]
    return {"wall_s": time.perf_counter() - begun_s, "run_s": run_s}


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    main, linked = pick(results, OVERHEAD), pick(results, LINKED)
    assert main.stock is not None
    assert linked.stock is not None
    axes = figure.subplots()
    bars = [("farm", main.farm, FARM), ("stock,\nlinked libraries", linked.stock, MUTED), ("stock", main.stock, STOCK)]
    for place, (_, value, colour) in enumerate(bars):
        axes.barh(place, value, color=colour, height=0.6)
        label = quantity(value, "ms") + ("" if place == 0 else f"   {value / main.farm:.3g}x")
        axes.annotate(f" {label}", (value, place), va="center")
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    axes.set_xlim(0, 1.3 * max(value for _, value, _ in bars))
    axes.set_xlabel("wall time above the kernel's own [ms a candidate]")
    axes.spines[["top", "right"]].set_visible(False)
