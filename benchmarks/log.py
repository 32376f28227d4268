"""The tuning log at size: a million records over 5,000 workloads and 20 device classes.

- Written: by the tracker's own store thread in the groups it makes, with its checkpoints. Records are made before their
  writing is timed: 40 jobs at a time, mixed, each of 1,000 trials for 25 workloads on one class, a tenth of them
  failures, with traces that MetaSchedule drew, their tile sizes drawn anew. The writer then dies of SIGKILL.
- Restart: ``tracker start`` on what it left, from the command to the first answered call.
- Asked: the best record of a workload on a class, and the newest 50 of a job, each from a store just opened whose file
  the system has dropped from memory (so every page of it is read from the disk), and again warm.

Every answer is compared with what was written; a wrong one breaks the benchmark. ``python -m benchmarks.log COUNT``
does the same with another number of records and prints what it finds.

Stock TVM's log has no server and no device classes: MetaSchedule's ``JSONDatabase``, in memory with a file beside it.
Compared is what both do: commits of finished records, one by one as its users make them; the best of a workload;
opening the folder again. It gets 2,500 records of 24 workloads, since opening replays each record's trace, milliseconds
apiece: its restart is that of a log a 400th of the farm's.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench
from benchmarks.farm import LocalFarm
from benchmarks.machine import describe_machine
from benchmarks.plotting import FARM, MUTED, STOCK, pick
from benchmarks.result import Metric, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tvm_farm.tracker.store import Store

TITLE = "log: a million records over 5,000 workloads and 20 device classes"
WRITTEN = "records written"
WRITTEN_LAST = "records written, the last tenth"
BEST = "best record of a workload and class, cold, p95"
BEST_WARM = "best record of a workload and class, warm, p95"
PAGE = "page of a job's history, cold, p95"
RESTART = "restart after kill -9"
SIZE = "size on disk"
METRICS = (
    Metric(WRITTEN, "1/s", lower_is_better=False, must="farm >= 5000"),
    Metric(WRITTEN_LAST, "1/s", lower_is_better=False, must="farm >= 5000"),
    Metric(BEST, "ms", must="farm <= 10"),
    Metric(BEST_WARM, "ms", must="farm <= 10"),
    Metric(PAGE, "ms", must="farm <= 30"),
    Metric(RESTART, "s", must="farm <= 2"),
    Metric(SIZE, "B/record"),
)
LIMIT_S = 900.0
_PAGE_RECORDS = 50
_QUESTIONS = 400


def run(bench: Bench) -> list[Result]:
    from benchmarks.log_stock import fill_database, sample_operators

    count, kinds, stock_records = (10_000, 6, 250) if bench.quick else (1_000_000, 24, 2_500)
    with bench.step("stock: draw traces"):
        operators = sample_operators(kinds, 8)
    with bench.step(f"stock: {stock_records:,} records into JSONDatabase"):
        stock = fill_database(bench.folder / "stock", operators, stock_records)
    traces = [operator.texts() for operator in operators]
    farm = measure(bench.folder / "farm", count, traces, bench.step)
    bench.series.update(farm=farm, stock_records=stock.records)
    return [
        bench.result(WRITTEN, farm=farm["written"], stock=stock.commits_per_s),
        bench.result(WRITTEN_LAST, farm=farm["last"], stock=stock.last_tenth_per_s),
        bench.result(BEST, farm=1e3 * farm["best_cold_s"]),
        bench.result(BEST_WARM, farm=1e3 * farm["best_warm_s"], stock=1e3 * stock.best_p95_s),
        bench.result(PAGE, farm=1e3 * farm["page_cold_s"]),
        bench.result(RESTART, farm=farm["restart_s"], stock=stock.reopen_s),
        bench.result(SIZE, farm=farm["bytes"] / count, stock=stock.bytes_per_record),
    ]


def measure(folder: Path, count: int, traces: list[list[str]], step: Callable[[str], Any]) -> dict[str, Any]:
    """The farm's side. Raises RuntimeError where the store answers wrongly."""
    state = folder / "tracker"
    state.mkdir(parents=True)
    path = state / "tracker.db"
    with step(f"write {count:,} records"):
        truth = _write(folder, path, count, traces)
    rates = [n / s for n, s in zip(truth["records"], truth["seconds"], strict=True)]
    tenth = max(1, len(rates) // 10)
    last = sum(truth["records"][-tenth:]) / sum(truth["seconds"][-tenth:])
    _forget_pages(state)
    with step("restart"):
        restart_s = _restart(folder, truth["jobs"])
    with step("ask"):
        answers = ask(path, truth)
    return {
        "written": sum(truth["records"]) / sum(truth["seconds"]),
        "last": last,
        "rates": rates,
        "records": truth["records"],
        "bytes": truth["bytes"],
        "rss_bytes": truth["rss_bytes"],
        "restart_s": restart_s,
        **answers,
    }


def _write(folder: Path, path: Path, count: int, traces: list[list[str]]) -> dict[str, Any]:
    answer, given = folder / "written.json", folder / "traces.json"
    given.write_text(json.dumps(traces), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.log_writer", str(path), str(answer), str(count), str(given)]
    done = subprocess.run(command, check=False)
    if done.returncode != -signal.SIGKILL or not answer.exists():
        raise RuntimeError(f"the writer of records ended with {done.returncode} before its work was done")
    truth: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return truth


def _restart(folder: Path, jobs: dict[str, list[str]]) -> float:
    """Seconds from starting a tracker to its first answer, which must count every record of a job."""
    begun = time.perf_counter()
    with LocalFarm(folder, agents=0) as farm:
        farm.client.status()
        took = time.perf_counter() - begun
        for job_id in list(jobs)[:: max(1, len(jobs) // 20)]:
            counted = farm.client.jobs.get(job_id).trials
            if counted != len(jobs[job_id]):
                raise RuntimeError(f"job {job_id} counts {counted} trials after the restart, not {len(jobs[job_id])}")
    return took


def ask(path: Path, truth: dict[str, Any]) -> dict[str, float]:
    """Seconds of each kind of question, 95 of 100. Raises RuntimeError where an answer is not in ``truth``."""
    from tvm_farm.tracker.domain import RecordFilter
    from tvm_farm.tracker.store import open_store, sqlite_url

    rng = random.Random(3)
    pairs = rng.sample(truth["best"], min(_QUESTIONS, len(truth["best"])))
    jobs = rng.sample(sorted(truth["jobs"].items()), min(_QUESTIONS // 4, len(truth["jobs"])))

    def best(store: Store, question: Any) -> None:
        workload, device_class, least_s = question
        found = store.records.best([workload], {device_class}, "", 1)
        median_s = sorted(found[0].measurement.run_secs)[1] if found else 0.0
        if median_s != least_s:
            raise RuntimeError(f"the best of {workload} on {device_class} has {median_s} s, the least was {least_s} s")

    def page(store: Store, question: Any) -> None:
        job_id, trials = question
        found, _ = store.records.page(RecordFilter(job_id=job_id, newest_first=True), None, 0, _PAGE_RECORDS)
        if [record.trial_id for record in found] != trials[: -_PAGE_RECORDS - 1 : -1]:
            raise RuntimeError(f"the newest records of job {job_id} are not those that were written last")

    def p95(question_of: Callable[[Store, Any], None], questions: list[Any], *, cold: bool) -> float:
        if cold:
            _forget_pages(path.parent)
        store, took = open_store(sqlite_url(path)), []
        try:
            for question in questions if cold else [*questions, *questions]:
                begun = time.perf_counter()
                question_of(store, question)
                took.append(time.perf_counter() - begun)
        finally:
            store.close()
        return sorted(took[-len(questions) :])[int(0.95 * len(questions))]

    return {
        "best_cold_s": p95(best, pairs, cold=True),
        "best_warm_s": p95(best, pairs, cold=False),
        "page_cold_s": p95(page, jobs, cold=True),
    }


def _forget_pages(folder: Path) -> None:
    """Have the system read the files of ``folder`` from the disk when they are next asked for."""
    for path in folder.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    written = pick(results, WRITTEN)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    records, rates = series["farm"]["records"], series["farm"]["rates"]
    reached = [sum(records[: n + 1]) / 1e6 for n in range(len(records))]
    left.plot(reached, rates, color=FARM, label="farm")
    left.axhline(5000, color=MUTED, linewidth=0.8, label="must")
    if written.stock is not None:
        left.axhline(written.stock, color=STOCK, linewidth=0.8, label=f"stock, {series['stock_records']:,} records")
    left.set_ylim(bottom=0)
    left.set_xlabel("records in the log [million]")
    left.set_ylabel("records written [1/s]")
    left.legend(frameon=False, fontsize=8)
    bounded = [result for result in results if result.unit in ("ms", "s")]
    for place, result in enumerate(reversed(bounded)):
        limit = float((result.must or "farm <= 1").split()[-1])
        right.barh(place, result.farm / limit, color=FARM, height=0.6)
        right.annotate(f" {result.farm:.3g} {result.unit}", (result.farm / limit, place), va="center", fontsize=8)
    right.axvline(1, color=MUTED, linewidth=0.8)
    names = [result.metric.replace(", p95", "").replace(", ", "\n") for result in reversed(bounded)]
    right.set_yticks(range(len(bounded)), names, fontsize=7)
    right.set_xlabel("share of what it may take")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)


def _main(count: int) -> None:
    from benchmarks.log_stock import sample_operators

    with tempfile.TemporaryDirectory(prefix="tvm-farm-bench-log-") as folder:
        bench = Bench("log", False, Path(folder), METRICS, describe_machine(), "")
        found = measure(Path(folder, "farm"), count, [o.texts() for o in sample_operators(24, 8)], bench.step)
        print(json.dumps({name: value for name, value in found.items() if name != "records"}, indent=1))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
