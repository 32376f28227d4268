"""Records for the log's benchmark, and what is true of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tvm_farm.protos.device import RunnerMode, Telemetry
from tvm_farm.protos.measurement import Artifact, Measurement, Outcome, Timeline, TimingPlan
from tvm_farm.tracker.domain import Job, JobKind, JobSpec, JobState, Record, TaskPlan, Workload

__all__ = ["CLASSES", "JOB_TRIALS", "WORKLOADS", "Truth", "make_records"]

WORKLOADS = 5_000
CLASSES = 20
#: A job has this many records, for so many of the workloads, on one class; so many jobs run at the same time.
JOB_TRIALS = 1_000
_JOB_TASKS = 25
_JOBS_AT_ONCE = 40
_FAILURES = (Outcome.BUILD_ERROR, Outcome.BUILD_TIMEOUT, Outcome.RUN_TIMEOUT, Outcome.CRASH)
_FAILED = 0.1
_PLAN = TimingPlan(number=1, repeat=3, min_repeat_ms=10)
_VERSIONS = {"farm": "0.1.0", "tvm": "0.27.0.post1", "tvm_ffi": "0.1.14.post1", "agent": "0.1.0"}


@dataclass
class Truth:
    """What a store must answer: seconds of the fastest by workload and class, trial ids by job in their order."""

    best: dict[tuple[str, str], float] = field(default_factory=dict)
    jobs: dict[str, list[str]] = field(default_factory=dict)

    def note(self, record: Record) -> None:
        self.jobs[record.job_id].append(record.trial_id)
        measurement = record.measurement
        if measurement.outcome is Outcome.OK:
            pair = (record.workload, measurement.device_class)
            median_s = sorted(measurement.run_secs)[1]
            self.best[pair] = min(median_s, self.best.get(pair, median_s))


class _Maker:
    def __init__(self, traces: Sequence[Sequence[str]], seed: int) -> None:
        self.rng = random.Random(seed)
        # What differs between candidates of a sketch is its decisions, the second half of a trace.
        self._sketches = [[_split(trace) for trace in of_kind] for of_kind in traces]
        self._now = 1.7e9

    def job(self, number: int) -> tuple[Job, list[TaskPlan]]:
        rng = self.rng
        job_id = f"network-{number:06}"
        spec = JobSpec(
            JobKind.TUNE, "network", Artifact("ab" * 32, 5_000_000), "all", max_trials=JOB_TRIALS, user="ada"
        )
        plans = []
        for position, chosen in enumerate(rng.sample(range(WORKLOADS), _JOB_TASKS)):
            workload = Workload(f"{chosen * 0x9E3779B97F4A7C15 % 2**64:016x}", f"fused_conv2d_add_relu{chosen}", "{}")
            plans.append(TaskPlan(f"{job_id}/{position}", workload.name, 1 + position % 4, workload))
        return Job(job_id, spec, JobState.RUNNING, created_unix_s=self._now, worker_id="w1"), plans

    def record(self, job_id: str, device_class: int, plan: TaskPlan) -> Record:
        rng = self.rng
        self._now = now = self._now + 0.01
        ok = rng.random() >= _FAILED
        base_s = rng.lognormvariate(-6.0, 1.5)
        run_secs = tuple(base_s * rng.uniform(0.97, 1.05) for _ in range(3)) if ok else ()
        board = rng.randrange(3)
        number = int(plan.workload.key, 16)
        measurement = Measurement(
            # As new_trial_id makes them, when it was proposed.
            trial_id=f"{int(1e3 * (now - rng.uniform(1, 20))):012x}{rng.getrandbits(80):020x}",
            outcome=Outcome.OK if ok else rng.choice(_FAILURES),
            detail="" if ok else "InternalError: Check failed: the buffer's extent is not the loop's: " + "x" * 80,
            run_secs=run_secs,
            device_id=f"{device_class * 3 + board:032x}",
            device_name=f"rpi4-{device_class:02}-{board}",
            device_class=f"Raspberry Pi 4 {device_class:02} 4xCortex-A72 1500MHz performance full",
            before=_telemetry(rng, now),
            after=_telemetry(rng, now + 0.2),
            timeline=Timeline(*(now + 0.02 * step for step in range(11))),
        )
        return Record(
            trial_id=measurement.trial_id,
            job_id=job_id,
            task_id=plan.id,
            workload=plan.workload.key,
            workload_name=plan.workload.name,
            target='{"kind":"llvm","mtriple":"aarch64-linux-gnu","mcpu":"cortex-a72","mattr":["+neon"],"num-cores":4}',
            engine="ansor",
            trace=self._trace(number),
            measurement=measurement,
            plan=_PLAN,
            versions=dict(_VERSIONS),
            runner_mode=RunnerMode.FULL,
            user="ada",
        )

    def _trace(self, workload: int) -> str:
        """One of the sketches of the workload's operator, its tiles drawn anew."""
        kind = self._sketches[workload % len(self._sketches)]
        head, decisions = self.rng.choice(kind)
        chance = self.rng.random
        drawn = [
            [place, [1 << int(7 * chance()) for _ in tiles] if isinstance(tiles, list) else tiles]
            for place, tiles in decisions
        ]
        return f"{head}{json.dumps(drawn, separators=(',', ':'))}]"


def make_records(
    count: int, traces: Sequence[Sequence[str]], truth: Truth, seed: int = 1
) -> Iterator[tuple[list[tuple[Job, list[TaskPlan]]], list[Record]]]:
    """``count`` records in pieces, as a busy farm's tracker gets them, each after the jobs that begin with it.

    Many jobs run at a time and their records come mixed, a tenth of them failures. ``traces``: real ones, some of
    each kind of operator; each record's is one of them with other tile sizes.
    """
    maker = _Maker(traces, seed)
    rng = maker.rng
    running: list[tuple[str, int, list[TaskPlan]]] = []
    made = started = 0
    while made < count:
        begun, piece = [], []
        for _ in range(min(20_000, count - made)):
            while len(running) < _JOBS_AT_ONCE and started < max(1, count // JOB_TRIALS):
                job, plans = maker.job(started)
                begun.append((job, plans))
                running.append((job.id, rng.randrange(CLASSES), plans))
                truth.jobs[job.id] = []
                started += 1
            chosen = rng.randrange(len(running))
            job_id, device_class, plans = running[chosen]
            record = maker.record(job_id, device_class, rng.choice(plans))
            truth.note(record)
            piece.append(record)
            if len(truth.jobs[job_id]) >= JOB_TRIALS and len(running) > 1:
                running.pop(chosen)
        made += len(piece)
        yield begun, piece


def _split(trace: str) -> tuple[str, list[list[object]]]:
    instructions, decisions = json.loads(trace)
    return f"[{json.dumps(instructions, separators=(',', ':'))},", decisions


def _telemetry(rng: random.Random, now: float) -> Telemetry:
    frequencies = tuple(600_000 if rng.random() < 0.5 else 1_500_000 for _ in range(4))
    return Telemetry(
        now, 45 + 20 * rng.random(), frequencies, (), rng.random(), 3_000_000_000 + rng.randrange(10**8), 0.0
    )
