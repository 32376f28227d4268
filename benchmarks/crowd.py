"""One tracker process and a thousand boards: trials a second, what the tracker adds to each, its memory.

The boards speak the whole Fleet protocol over a TCP connection each and execute nothing but the passing of
time (benchmarks.crowd_boards, one process); a client feeds them a tuning job's trials, each with a library
of 16 KiB and one of thirty traces, each recorded in SQLite on disk before it is answered. Tracker, boards and
client share the machine: what boards and client take of it is not the tracker's.

- *measurements a second*: kernels of 100 ms, so that 1,000 boards could do 10,000/s, with two trials a board
  always asked for: the most that the tracker (or the machine with all of this on it) gets through.
- *added latency* at 2,500 trials a second, kernels of 300 ms: of each trial, the time in which neither it nor
  the trial before it on its board executed: from being submitted, or from the end of the trial before it where
  that came later, to its start; and from its end to its answer, recorded, at the client. The clocks are one.
- *boards' own clocks*: by how much a kernel took longer than it was to. It is no part of the added latency; where
  it comes near that, the boards, not the tracker, are at the end of their CPU and the latency is theirs.
- *10,000 connected*: memory with that many boards joined, each sending telemetry every 5 s (full run).

Stock TVM's tracker gives out leases and sees no measurement, so it has no side here. The run fails unless
every trial was answered exactly once and the store holds each exactly once. 10,000 boards need that many open
files in the tracker and in the boards' process (``ulimit -Hn``).
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import psutil
import uvloop

from benchmarks.bench import Bench
from benchmarks.board_processes import board_processes
from benchmarks.farm import LocalFarm
from benchmarks.plotting import FARM, MUTED, pick
from benchmarks.result import Metric, Result
from benchmarks.trial_load import Answered, TrialLoad, check_store, trial_load

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["METRICS", "TITLE", "plot", "run"]

TITLE = "crowd: one tracker process, a thousand boards"
MOST = "measurements a second"
CPU = "tracker CPU a measurement"
P50 = "added latency at 2,500/s, p50"
P99 = "added latency at 2,500/s, p99"
REACHED = "measurements a second when 2,500/s are asked for"
LATE = "boards' own clocks at 2,500/s late, p99"
RSS = "tracker RSS, 1,000 boards measuring"
RSS_10K = "tracker RSS, 10,000 boards connected"
METRICS = (
    Metric(MOST, "1/s", lower_is_better=False, must="farm >= 2500", aim="farm >= 5000"),
    Metric(CPU, "ms"),
    Metric(REACHED, "1/s", lower_is_better=False, must="farm >= 2450"),
    Metric(P50, "ms"),
    Metric(P99, "ms", must="farm < 100"),
    Metric(LATE, "ms"),
    Metric(RSS, "MB", must="farm < 600"),
    Metric(RSS_10K, "MB"),
)
_BOARDS = 1000
_SLOTS = 2
_POOL = "synthetic"
_RATE = 2500.0


def run(bench: Bench) -> list[Result]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    seconds = 1.0 if bench.quick else 20.0
    results = []
    with bench.step(f"{_BOARDS} boards, as many trials as go"):
        most, cpu_ms, _, _, rss = uvloop.run(_load(bench, "most", seconds, None, 0.1))
        results += [bench.result(MOST, farm=most), bench.result(CPU, farm=cpu_ms), bench.result(RSS, farm=rss)]
    with bench.step(f"{_BOARDS} boards, {_RATE:.0f} trials a second"):
        reached, _, added_s, late_s, _ = uvloop.run(_load(bench, "paced", seconds, _RATE, 0.3))
        results.append(bench.result(REACHED, farm=reached))
        results += [bench.result(name, farm=1e3 * _share(added_s, share)) for name, share in ((P50, 0.5), (P99, 0.99))]
        results.append(bench.result(LATE, farm=1e3 * _share(late_s, 0.99)))
        bench.series["added_ms"] = [round(1e3 * _share(added_s, n / 200), 3) for n in range(200)]
    if not bench.quick:
        with bench.step("10,000 boards connected"):
            results.append(bench.result(RSS_10K, farm=_connected(bench, 10_000)))
    return results


async def _load(
    bench: Bench, name: str, seconds: float, rate: float | None, kernel_s: float
) -> tuple[float, float, list[float], list[float], float]:
    """Measurements a second, tracker CPU milliseconds a measurement, added seconds of each, by how many seconds each
    was late on its board, RSS in MB at the end; the seconds sorted.
    """
    folder = bench.folder / name
    folder.mkdir()
    with LocalFarm(folder, agents=0) as farm:
        tracker = psutil.Process(farm.tracker.pid)
        with _boards(farm.address, _BOARDS):
            async with trial_load(farm.address, _POOL) as load:
                await _feed(load, 1.0, rate, kernel_s)
                before, cpu, began = len(load.answers), sum(tracker.cpu_times()[:2]), time.monotonic()
                await _feed(load, seconds, rate, kernel_s)
                done, took_s = len(load.answers) - before, time.monotonic() - began
                cpu_ms = 1e3 * (sum(tracker.cpu_times()[:2]) - cpu) / done
                rss = tracker.memory_info().rss / 1e6
                await load.settle()
                answers = list(load.answers.values())
    check_store(folder / "tracker", len(answers))
    late = sorted(answer.finished_s - answer.started_s - kernel_s for answer in answers)
    return done / took_s, cpu_ms, added(answers), late, rss


async def _feed(load: TrialLoad, seconds: float, rate: float | None, kernel_s: float) -> None:
    until_s = time.monotonic() + seconds
    if rate is None:
        await load.keep(2 * _SLOTS * _BOARDS // 2, kernel_s, until_s)
    else:
        await load.pace(rate, kernel_s, until_s)


def added(answers: Sequence[Answered]) -> list[float]:
    """Seconds that the farm added to each trial: see the module's docstring."""
    by_device = defaultdict(list)
    for answer in answers:
        by_device[answer.device].append(answer)
    seconds = []
    for trials in by_device.values():
        trials.sort(key=lambda trial: trial.started_s)
        free_s = 0.0
        for trial in trials:
            seconds.append(trial.started_s - max(trial.submitted_s, free_s) + trial.answered_s - trial.finished_s)
            free_s = trial.finished_s
    return sorted(seconds)


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _boards(address: str, count: int) -> AbstractContextManager[object]:
    return board_processes("benchmarks.crowd_boards", address, count, str(_SLOTS))


def _connected(bench: Bench, count: int) -> float:
    """RSS in MB of a tracker with so many boards, after two rounds of their heartbeats."""
    folder = bench.folder / "connected"
    folder.mkdir()
    with LocalFarm(folder, agents=0) as farm, _boards(farm.address, count):
        time.sleep(10.0)
        connected = farm.client.status().devices_connected
        if connected != count:
            raise RuntimeError(f"{connected} of {count} boards are connected")
        return psutil.Process(farm.tracker.pid).memory_info().rss / 1e6


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    latency, rates = figure.subplots(1, 2, width_ratios=(2, 1))
    latency.plot(series["added_ms"], [n / 2 for n in range(200)], color=FARM)
    latency.axvline(100.0, color=MUTED, linestyle="--", label="bound for p99")
    latency.set_xlabel("added latency at 2,500 trials a second [ms]")
    latency.set_ylabel("trials [%]")
    latency.legend(frameon=False)
    rates.bar(0, pick(results, MOST).farm, color=FARM)
    rates.axhline(2500.0, color=MUTED, linestyle="--")
    rates.set_xticks([])
    rates.set_ylabel("measurements a second")
    for axes in (latency, rates):
        axes.spines[["top", "right"]].set_visible(False)
