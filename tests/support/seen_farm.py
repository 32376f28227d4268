"""A farm for the eye: a tracker on loopback with boards, jobs of every kind and end, and a log, without TVM."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tests.support.check_reports import GOOD, PEAKS
from tests.support.fingerprints import BOARDS
from tests.support.records import make_job, make_record
from tests.support.stand_in_agent import StandInAgent
from tests.support.stand_in_worker import StandInWorker
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.device import Telemetry
from tvm_farm.protos.farm.v1 import jobs_pb2
from tvm_farm.protos.measurement import Artifact, Timeline
from tvm_farm.protos.version import __version__
from tvm_farm.tracker.domain import (
    Job,
    JobKind,
    JobResult,
    JobSpec,
    JobState,
    Pool,
    Record,
    TaskPlan,
    TaskResult,
    Workload,
)
from tvm_farm.tracker.domain.imports import HistoryLine, ImportPart
from tvm_farm.tracker.store import Store, open_store, sqlite_url

__all__ = ["RUNNING", "SHOWN", "seen_farm"]

DONE, GROUP, RUNNING = "squeezenet1.1-ab2c", "mobilenet-v2-k7mn", "resnet50-v1-7-c4de"
_CHECKED, _ESTIMATED = "squeezenet1.1-h5rt", "squeezenet1.1-m3xy"
#: Commands that print tables, each of one line.
SHOWN = (
    ("jobs",),
    ("jobs", "show", DONE),
    ("jobs", "show", RUNNING),
    ("jobs", "show", GROUP),
    ("jobs", "show", _CHECKED),
    ("jobs", "show", _ESTIMATED),
    ("jobs", "show", DONE, "--timeline"),
    ("tasks", "show", DONE),
    ("tasks", "show", f"{DONE}/0"),
    ("devices",),
    ("devices", "show", "pi-4-lab-bench-1"),
    ("pools",),
    ("records", "query", "--limit", "8"),
    ("records", "best"),
    ("records", "history"),
    ("records", "show", "sque00000007"),
    ("records", "query", "--sql", "SELECT * FROM log LIMIT 2"),
    ("status",),
)
_BOARDS = (
    ("pi-4-lab-bench-1", "raspberry pi 4", "Raspberry Pi 4 Model B Rev 1.4", {"room": "cold"}),
    ("pi-5-lab-bench-2", "raspberry pi 5", "Raspberry Pi 5 Model B Rev 1.0", {}),
    ("graviton", "graviton 4", "Amazon EC2 c8g.large", {"room": "cold"}),
)
_CLASS = "raspberry-pi-4-model-b-rev-1.4-4x0x41-0xd08-full-4t-tvm0.27.0"
_OTHER = "raspberry-pi-5-model-b-rev-1.0-4x0x41-0xd0b-full-4t-tvm0.27.0"
_TARGET = '{"kind":"llvm","mcpu":"cortex-a72","num-cores":4}'
_NAMES = ("fused_conv2d_add_relu", "fused_conv2d1_add1_relu1_concatenate", "fused_nn_dense_add", "max_pool", "softmax")
_SPACE = json.dumps(
    {
        "template": "conv2d_nchwc.cpu",
        "engine": "autotvm",
        "size": 5120,
        "valid": 4880,
        "limits": ["tile_oc times tile_ow must fit into registers"],
        "knobs": [
            {"name": "tile_oc", "kind": "split", "size": 16, "options": [f"[-1, {n}]" for n in (1, 2, 4, 8, 16, 32)]},
            {"name": "unroll_kw", "kind": "other", "size": 2, "options": ["true", "false"]},
        ],
    }
)
_MODEL = Artifact("ab" * 32, 100)
_SPEC = JobSpec(JobKind.TUNE, "squeezenet1.1", _MODEL, "arm64", max_trials=200, budget_s=600.0, user="ada")


def _results() -> tuple[TaskResult, ...]:
    times = ((0.0312, 0.00204), (0.0121, 0.000812), (0.0023, 0.0000234), (0.000012, 0.000012), (4e-9, 3e-9))
    return tuple(
        TaskResult(name, n + 1, 1e8 / 10**n, 40, untuned_s, tuned_s, kept_untuned=untuned_s == tuned_s)
        for n, (name, (untuned_s, tuned_s)) in enumerate(zip(_NAMES, times, strict=True))
    )


def _plans(job_id: str) -> list[TaskPlan]:
    return [
        TaskPlan(f"{job_id}/{n}", name, n + 1, Workload(f"{n:016x}", name, "{}", 1e8 / 10**n), _SPACE if n < 2 else "")
        for n, name in enumerate(_NAMES)
    ]


def _record(job_id: str, n: int, now: float) -> Record:
    task, begun = n % len(_NAMES), now - 2 * 3600 + 3 * n
    steps = (0.0, 0.02, 0.05, 0.5, 0.55, 0.6, 0.62, 0.63, 0.7, 1.4, 1.5, 1.52)
    seconds = (0.01 / (task + 1) ** 4 * (1 + n % 7 / 10),)
    return make_record(
        f"{job_id[:4]}{n:08x}",
        () if n % 11 == 10 else (3e-9,) if task == 4 else seconds,
        job_id=job_id,
        task_id=f"{job_id}/{task}",
        workload=f"{task:016x}",
        workload_name=_NAMES[task],
        device_name="pi-4-lab-bench-1",
        device_class=_CLASS,
        target=_TARGET,
        engine="untuned" if n < len(_NAMES) else "ansor",
        timeline=Timeline(*(begun + step for step in steps)),
    )


def _jobs(now: float) -> list[Job]:
    result = JobResult(
        tasks=_results(),
        untuned_s=0.2413,
        tuned_s=0.0121,
        max_abs_diff=3e-7,
        rtol=1e-3,
        atol=1e-5,
        outputs_equal=True,
        device_name="pi-4-lab-bench-1",
        judge="ONNX Runtime 1.31.1",
    )
    of_class = {"device_class": _CLASS, "target": _TARGET}
    times = {
        "created_unix_s": now - 7300,
        "started_unix_s": now - 7200,
        "finished_unix_s": now - 6400,
        "worked_s": 800.0,
    }
    done = make_job(DONE, state=JobState.DONE, phase="done", result=result, **of_class, **times)
    halves = [
        make_job(f"{GROUP}.{n}", state=JobState.DONE, phase="done", group=GROUP, target=_TARGET, **times)
        for n in (1, 2)
    ]
    checked = make_job(_CHECKED, state=JobState.DONE, phase="done", **of_class, **times)
    estimated = make_job(_ESTIMATED, state=JobState.DONE, phase="done", **of_class, **times)
    running = make_job(RUNNING, phase="waiting for a worker", **of_class, created_unix_s=now - 300)
    group = replace(_SPEC, model_name="mobilenet-v2", user="grace")
    return [
        replace(done, spec=_SPEC),
        replace(halves[0], spec=replace(group, device_class=_CLASS), device_class=_CLASS, result=result),
        replace(halves[1], spec=replace(group, device_class=_OTHER), device_class=_OTHER, result=result),
        replace(
            checked,
            spec=replace(_SPEC, kind=JobKind.CHECK),
            result=JobResult(check=replace(GOOD, peaks=PEAKS)),
        ),
        replace(estimated, spec=replace(_SPEC, kind=JobKind.ESTIMATE), result=JobResult(tasks=_results())),
        make_job(
            "matmul-t9vw",
            state=JobState.FAILED,
            error="its worker died 3 times in a row without a new record; the tracker's log says how",
            **times,
        ),
        replace(running, spec=replace(_SPEC, model_name="resnet50-v1-7")),
    ]


def _fill(store: Store, now: float) -> None:
    for job in _jobs(now):
        store.jobs.add(job, "")
    for job_id in (DONE, RUNNING):
        store.jobs.add_tasks(job_id, _plans(job_id))
        store.records.add([_record(job_id, n, now) for n in range(60)])
    store.pools.put(Pool("cold", {"room": "cold"}))
    history = HistoryLine(
        format="autotvm 0.2",
        task="conv2d_NCHWc.x86 (1, 64, 56, 56), (64, 64, 3, 3)",
        target="llvm -mcpu=skylake-avx512",
        device_class="",
        cost_s=2.3e-7,
        error_no=0,
        measured_unix_s=now - 86400 * 700,
        line="{}",
    )
    store.imports.take(ImportPart(source="lab-server:/srv/logs/autotvm-2023.log", history=(history,)), now)


@contextmanager
def seen_farm(folder: Path) -> Iterator[str]:
    """Its address. A job runs, two boards idle, a third one is lost."""
    state = folder / "tracker"
    state.mkdir()
    store = open_store(sqlite_url(state / "tracker.db"))
    _fill(store, time.time())
    store.close()
    with ExitStack() as running:
        tracker = TrackerProcess(state, "--farm", "lab")
        running.callback(tracker.stop)
        for number, board in enumerate(_BOARDS, 1):
            agent = _agent(tracker.address, number, *board)
            running.callback(agent.cut)
        agent.cut()
        worker = StandInWorker(tracker.address)
        running.callback(worker.cut)
        worker.wait_for_start(RUNNING)
        worker.progress(RUNNING, "tuning", 42.0)
        asked = jobs_pb2.GetJobRequest(id=RUNNING)
        wait_until(lambda: tracker.calls.jobs.GetJob(asked).phase == "tuning", "a job that tunes")
        yield tracker.address


def _agent(address: str, number: int, name: str, kind: str, model: str, labels: dict[str, str]) -> StandInAgent:
    return StandInAgent(
        address,
        f"{number:032x}",
        name=name,
        fingerprint=replace(BOARDS[kind][0], board_model=model, memory_bytes=8 << 30, agent_version=__version__),
        labels=labels,
        telemetry=Telemetry(time.time(), 41.5 + number, (1_500_000,), load_1m=0.25),
    )
