"""Records and jobs for the store's tests."""

from __future__ import annotations

from typing import Any

from tvm_farm.protos.device import RunnerMode, Telemetry
from tvm_farm.protos.measurement import Artifact, Measurement, Outcome, Timeline, TimingPlan
from tvm_farm.tracker.domain import Job, JobKind, JobSpec, Record, Shape, TaskPlan, Workload

__all__ = ["make_job", "make_record", "make_tasks"]


def make_job(job_id: str = "net-1", **changes: Any) -> Job:
    spec = JobSpec(
        kind=JobKind.TUNE,
        model_name="net",
        model=Artifact("ab" * 32, 100),
        pool="x86_64",
        max_trials=64,
        shapes=(Shape("x", (1, 3, 224, 224)),),
        user="ada",
        plan=TimingPlan(number=2),
    )
    return Job(id=job_id, spec=spec, **{"created_unix_s": 1.0, **changes})


def make_tasks(job_id: str = "net-1", count: int = 2) -> list[TaskPlan]:
    return [
        TaskPlan(f"{job_id}/{n}", f"task{n}", n + 1, Workload(f"w{n}", f"task{n}", "{}", 2e6), f"space {n}")
        for n in range(count)
    ]


def make_record(trial_id: str, run_secs: tuple[float, ...] = (0.3, 0.1, 0.2), **changes: Any) -> Record:
    measured = {
        "outcome": Outcome.OK if run_secs else Outcome.CRASH,
        "signal": 0 if run_secs else 11,
        "detail": "" if run_secs else "died of SIGSEGV",
        "cut_short": False,
        "device_id": "d1",
        "device_name": "pi-1",
        "device_class": "pi4",
        "before": Telemetry(10.0, 41.5, (1_500_000,), ("under-voltage",), 0.5, None, 12.5),
        "after": None,
        "timeline": Timeline(*map(float, range(1, 13))),
    }
    measured = {name: changes.pop(name, value) for name, value in measured.items()}
    values = {
        "job_id": "",
        "task_id": "",
        "workload": "w0",
        "workload_name": "fused_conv2d_relu",
        "target": '{"kind":"llvm"}',
        "engine": "ansor",
        "trace": "[[],[]]",
        "plan": TimingPlan(repeat=3),
        "versions": {"tvm": "0.27"},
        "runner_mode": RunnerMode.FULL,
        "user": "ada",
        **changes,
    }
    return Record(trial_id=trial_id, measurement=Measurement(trial_id, run_secs=run_secs, **measured), **values)
