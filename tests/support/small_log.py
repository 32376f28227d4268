"""A log of eight records, small enough to know what each question to it must answer."""

from __future__ import annotations

from dataclasses import replace

from tests.support.records import make_job, make_record
from tests.support.workload_module import workload_module
from tvm_farm.tracker.domain import Record, TaskPlan, Workload
from tvm_farm.tracker.store import Store

__all__ = ["fill", "log_record"]

MATMUL = workload_module([(512, 256), (256, 128)], [[(512, False), (128, False), (256, True)]])
CONV = workload_module([(1, 4, 56, 56, 16), (1, 4, 56, 56, 16)])


def fill(store: Store) -> None:
    """t0 and t4 crashed, t6 was on no board. A matrix product does eight times the work of a convolution."""
    store.jobs.add(make_job("net-1"), "")
    workloads = [Workload("w0", "matmul", MATMUL, 8e6), Workload("w1", "conv2d", CONV, 1e6)]
    store.jobs.add_tasks("net-1", [TaskPlan(f"net-1/{n}", w.name, 1, w) for n, w in enumerate(workloads)])
    store.records.add([log_record(n) for n in range(8)])


def log_record(n: int) -> Record:
    times = make_record("").measurement.timeline
    seconds = (0.01 * (8 - n),) if n % 4 else ()
    return make_record(
        f"t{n}",
        seconds,
        job_id="net-1",
        task_id=f"net-1/{n % 2}",
        workload=f"w{n % 2}",
        workload_name=("matmul", "conv2d")[n % 2],
        user="ada" if n < 5 else "bob",
        trace=f"[[],[{n % 3}]]",
        device_class="pi4" if n < 4 else "pi5",
        timeline=replace(times, started_s=0.0 if n == 6 else 100.0, finished_s=100.0 + n, stored_s=float(n)),
    )
