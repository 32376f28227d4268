"""What every store promises: see tracker.store.base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import make_job, make_record, make_tasks
from tests.support.workload_module import workload_module
from tvm_farm.protos.device import CpuCluster, Fingerprint, RunnerInfo, RunnerMode, Telemetry
from tvm_farm.protos.measurement import Artifact, Outcome, OutputTensor
from tvm_farm.tracker.domain import (
    Device,
    DeviceOrders,
    DeviceState,
    Drain,
    Job,
    JobKind,
    JobResult,
    JobState,
    Lease,
    PackageFile,
    Pool,
    Record,
    RecordFilter,
    SearchStep,
    Task,
    TaskResult,
    TrialTimes,
    Upgrade,
    Workload,
)
from tvm_farm.tracker.domain.device_class import ClassMove
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.imports import Compaction, HistoryFilter, HistoryLine, ImportPart, ImportReport
from tvm_farm.tracker.domain.job_life import cancelled, failed, finished
from tvm_farm.tracker.scheduling.job_queue import TURNS, Turns
from tvm_farm.tracker.store import Store

Open = Callable[[], Store]


def everything(store: Store, **query: Any) -> list[Record]:
    return store.records.page(RecordFilter(**query), None, 0, 1000)[0]


def of_pages(store: Store, query: RecordFilter, size: int) -> list[str]:
    found, after = [], 0
    while True:
        page, after = store.records.page(query, None, after, size)
        found += [record.trial_id for record in page]
        if not after:
            return found


# Devices and pools.

DEVICE = Device(
    id="d1",
    name="pi-1",
    fingerprint=Fingerprint("aarch64", "Pi 4", "pi-1", (CpuCluster((0, 1), "0x41", "0xd08"),), ("asimd",)),
    runner=RunnerInfo(RunnerMode.FULL, 1, "0.27", "0.1", 4, ("llvm",)),
    labels={"rack": "2"},
    pools=("arm64",),
    device_class="pi4",
    target="{}",
    state=DeviceState.IDLE,
    telemetry=Telemetry(1.0, 50.0, (1,), ("throttled",)),
    measured=3,
)


def test_a_device_is_kept_as_it_was_last_seen(opened: Open) -> None:
    store = opened()
    store.devices.put(DEVICE)
    changed = replace(DEVICE, state=DeviceState.LOST, measured=9, name="pi-one")
    store.devices.put(changed)
    store.devices.put(replace(DEVICE, id="d0", name="a-board"))
    assert opened().devices.all() == [replace(DEVICE, id="d0", name="a-board"), changed]


def test_a_forgotten_device_is_gone_with_its_orders_and_its_records_stay(opened: Open) -> None:
    store = opened()
    device = Device("d1", "pi", Fingerprint(), RunnerInfo(RunnerMode.FULL))
    store.devices.put(device)
    store.devices.put(replace(device, id="d2", name="other"))
    for device_id in ("d1", "d2"):
        store.orders.put(device_id, DeviceOrders(labels={"rack": "3"}))
    store.records.add([make_record("t1", device_id="d1", device_name="pi")])
    assert (store.devices.forget("d1"), store.devices.forget("d1")) == (True, False)
    store = opened()
    assert [kept.name for kept in store.devices.all()] == ["other"]
    assert list(store.orders.all()) == ["d2"]
    [record] = everything(store)
    assert (record.measurement.device_id, record.measurement.device_name) == ("d1", "pi")


def test_orders_of_a_device_are_kept_apart_from_it(opened: Open) -> None:
    store = opened()
    upgrade = Upgrade("u1", "0.2.0", "d" * 64, 7, "ada", 4.0, failure="it crashed")
    store.orders.put("d1", DeviceOrders(Lease("ada", 1.0, 2.0), Drain("bob", 3.0, "fan"), {"rack": "3"}, upgrade))
    store.devices.put(DEVICE)
    store.orders.put("d2", DeviceOrders(lease=Lease("ada", 1.0, 2.0)))
    store.orders.put("d2", DeviceOrders())
    assert opened().orders.all() == {
        "d1": DeviceOrders(Lease("ada", 1.0, 2.0), Drain("bob", 3.0, "fan"), {"rack": "3"}, upgrade),
        "d2": DeviceOrders(),
    }
    assert opened().devices.all() == [DEVICE]


def test_pools(opened: Open) -> None:
    store = opened()
    store.pools.put(Pool("lab", {"rack": "1"}))
    store.pools.put(Pool("lab", {"rack": "2"}))
    store.pools.put(Pool("attic", {"rack": "3"}))
    assert opened().pools.all() == [Pool("attic", {"rack": "3"}), Pool("lab", {"rack": "2"})]
    store = opened()
    assert store.pools.delete("lab")
    assert not store.pools.delete("lab")
    assert [pool.name for pool in store.pools.all()] == ["attic"]


# Jobs.


def test_a_job_comes_back_as_it_was(opened: Open) -> None:
    job = make_job(target="{}", device_class="pi4", phase="waiting")
    assert opened().jobs.add(job, "r1") == job
    assert opened().jobs.get("net-1") == job


def test_the_same_request_is_the_same_job(store: Store) -> None:
    store.jobs.add(make_job("net-1"), "r1")
    assert store.jobs.add(make_job("net-2"), "r1").id == "net-1"
    assert store.jobs.add(make_job("net-3"), "r2").id == "net-3"
    assert [job.id for job in store.jobs.newest()] == ["net-3", "net-1"]
    found = store.jobs.of_request("r2")
    assert found is not None
    assert found.id == "net-3"
    assert store.jobs.of_request("r3") is None


def group(name: str, count: int = 3, **changes: Any) -> list[Job]:
    return [make_job(f"{name}.{n}", group=name, device_class=f"c{n}", **changes) for n in range(1, count + 1)]


def test_a_group_is_kept_as_a_whole_and_in_its_order(opened: Open) -> None:
    store = opened()
    first, *others = group("net-1")
    assert store.jobs.add(first, "r1", others) == first
    store.jobs.add(make_job("net-2"), "")
    again, *more = group("net-3")
    assert store.jobs.add(again, "r1", more) == first
    store.jobs.add_tasks("net-1.2", make_tasks("net-1.2", 1))
    store = opened()
    kept = store.jobs.of_group("net-1")
    assert [replace(job, tasks=()) for job in kept] == [first, *others]
    assert [len(job.tasks) for job in kept] == [0, 1, 0]
    assert [job.id for job in store.jobs.newest()] == ["net-2", "net-1.3", "net-1.2", "net-1.1"]
    assert store.jobs.of_request("r1") == first
    assert (store.jobs.of_group(""), store.jobs.of_group("net-3")) == ([], [])


def test_jobs_of_a_group_have_their_turn_one_after_another(store: Store) -> None:
    first, *others = group("net-1")
    store.jobs.add(first, "", others)
    store.jobs.add(make_job("net-2"), "")

    def claimed() -> str | None:
        job = store.jobs.claim("w", 2.0, TURNS)
        return job and job.id

    assert [claimed(), claimed(), claimed()] == ["net-1.1", "net-2", None]
    store.jobs.lose_worker("net-1.1", "w", 3.0)  # queued again, it keeps its turn before the others
    assert [claimed(), claimed()] == ["net-1.1", None]
    store.jobs.change("net-1.1", lambda job: finished(job, JobResult(), 4.0))
    assert [claimed(), claimed()] == ["net-1.2", None]
    store.jobs.change("net-1.2", lambda job: cancelled(job, 5.0))
    assert [claimed(), claimed()] == ["net-1.3", None]


def test_classes_that_measured_a_workload(store: Store) -> None:
    store.records.add(
        [
            make_record("t1", workload="w0", device_class="pi5"),
            make_record("t2", workload="w0", device_class="pi4"),
            make_record("t3", workload="w0", device_class="pi5"),
            make_record("t4", (), workload="w0", device_class="fails"),
            make_record("t5", workload="w1", device_class="other"),
        ]
    )
    assert store.records.measured_classes("w0") == ["pi4", "pi5"]
    assert (store.records.measured_classes("w1"), store.records.measured_classes("w2")) == (["other"], [])


def test_jobs_without_a_request_are_never_the_same(store: Store) -> None:
    for n in range(3):
        store.jobs.add(make_job(f"net-{n}"), "")
    assert len(store.jobs.newest()) == 3


def test_ids_by_their_start(store: Store) -> None:
    for name in ("net-1", "net-12", "other-1"):
        store.jobs.add(make_job(name), "")
    assert store.jobs.ids("net") == ["net-1", "net-12"]
    assert store.jobs.ids("net-1") == ["net-1"]
    assert store.jobs.ids("o") == ["other-1"]
    assert store.jobs.ids("%") == []


def test_lists(store: Store) -> None:
    for n in range(4):
        store.jobs.add(make_job(f"net-{n}"), "")
    store.jobs.claim("w", 2.0, TURNS)
    assert [job.id for job in store.jobs.newest(limit=2)] == ["net-3", "net-2"]
    assert [job.id for job in store.jobs.newest(JobState.RUNNING)] == ["net-0"]
    assert [job.id for job in store.jobs.newest(JobState.QUEUED, 1)] == ["net-3"]
    assert store.jobs.counts() == {JobState.QUEUED: 3, JobState.RUNNING: 1}


def test_refused_jobs_are_listed_by_their_state_alone(store: Store) -> None:
    store.jobs.add(make_job("net-1"), "")
    store.jobs.add(make_job("net-2"), "r2")
    store.jobs.change("net-2", lambda job: failed(job, "no model", input_error=True, now=2.0))
    assert [job.id for job in store.jobs.newest()] == ["net-1"]
    assert [job.id for job in store.jobs.newest(JobState.REFUSED)] == ["net-2"]
    assert store.jobs.counts() == {JobState.QUEUED: 1, JobState.REFUSED: 1}
    found = store.jobs.of_request("r2")
    assert found is not None
    assert (found.id, found.error) == ("net-2", "no model")


def test_the_queue_is_in_the_order_in_which_jobs_are_claimed(store: Store) -> None:
    def spec(**changes: Any) -> Any:
        return replace(make_job().spec, **changes)

    first, *others = group("net-4", created_unix_s=30.0)
    for job in (
        make_job("net-1", created_unix_s=10.0),
        make_job("net-2", created_unix_s=20.0),
        replace(make_job("urgent", created_unix_s=500.0), spec=spec(priority=1)),
        replace(make_job("later", created_unix_s=5.0), spec=spec(priority=-1)),
    ):
        store.jobs.add(job, "")
    store.jobs.add(first, "", others)
    store.jobs.add(replace(make_job("asked", created_unix_s=900.0), spec=spec(kind=JobKind.CHECK)), "")
    assert store.jobs.claim("w0", 1.0, TURNS) is not None  # "asked" runs and waits no more
    queue = store.jobs.queue(TURNS)
    assert queue == ["urgent", "net-1", "net-2", "net-4.1", "net-4.2", "net-4.3", "later"]
    claimed = []
    while job := store.jobs.claim("w1", 1.0, TURNS):
        claimed.append(job.id)
        store.jobs.change(job.id, lambda job: finished(job, JobResult(), 2.0))
    assert claimed == queue
    assert store.jobs.queue(TURNS) == []


def test_the_oldest_job_is_claimed_once(store: Store) -> None:
    store.jobs.add(make_job("net-1"), "")
    store.jobs.add(make_job("net-2"), "")
    store.jobs.add_tasks("net-1", make_tasks())
    first = store.jobs.claim("w1", 5.0, TURNS)
    assert first is not None
    assert (first.id, first.state, first.worker_id, first.started_unix_s) == ("net-1", JobState.RUNNING, "w1", 5.0)
    assert [(task.id, task.space) for task in first.tasks] == [("net-1/0", "space 0"), ("net-1/1", "space 1")]
    second = store.jobs.claim("w2", 6.0, TURNS)
    assert second is not None
    assert second.id == "net-2"
    assert store.jobs.claim("w3", 7.0, TURNS) is None


def test_a_result_comes_back_as_it_was(opened: Open) -> None:
    store = opened()
    store.jobs.add(make_job(), "")
    result = JobResult(
        files=(PackageFile("model.so", Artifact("cd" * 32, 7)),),
        tasks=(TaskResult("conv", 2, 1e6, 10, 0.5, 0.1),),
        untuned_s=1.0,
        tuned_s=0.25,
        outputs_equal=True,
        device_name="pi-1",
    )
    store.jobs.claim("w1", 5.0, TURNS)
    store.jobs.change("net-1", lambda job: finished(job, result, 9.0))
    job = opened().jobs.get("net-1")
    assert job is not None
    assert (job.state, job.result, job.finished_unix_s) == (JobState.DONE, result, 9.0)
    assert (job.worked_s, job.working_since_unix_s) == (4.0, 0.0)


def test_a_change_that_raises_changes_nothing(store: Store) -> None:
    store.jobs.add(make_job(), "")

    def change(job: Job) -> Job:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        store.jobs.change("net-1", change)
    assert store.jobs.get("net-1") == make_job()
    assert store.jobs.change("net-9", change) is None


@pytest.mark.parametrize("turns", [TURNS, Turns(), Turns(step_s=2.0)])
def test_jobs_are_claimed_in_their_turn_of_equals_the_oldest(store: Store, turns: Turns) -> None:
    asked = [
        (5.0, 0, JobKind.TUNE),
        (3.0, 0, JobKind.TUNE),
        (900.0, 2, JobKind.TUNE),
        (3.0, 0, JobKind.COMPILE),
        (700.0, -4, JobKind.CHECK),
        (4.0, -1, JobKind.TUNE),
        (600.0, 4, JobKind.ESTIMATE),
    ]
    jobs = []
    for n, (created, priority, kind) in enumerate(asked):
        job = make_job(f"net-{n}", created_unix_s=created)
        jobs.append(replace(job, spec=replace(job.spec, priority=priority, kind=kind)))
        store.jobs.add(jobs[-1], "")
    claimed = [store.jobs.claim("w", 1.0, turns) for _ in jobs]
    assert [job and job.id for job in claimed] == [job.id for job in sorted(jobs, key=turns.unix_s)]
    assert store.jobs.claim("w", 1.0, turns) is None


def test_a_job_that_is_not_here_has_no_tasks_and_no_search(store: Store) -> None:
    with pytest.raises(ValueError, match="names job net-9"):
        store.jobs.add_tasks("net-9", make_tasks("net-9"))
    with pytest.raises(ValueError, match="names job net-9"):
        store.searches.add("net-9", SearchStep(0, 0, 1))
    assert store.workloads.get("w0") is None


def test_an_id_is_of_one_job(store: Store) -> None:
    store.jobs.add(make_job("net-1"), "r1")
    with pytest.raises(ValueError, match="there is a job net-1 already"):
        store.jobs.add(make_job("net-2"), "r2", [make_job("net-1", phase="another")])
    assert store.jobs.newest() == [make_job("net-1")]
    assert store.jobs.of_request("r2") is None


def test_losing_workers(store: Store) -> None:
    store.jobs.add(make_job(), "")
    states = []
    for _ in range(3):
        store.jobs.claim("w", 1.0, TURNS)
        lost = store.jobs.lose_worker("net-1", "w", 2.0)
        assert lost is not None
        states.append(lost.state)
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]


def test_a_new_record_between_forgives_the_losses(store: Store) -> None:
    store.jobs.add(make_job(), "")
    store.jobs.add_tasks("net-1", make_tasks())
    for n in range(6):
        store.jobs.claim("w", 1.0, TURNS)
        store.records.add([make_record(f"t{n}", job_id="net-1", task_id="net-1/0")])
        lost = store.jobs.lose_worker("net-1", "w", 2.0)
        assert lost is not None
        assert lost.state is JobState.QUEUED


def test_restarts_of_the_tracker_are_no_losses(store: Store) -> None:
    store.jobs.add(make_job(), "")
    for _ in range(5):
        store.jobs.claim("w", 1.0, TURNS)
        lost = store.jobs.lose_worker("net-1", "w", 2.0, counts=False)
        assert lost is not None
        assert lost.state is JobState.QUEUED


def test_only_the_worker_that_has_a_job_can_be_lost(store: Store) -> None:
    store.jobs.add(make_job(), "")
    running = store.jobs.claim("w", 1.0, TURNS)
    assert store.jobs.lose_worker("net-1", "other", 2.0) == running
    assert store.jobs.get("net-1") == running


def test_a_job_that_ended_has_no_worker_to_lose(store: Store) -> None:
    store.jobs.add(make_job(), "")
    store.jobs.change("net-1", lambda job: finished(job, JobResult(), 9.0))
    lost = store.jobs.lose_worker("net-1", "w", 10.0)
    assert lost is not None
    assert lost.state is JobState.DONE
    assert store.jobs.lose_worker("net-9", "w", 10.0) is None


def test_tasks_told_twice_keep_their_counters(store: Store) -> None:
    store.jobs.add(make_job(), "")
    store.jobs.add_tasks("net-1", make_tasks())
    store.records.add([make_record("t1", job_id="net-1", task_id="net-1/0")])
    store.jobs.add_tasks("net-1", make_tasks())
    job = store.jobs.get("net-1")
    assert job is not None
    assert [(t.id, t.weight, t.flops, t.trials) for t in job.tasks] == [("net-1/0", 1, 2e6, 1), ("net-1/1", 2, 2e6, 0)]
    assert store.workloads.get("w1") == Workload("w1", "task1", "{}", 2e6)
    assert store.workloads.get("w9") is None


def test_workloads_without_a_job_are_kept_once(store: Store) -> None:
    first = Workload("w1", "matmul", "{}", 2e6)
    store.workloads.add([first, Workload("w2", "conv", "[]")])
    store.workloads.add([Workload("w1", "another name", "{}", 1.0)])
    assert (store.workloads.get("w1"), store.workloads.get("w2")) == (first, Workload("w2", "conv", "[]", 0.0))
    # A job that comes to it later finds it as it is.
    store.jobs.add(make_job(), "")
    store.jobs.add_tasks("net-1", make_tasks())
    assert store.workloads.get("w1") == first


# Records.


def test_a_record_comes_back_as_it_was(opened: Open) -> None:
    store = opened()
    records = [
        make_record("t1", cut_short=True),
        make_record("t2", ()),
        make_record("t3", (), outcome=Outcome.BUILD_ERROR, signal=0, trace="", runner_mode=None, versions={}),
        make_record("t4", (0.1,) * 20, trace="[[],[]]" * 1000, after=Telemetry(11.0)),
    ]
    assert store.records.add(records) == records
    assert everything(opened()) == records


def test_outputs_are_not_kept(store: Store) -> None:
    record = make_record("t1")
    output = OutputTensor((1,), "float32", b"1234")
    with_output = replace(record, measurement=replace(record.measurement, outputs=(output,)))
    store.records.add([with_output])
    assert store.records.get("t1") == record


def test_a_trial_is_kept_and_counted_once(store: Store) -> None:
    store.jobs.add(make_job(), "")
    store.jobs.add_tasks("net-1", make_tasks())
    first = make_record("t1", (0.5,), job_id="net-1", task_id="net-1/0")
    again = make_record("t1", (0.1,), job_id="net-1", task_id="net-1/0")
    assert store.records.add([first, again]) == [first, first]
    assert store.records.add([again]) == [first]
    job = store.jobs.get("net-1")
    assert job is not None
    assert (job.trials, job.tasks[0].trials, job.tasks[0].best_s) == (1, 1, 0.5)
    assert store.records.of_job("net-1") == {"t1"}
    assert store.records.get("t2") is None


def test_of_two_records_of_a_trial_in_one_call_the_first_counts(store: Store) -> None:
    first, second = make_record("t1", (0.5,)), make_record("t1", (0.1,), job_id="net-9")
    assert store.records.add([first, second]) == [first, first]


def test_records_without_a_job_belong_to_none(store: Store) -> None:
    store.records.add([make_record("t1")])
    assert store.records.of_job("") == set()
    assert store.records.times("", 0, 10) == ([], 0)


def test_a_record_of_an_unknown_job_is_refused_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(ValueError, match=r"trial t2 names job net-9"):
        store.records.add([make_record("t1", workload="new"), make_record("t2", job_id="net-9")])
    assert store.records.page(RecordFilter(), None, 0, 10) == ([], 0)
    kept = make_record("t1", workload="new")
    assert store.records.add([kept]) == [kept]
    assert store.records.get("t1") == kept


def test_counters(store: Store) -> None:
    store.jobs.add(make_job(), "")
    store.jobs.add_tasks("net-1", make_tasks())
    here = {"job_id": "net-1", "task_id": "net-1/0"}
    store.records.add(
        [
            make_record("u", (0.9, 0.8, 0.7), engine="untuned", **here),
            make_record("t1", (0.5, 0.1, 0.6), **here),
            make_record("t2", (0.4, 0.3, 0.2), **here),
            make_record("t3", (0.8,), **here),
            make_record("t4", (), **here),
        ]
    )
    job = store.jobs.get("net-1")
    assert job is not None
    task = job.tasks[0]
    # A baseline is no trial; the median decides.
    assert (job.trials, task.trials, task.failed, task.untuned_s, task.best_s) == (4, 4, 1, 0.8, 0.3)
    assert job.tasks[1].trials == 0


@pytest.fixture
def log(store: Store) -> Store:
    for n in range(2):
        store.jobs.add(make_job(f"net-{n}"), "")
        tasks = make_tasks(f"net-{n}", 3)
        shaped = [
            replace(task, workload=replace(task.workload, module=workload_module([(7, place), (9, 9)])))
            for place, task in enumerate(tasks)
        ]
        store.jobs.add_tasks(f"net-{n}", shaped)
    for n in range(12):
        store.records.add(
            [
                make_record(
                    f"t{n:02}",
                    (0.1 * (n + 1),) if n % 4 else (),
                    job_id=f"net-{n % 2}",
                    task_id=f"net-{n % 2}/{n % 3}",
                    workload=f"w{n % 3}",
                    workload_name=f"conv{n % 3}_relu",
                    engine="untuned" if n == 5 else "ansor",
                    cut_short=n == 7,
                    device_class="pi4" if n < 6 else "pi5",
                    device_id=f"d{n % 2}",
                    device_name=f"pi-{n % 2}",
                    target="a" if n < 3 else "b",
                    user="ada" if n < 10 else "bob",
                    timeline=replace(make_record("").measurement.timeline, stored_s=float(n)),
                )
            ]
        )
    return store


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, range(12)),
        ({"job_id": "net-1"}, [1, 3, 5, 7, 9, 11]),
        ({"task_id": "net-0/0"}, [0, 6]),
        ({"workload": "w2"}, [2, 5, 8, 11]),
        ({"workload_name": "conv2"}, [2, 5, 8, 11]),
        ({"workload_name": "%"}, []),
        ({"device_class": "pi5"}, range(6, 12)),
        ({"device": "d1"}, [1, 3, 5, 7, 9, 11]),
        ({"device": "pi-0"}, [0, 2, 4, 6, 8, 10]),
        ({"engine": "untuned"}, [5]),
        ({"outcome": Outcome.CRASH}, [0, 4, 8]),
        ({"since_unix_s": 9.0}, [9, 10, 11]),
        ({"target": "a"}, [0, 1, 2]),
        ({"user": "bob"}, [10, 11]),
        ({"shapes": ("7x0",)}, [0, 3, 6, 9]),
        ({"shapes": ("7x0", "9x9")}, [0, 3, 6, 9]),
        ({"shapes": ("9x9",)}, range(12)),
        ({"shapes": ("7x0", "7x1")}, []),
        ({"shapes": ("9x9",), "workload": "w1"}, [1, 4, 7, 10]),
        ({"shapes": ("7x1",), "job_id": "net-0"}, [4, 10]),
        ({"shapes": ("7x1",), "device_class": "pi5", "newest_first": True}, [10, 7]),
        ({"workload": "w1", "newest_first": True}, [10, 7, 4, 1]),
        ({"job_id": "net-1", "workload": "w2", "outcome": Outcome.OK}, [5, 11]),
        ({"newest_first": True, "device_class": "pi4"}, [5, 4, 3, 2, 1, 0]),
    ],
)
def test_filters(log: Store, query: dict[str, Any], numbers: Any) -> None:
    expected = [f"t{n:02}" for n in numbers]
    for size in (1, 2, 5, 100):
        assert of_pages(log, RecordFilter(**query), size) == expected


def test_classes_narrow_a_query(log: Store) -> None:
    assert len(log.records.page(RecordFilter(), {"pi4", "x"}, 0, 100)[0]) == 6
    assert log.records.page(RecordFilter(), set(), 0, 100) == ([], 0)


def test_records_by_their_numbers(log: Store) -> None:
    assert [record.trial_id for record in log.records.numbered([12, 3, 99, 1])] == ["t11", "t02", "t00"]
    assert log.records.numbered([]) == []


def test_trials_by_the_start_of_their_ids(log: Store) -> None:
    assert log.records.trial_ids("t1") == ["t10", "t11"]
    assert log.records.trial_ids("t") == [f"t{n:02}" for n in range(10)]
    assert log.records.trial_ids("t03") == ["t03"]
    assert log.records.trial_ids("u") == []
    log.records.add([make_record("t")])
    assert log.records.trial_ids("t") == ["t"]


def test_times_of_a_job(log: Store) -> None:
    def times(size: int) -> list[TrialTimes]:
        found, after = log.records.times("net-1", 0, size)
        while after:
            page, after = log.records.times("net-1", after, size)
            found += page
        return found

    expected = [record for record in everything(log) if record.job_id == "net-1"]
    assert len(expected) == 6
    for size in (1, 2, 6, 100):
        assert times(size) == [
            TrialTimes(
                timeline=record.measurement.timeline,
                outcome=record.measurement.outcome or Outcome.OK,
                tuned=record.engine != "untuned",
                cut_short=record.measurement.cut_short,
                device_name=record.measurement.device_name,
            )
            for record in expected
        ]
    assert log.records.times("net-9", 0, 10) == ([], 0)


def test_best(log: Store) -> None:
    def best(*args: Any) -> list[str]:
        return [record.trial_id for record in log.records.best(*args)]

    assert best(["w0", "w1", "w2"], None, "", 1) == ["t03", "t01", "t02"]
    assert best(["w2"], None, "", 2) == ["t02", "t05"]  # the untuned one stands among the others
    assert best(["w2", "w1"], {"pi5"}, "", 1) == ["t11", "t07"]
    assert best(["w2"], {"pi4", "pi5"}, "b", 5) == ["t05", "t11"]
    assert best(["w2"], set(), "", 1) == []
    assert best(["w9"], None, "", 1) == []
    assert best(["w2", "w0"], {"pi5"}, "", 1) == ["t11", "t06"]
    assert best([], None, "", 1) == []
    assert log.records.measured_workloads() == ["w0", "w1", "w2"]


def test_records_go_on_in_a_class_of_another_name(store: Store) -> None:
    for trial, device, name in (("a", "d1", "pi"), ("b", "d2", "pi"), ("c", "", "pi"), ("d", "d1", "x86")):
        store.records.add([make_record(trial, device_id=device, device_class=name)])
    assert store.records.classes() == ["pi", "x86"]
    moves = [ClassMove("pi", "pi-gold", "d1"), ClassMove("pi", "pi-silver", "d2"), ClassMove("none", "x86")]
    assert store.records.move(moves) == 2
    assert store.records.classes() == ["pi", "pi-gold", "pi-silver", "x86"]
    assert [record.trial_id for record in store.records.best(["w0"], {"pi-gold"}, "", 9)] == ["a"]
    assert [record.trial_id for record in store.records.best(["w0"], {"pi"}, "", 9)] == ["c"]
    # Into one that there is.
    assert store.records.move([ClassMove("x86", "pi"), ClassMove("pi", "pi-gold", "nobody")]) == 1
    assert {r.trial_id: r.measurement.device_class for r in everything(store)} == {
        "a": "pi-gold",
        "b": "pi-silver",
        "c": "pi",
        "d": "pi",
    }


def test_the_median_decides_what_is_best(store: Store) -> None:
    store.records.add([make_record("lucky", (0.01, 0.9, 0.9)), make_record("steady", (0.3, 0.3, 0.3))])
    assert [r.trial_id for r in store.records.best(["w0"], None, "", 2)] == ["steady", "lucky"]


def test_a_refuted_kernel_is_a_wrong_result_wherever_it_was_measured_alike(opened: Open) -> None:
    store = opened()
    store.jobs.add(make_job(), "")
    store.jobs.add_tasks("net-1", make_tasks())
    here = {"job_id": "net-1", "task_id": "net-1/0"}
    others = [
        make_record("u", (0.9,), engine="untuned", trace="", **here),
        make_record("slower", (0.4,), trace="[2]", **here),
        make_record("of another class", (0.1,), trace="[1]", device_class="pi5"),
        make_record("of another workload", (0.1,), trace="[1]", workload="w1"),
        make_record("of another target", (0.1,), trace="[1]", target="{}"),
        make_record("failed before", (), trace="[1]", **here),
    ]
    wrong = [
        make_record("wrong", (0.1,), trace="[1]", cut_short=True, **here),
        make_record("again", (0.2,), trace="[1]", **here),
        make_record("outside of jobs", (0.2,), trace="[1]"),
    ]
    store.records.add([*others, *wrong])
    assert store.records.refute("again", "max |diff| 3") == 3
    assert store.records.refute("wrong", "once more") == 0
    assert (store.records.refute("u", "a baseline"), store.records.refute("nobody", "")) == (None, None)
    store = opened()
    for record in others:
        assert store.records.get(record.trial_id) == record
    for record in wrong:
        after = store.records.get(record.trial_id)
        assert after is not None
        measured = after.measurement
        assert (measured.outcome, measured.detail) == (Outcome.WRONG_RESULT, "max |diff| 3")
        assert (measured.run_secs, measured.cut_short) == ((), False)
        changes = {"outcome": record.measurement.outcome, "detail": "", "run_secs": record.measurement.run_secs}
        assert replace(measured, **changes, cut_short=record.measurement.cut_short) == record.measurement
    best = store.records.best(["w0"], {"pi4"}, '{"kind":"llvm"}', 9)
    assert [record.trial_id for record in best] == ["slower", "u"]
    job = store.jobs.get("net-1")
    assert job is not None
    assert (job.trials, job.tasks[0].trials, job.tasks[0].failed, job.tasks[0].best_s) == (4, 4, 3, 0.4)
    assert job.tasks[0].untuned_s == 0.9


def test_a_task_whose_only_kernel_is_refuted_has_no_best(store: Store) -> None:
    store.jobs.add(make_job(), "")
    store.jobs.add_tasks("net-1", make_tasks())
    store.records.add([make_record("t", job_id="net-1", task_id="net-1/0")])
    assert store.records.refute("t", "") == 1
    job = store.jobs.get("net-1")
    assert job is not None
    assert (job.tasks[0].failed, job.tasks[0].best_s) == (1, 0.0)


def test_values_are_not_the_store(store: Store) -> None:
    record = make_record("t1")
    store.records.add([record])
    kept = store.records.get("t1")
    assert kept is not None
    kept.versions["tvm"] = "changed"
    assert store.records.get("t1") == make_record("t1")


# What others measured.


def imported(store: Store, now: float = 50.0, **part: Any) -> ImportReport:
    return store.imports.take(ImportPart("lab-b.db", "eve", **part), now)


def others_job(job_id: str = "net-1", created: float = 7.0, **changes: Any) -> Job:
    tasks = tuple(Task(p.id, p.name, p.workload.key, p.weight, trials=9) for p in make_tasks(job_id))
    values = {"state": JobState.DONE, "trials": 99, "worker_id": "w", "tasks": tasks, **changes}
    return make_job(job_id, created_unix_s=created, **values)


WORKLOADS = tuple(plan.workload for plan in make_tasks())


def test_what_others_measured_comes_with_its_jobs_and_counts_in_them(opened: Open) -> None:
    store = opened()
    store.records.add([make_record("t0")])
    records = (
        make_record("t1", (0.5,), job_id="net-1", task_id="net-1/1", workload="w1"),
        make_record("t2", (), job_id="net-1", task_id="net-1/1", workload="w1"),
        make_record("u", (0.9,), job_id="net-1", task_id="net-1/1", workload="w1", engine="untuned", trace=""),
        make_record("t0", (0.1,)),
    )
    done = others_job(result=JobResult(tuned_s=0.5))
    assert imported(store, workloads=WORKLOADS, jobs=(done,), records=records) == ImportReport(3, 1)
    store = opened()
    marked = [replace(record, imported_from="lab-b.db", imported_unix_s=50.0) for record in records[:3]]
    assert everything(store) == [make_record("t0"), *marked]
    assert store.workloads.get("w1") == WORKLOADS[1]
    job = store.jobs.get("net-1")
    assert job is not None
    assert (job.state, job.trials, job.worker_id, job.result) == (JobState.DONE, 2, "", done.result)
    assert [(t.id, t.trials, t.failed, t.best_s, t.untuned_s) for t in job.tasks] == [
        ("net-1/0", 0, 0, 0.0, 0.0),
        ("net-1/1", 2, 1, 0.5, 0.9),
    ]
    assert store.records.best(["w1"], {"pi4"}, "", 1) == [marked[0]]
    assert store.records.measured_classes("w1") == ["pi4"]


def test_an_import_is_repeated_without_doubling(store: Store) -> None:
    records = tuple(make_record(f"t{n}", job_id="net-1", task_id="net-1/0") for n in range(3))
    imported(store, workloads=WORKLOADS, jobs=(others_job(),), records=records[:2])
    assert store.records.unknown_trials(["t2", "t0", "x"]) == ["t2", "x"]
    again = imported(store, 60.0, workloads=WORKLOADS, jobs=(others_job(),), records=records)
    assert again == ImportReport(1, 2)
    assert [record.imported_unix_s for record in everything(store)] == [50.0, 50.0, 60.0]
    job = store.jobs.get("net-1")
    assert job is not None
    assert (job.trials, job.tasks[0].trials) == (3, 3)
    assert store.records.count() == 3


def test_what_was_imported_elsewhere_tells_both_origins(store: Store) -> None:
    imported(store, records=(make_record("t", imported_from="tune_tmp", imported_unix_s=1.0),))
    [record] = everything(store)
    assert (record.imported_from, record.imported_unix_s) == ("lab-b.db (tune_tmp)", 50.0)


def test_another_job_of_the_same_id_gets_one_of_its_own(store: Store) -> None:
    store.jobs.add(make_job("net-1", created_unix_s=1.0), "")
    store.jobs.add_tasks("net-1", make_tasks())
    record = make_record("t", job_id="net-1", task_id="net-1/0")
    for _ in range(2):
        imported(store, workloads=WORKLOADS, jobs=(others_job(),), records=(record,))
    kept = store.records.get("t")
    assert kept is not None
    assert kept.job_id.startswith("net-1-")
    assert kept.task_id == f"{kept.job_id}/0"
    mine, theirs = store.jobs.get("net-1"), store.jobs.get(kept.job_id)
    assert mine is not None
    assert theirs is not None
    assert (mine.trials, theirs.trials, theirs.tasks[0].trials) == (0, 1, 1)
    assert len(store.jobs.newest()) == 2


@pytest.mark.parametrize(
    "part",
    [
        {"records": (make_record("t1"), make_record("t2", job_id="gone"))},
        {"jobs": (others_job(),), "records": (make_record("t1", job_id="net-1"),)},
    ],
    ids=["a record's job is missing", "a task's workload is missing"],
)
def test_a_part_that_lacks_something_is_refused_whole(store: Store, part: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=r"job gone|workload w0"):
        imported(store, **part)
    assert everything(store) == []
    assert store.jobs.newest() == []
    assert imported(store, records=(make_record("t1"),)) == ImportReport(1)


def test_a_workload_that_was_imported_learns_its_name_from_a_job(store: Store) -> None:
    imported(store, workloads=(Workload("w0", "T_matmul", "{}", 0.0),))
    store.jobs.add(make_job(), "")
    store.jobs.add_tasks("net-1", make_tasks())
    assert store.workloads.get("w0") == make_tasks()[0].workload


def test_all_trials_are_paged_through(store: Store) -> None:
    store.records.add([make_record(f"t{n}") for n in range(5)])
    first, after = store.records.trial_page(0, 3)
    rest, end = store.records.trial_page(after, 3)
    assert (first + rest, end) == ([f"t{n}" for n in range(5)], 0)


def history_line(number: int, **changes: Any) -> HistoryLine:
    values = {"format": "autotvm 0.2", "task": "dense.x86 [1, 64]", "target": "llvm", "device_class": "", **changes}
    values = {"cost_s": 0.5, "error_no": 0, "measured_unix_s": 3.0, **values}
    return HistoryLine(**values, line=f'{{"n": {number}}}')


def test_history_is_kept_line_by_line_and_once(opened: Open) -> None:
    store = opened()
    lines = (history_line(1), history_line(2, cost_s=0.0, error_no=4), history_line(3, format="auto_scheduler 0.6"))
    assert imported(store, history=lines) == ImportReport(history=3)
    assert imported(store, 60.0, history=(*lines, history_line(4, task="conv2d"))) == ImportReport(
        history=1, known_history=3
    )
    store = opened()

    def ask(**query: Any) -> list[str]:
        return [line.line[6] for line in store.history.page(HistoryFilter(**query), 0, 10)[0]]

    assert (ask(), ask(failed=True)) == (["4", "3", "1"], ["4", "3", "2", "1"])
    assert (ask(task="dense"), ask(format="auto_scheduler 0.6")) == (["3", "1"], ["3"])
    [newest], before = store.history.page(HistoryFilter(), 0, 1)
    assert newest == replace(history_line(4, task="conv2d"), imported_from="lab-b.db", imported_unix_s=60.0)
    assert store.history.page(HistoryFilter(), before, 1)[0][0].line == lines[2].line
    # It is no record: whoever asks for those never sees it.
    assert everything(store) == []
    assert store.records.measured_workloads() == []


# Compaction.


def compacted(store: Store, keep: int) -> tuple[Compaction, Compaction]:
    """What it came to before, and after."""
    compactor = store.records.compactor(keep)
    plan = None
    while plan is None:
        plan = compactor.survey()
    progress = plan
    while not progress.done:
        progress = compactor.remove()
    return plan, progress


def test_the_best_of_each_task_are_kept(opened: Open) -> None:
    store = opened()
    store.jobs.add(make_job("over", state=JobState.RUNNING), "")
    store.jobs.change("over", lambda job: replace(job, state=JobState.DONE))
    store.jobs.add(make_job("runs", state=JobState.RUNNING), "")
    store.jobs.add_tasks("over", make_tasks("over"))
    records = [
        *(make_record(f"a{n}", (0.1 * (n + 1),), job_id="over", task_id="over/0", trace=f"[a{n}]") for n in range(4)),
        *(make_record(f"b{n}", (0.1 * (4 - n),), device_class="pi5", trace=f"[b{n}]") for n in range(4)),
        make_record("other target", (9.0,), target='{"kind":"c"}', trace="[a3]"),
        make_record("untuned", (8.0,), engine="untuned", trace=""),
        make_record("slower untuned", (8.5,), engine="untuned", trace=""),
        make_record("failed", ()),
        make_record("copy", (0.1,), trace="[a0]", copied_from="a0"),
        make_record("wrong", (), outcome=Outcome.WRONG_RESULT, trace="[wrong]"),
        make_record("failed of a job that runs", (), job_id="runs", trace="[r]"),
        make_record("slow of a job that runs", (7.0,), job_id="runs", trace="[a2]"),
        make_record("newest", ()),
    ]
    store.records.add(records)
    before = {record.trial_id: record for record in everything(store)}
    plan, end = compacted(store, 2)
    assert (plan.records, plan.to_remove, plan.removed) == (17, 7, 0)
    assert (end.removed, end.done) == (7, True)
    kept = everything(opened())
    # The newest stays whatever it is: its number is not given twice.
    gone = {"a2", "a3", "b0", "b1", "slower untuned", "failed", "copy"}
    assert {record.trial_id for record in kept} == set(before) - gone
    assert kept == [before[record.trial_id] for record in kept]
    job = opened().jobs.get("over")
    assert job is not None
    assert (job.trials, job.tasks[0].best_s) == (4, 0.1)


def test_what_is_recorded_during_a_compaction_stays(store: Store) -> None:
    store.jobs.add(make_job("net-1", state=JobState.DONE), "")
    store.records.add([make_record(f"t{n}", (0.1 * (n + 1),), trace=f"[{n}]", job_id="net-1") for n in range(9)])
    compactor = store.records.compactor(1)
    while compactor.survey() is None:
        pass
    # A job of which much would go is taken up again, and a new record has the trace of one that goes.
    store.jobs.change("net-1", lambda job: replace(job, state=JobState.QUEUED))
    store.records.add([make_record("new", (0.9,), trace="[4]")])
    number = 0
    while not compactor.remove().done:
        store.records.add([make_record(f"n{number}", (0.9,), trace=f"[{number}]")])
        number += 1
    names = {record.trial_id for record in everything(store)}
    assert names == {*(f"t{n}" for n in range(9)), "new", *(f"n{n}" for n in range(number))}
    assert [record.trace for record in everything(store)][:10] == [*(f"[{n}]" for n in range(9)), "[4]"]
    store.jobs.change("net-1", lambda job: replace(job, state=JobState.DONE))
    compacted(store, 1)
    # Its traces may be given again to others, and each still reads as its own.
    store.records.add([make_record("last", (0.9,), trace="[8]"), make_record("other", (0.9,), trace="[else]")])
    assert {r.trial_id: r.trace for r in everything(store)}["last"] == "[8]"
    assert {r.trial_id: r.trace for r in everything(store)}["t0"] == "[0]"


def test_a_log_that_has_nothing_to_give_is_left_alone(store: Store) -> None:
    assert compacted(store, 1)[1] == replace(compacted(store, 1)[0], done=True)
    store.records.add([make_record("t")])
    plan, end = compacted(store, 1)
    assert (plan.records, plan.to_remove, end.removed) == (1, 0, 0)
