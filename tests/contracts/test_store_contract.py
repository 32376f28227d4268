"""What every store promises: see tracker.store.base."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from protos.device import CpuCluster, Fingerprint, RunnerInfo, RunnerMode, Telemetry
from protos.measurement import Artifact, Outcome, OutputTensor
from tests.support.records import make_job, make_record, make_tasks
from tests.support.workload_module import workload_module
from tracker.domain import (
    Desk,
    Device,
    DeviceState,
    Drain,
    Job,
    JobResult,
    JobState,
    Lease,
    PackageFile,
    Pool,
    Record,
    RecordFilter,
    TaskResult,
    TrialTimes,
    Workload,
)
from tracker.domain.job_life import cancelled, finished
from tracker.store import SqliteStore, Store

Open = Callable[[], Store]


@pytest.fixture(params=["sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the store; opened again, it is the same one after a restart."""
    stores: list[Store] = []

    def open_again() -> Store:
        if stores:
            stores[-1].close()
        stores.append(SqliteStore(tmp_path / "tracker.db"))
        return stores[-1]

    yield open_again
    stores[-1].close()


@pytest.fixture
def store(opened: Open) -> Store:
    return opened()


def everything(store: Store, **query: Any) -> list[Record]:
    return store.records(RecordFilter(**query), None, 0, 1000)[0]


def of_pages(store: Store, query: RecordFilter, size: int) -> list[str]:
    found, after = [], 0
    while True:
        page, after = store.records(query, None, after, size)
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
    store.put_device(DEVICE)
    changed = replace(DEVICE, state=DeviceState.LOST, measured=9, name="pi-one")
    store.put_device(changed)
    store.put_device(replace(DEVICE, id="d0", name="a-board"))
    assert opened().devices() == [replace(DEVICE, id="d0", name="a-board"), changed]


def test_orders_of_a_device_are_kept_apart_from_it(opened: Open) -> None:
    store = opened()
    store.put_desk("d1", Desk(Lease("ada", 1.0, 2.0), Drain("bob", 3.0, "fan"), {"rack": "3"}))
    store.put_device(DEVICE)
    store.put_desk("d2", Desk(lease=Lease("ada", 1.0, 2.0)))
    store.put_desk("d2", Desk())
    assert opened().desks() == {
        "d1": Desk(Lease("ada", 1.0, 2.0), Drain("bob", 3.0, "fan"), {"rack": "3"}),
        "d2": Desk(),
    }
    assert opened().devices() == [DEVICE]


def test_pools(opened: Open) -> None:
    store = opened()
    store.put_pool(Pool("lab", {"rack": "1"}))
    store.put_pool(Pool("lab", {"rack": "2"}))
    store.put_pool(Pool("attic", {"rack": "3"}))
    assert opened().pools() == [Pool("attic", {"rack": "3"}), Pool("lab", {"rack": "2"})]
    store = opened()
    assert store.delete_pool("lab")
    assert not store.delete_pool("lab")
    assert [pool.name for pool in store.pools()] == ["attic"]


# Jobs.


def test_a_job_comes_back_as_it_was(opened: Open) -> None:
    job = make_job(target="{}", device_class="pi4", phase="waiting")
    assert opened().add_job(job, "r1") == job
    assert opened().job("net-1") == job


def test_the_same_request_is_the_same_job(store: Store) -> None:
    store.add_job(make_job("net-1"), "r1")
    assert store.add_job(make_job("net-2"), "r1").id == "net-1"
    assert store.add_job(make_job("net-3"), "r2").id == "net-3"
    assert [job.id for job in store.jobs()] == ["net-3", "net-1"]
    found = store.job_of_request("r2")
    assert found is not None
    assert found.id == "net-3"
    assert store.job_of_request("r3") is None


def group(name: str, count: int = 3, **changes: Any) -> list[Job]:
    return [make_job(f"{name}.{n}", group=name, device_class=f"c{n}", **changes) for n in range(1, count + 1)]


def test_a_group_is_kept_as_a_whole_and_in_its_order(opened: Open) -> None:
    store = opened()
    first, *others = group("net-1")
    assert store.add_job(first, "r1", others) == first
    store.add_job(make_job("net-2"), "")
    again, *more = group("net-3")
    assert store.add_job(again, "r1", more) == first
    store.add_tasks("net-1.2", make_tasks("net-1.2", 1))
    store = opened()
    kept = store.jobs_of_group("net-1")
    assert [replace(job, tasks=()) for job in kept] == [first, *others]
    assert [len(job.tasks) for job in kept] == [0, 1, 0]
    assert [job.id for job in store.jobs()] == ["net-2", "net-1.3", "net-1.2", "net-1.1"]
    assert store.job_of_request("r1") == first
    assert (store.jobs_of_group(""), store.jobs_of_group("net-3")) == ([], [])


def test_jobs_of_a_group_have_their_turn_one_after_another(store: Store) -> None:
    first, *others = group("net-1")
    store.add_job(first, "", others)
    store.add_job(make_job("net-2"), "")

    def claimed() -> str | None:
        job = store.claim_job("w", 2.0)
        return job and job.id

    assert [claimed(), claimed(), claimed()] == ["net-1.1", "net-2", None]
    store.lose_worker("net-1.1", "w", 3.0)  # queued again, it keeps its turn before the others
    assert [claimed(), claimed()] == ["net-1.1", None]
    store.change_job("net-1.1", lambda job: finished(job, JobResult(), 4.0))
    assert [claimed(), claimed()] == ["net-1.2", None]
    store.change_job("net-1.2", lambda job: cancelled(job, 5.0))
    assert [claimed(), claimed()] == ["net-1.3", None]


def test_classes_that_measured_a_workload(store: Store) -> None:
    store.add_records(
        [
            make_record("t1", workload="w0", device_class="pi5"),
            make_record("t2", workload="w0", device_class="pi4"),
            make_record("t3", workload="w0", device_class="pi5"),
            make_record("t4", (), workload="w0", device_class="fails"),
            make_record("t5", workload="w1", device_class="other"),
        ]
    )
    assert store.measured_classes("w0") == ["pi4", "pi5"]
    assert (store.measured_classes("w1"), store.measured_classes("w2")) == (["other"], [])


def test_jobs_without_a_request_are_never_the_same(store: Store) -> None:
    for n in range(3):
        store.add_job(make_job(f"net-{n}"), "")
    assert len(store.jobs()) == 3


def test_ids_by_their_start(store: Store) -> None:
    for name in ("net-1", "net-12", "other-1"):
        store.add_job(make_job(name), "")
    assert store.job_ids("net") == ["net-1", "net-12"]
    assert store.job_ids("net-1") == ["net-1"]
    assert store.job_ids("o") == ["other-1"]
    assert store.job_ids("%") == []


def test_lists(store: Store) -> None:
    for n in range(4):
        store.add_job(make_job(f"net-{n}"), "")
    store.claim_job("w", 2.0)
    assert [job.id for job in store.jobs(limit=2)] == ["net-3", "net-2"]
    assert [job.id for job in store.jobs(JobState.RUNNING)] == ["net-0"]
    assert [job.id for job in store.jobs(JobState.QUEUED, 1)] == ["net-3"]
    assert store.job_counts() == {JobState.QUEUED: 3, JobState.RUNNING: 1}


def test_the_oldest_job_is_claimed_once(store: Store) -> None:
    store.add_job(make_job("net-1"), "")
    store.add_job(make_job("net-2"), "")
    store.add_tasks("net-1", make_tasks())
    first = store.claim_job("w1", 5.0)
    assert first is not None
    assert (first.id, first.state, first.worker_id, first.started_unix_s) == ("net-1", JobState.RUNNING, "w1", 5.0)
    assert [(task.id, task.space) for task in first.tasks] == [("net-1/0", "space 0"), ("net-1/1", "space 1")]
    second = store.claim_job("w2", 6.0)
    assert second is not None
    assert second.id == "net-2"
    assert store.claim_job("w3", 7.0) is None


def test_a_result_comes_back_as_it_was(opened: Open) -> None:
    store = opened()
    store.add_job(make_job(), "")
    result = JobResult(
        files=(PackageFile("model.so", Artifact("cd" * 32, 7)),),
        tasks=(TaskResult("conv", 2, 1e6, 10, 0.5, 0.1),),
        untuned_s=1.0,
        tuned_s=0.25,
        outputs_equal=True,
        device_name="pi-1",
    )
    store.change_job("net-1", lambda job: finished(job, result, 9.0))
    job = opened().job("net-1")
    assert job is not None
    assert (job.state, job.result, job.finished_unix_s) == (JobState.DONE, result, 9.0)


def test_a_change_that_raises_changes_nothing(store: Store) -> None:
    store.add_job(make_job(), "")

    def change(job: Job) -> Job:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        store.change_job("net-1", change)
    assert store.job("net-1") == make_job()
    assert store.change_job("net-9", change) is None


def test_jobs_are_claimed_in_their_turn_of_equals_the_oldest(store: Store) -> None:
    for n, created in enumerate((5.0, 3.0, 9.0, 3.0)):
        store.add_job(make_job(f"net-{n}", created_unix_s=created), "")
    claimed = [store.claim_job("w", 1.0, lambda job: job.created_unix_s) for _ in range(4)]
    assert [job and job.id for job in claimed] == ["net-1", "net-3", "net-0", "net-2"]
    assert store.claim_job("w", 1.0, lambda job: job.created_unix_s) is None


def test_losing_workers(store: Store) -> None:
    store.add_job(make_job(), "")
    states = []
    for _ in range(3):
        store.claim_job("w", 1.0)
        lost = store.lose_worker("net-1", "w", 2.0)
        assert lost is not None
        states.append(lost.state)
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]


def test_a_new_record_between_forgives_the_losses(store: Store) -> None:
    store.add_job(make_job(), "")
    store.add_tasks("net-1", make_tasks())
    for n in range(6):
        store.claim_job("w", 1.0)
        store.add_records([make_record(f"t{n}", job_id="net-1", task_id="net-1/0")])
        lost = store.lose_worker("net-1", "w", 2.0)
        assert lost is not None
        assert lost.state is JobState.QUEUED


def test_restarts_of_the_tracker_are_no_losses(store: Store) -> None:
    store.add_job(make_job(), "")
    for _ in range(5):
        store.claim_job("w", 1.0)
        lost = store.lose_worker("net-1", "w", 2.0, counts=False)
        assert lost is not None
        assert lost.state is JobState.QUEUED


def test_only_the_worker_that_has_a_job_can_be_lost(store: Store) -> None:
    store.add_job(make_job(), "")
    running = store.claim_job("w", 1.0)
    assert store.lose_worker("net-1", "other", 2.0) == running
    assert store.job("net-1") == running


def test_a_job_that_ended_has_no_worker_to_lose(store: Store) -> None:
    store.add_job(make_job(), "")
    store.change_job("net-1", lambda job: finished(job, JobResult(), 9.0))
    lost = store.lose_worker("net-1", "w", 10.0)
    assert lost is not None
    assert lost.state is JobState.DONE
    assert store.lose_worker("net-9", "w", 10.0) is None


def test_tasks_told_twice_keep_their_counters(store: Store) -> None:
    store.add_job(make_job(), "")
    store.add_tasks("net-1", make_tasks())
    store.add_records([make_record("t1", job_id="net-1", task_id="net-1/0")])
    store.add_tasks("net-1", make_tasks())
    job = store.job("net-1")
    assert job is not None
    assert [(t.id, t.weight, t.flops, t.trials) for t in job.tasks] == [("net-1/0", 1, 2e6, 1), ("net-1/1", 2, 2e6, 0)]
    assert store.workload("w1") == Workload("w1", "task1", "{}", 2e6)
    assert store.workload("w9") is None


def test_workloads_without_a_job_are_kept_once(store: Store) -> None:
    first = Workload("w1", "matmul", "{}", 2e6)
    store.add_workloads([first, Workload("w2", "conv", "[]")])
    store.add_workloads([Workload("w1", "another name", "{}", 1.0)])
    assert (store.workload("w1"), store.workload("w2")) == (first, Workload("w2", "conv", "[]", 0.0))
    # A job that comes to it later finds it as it is.
    store.add_job(make_job(), "")
    store.add_tasks("net-1", make_tasks())
    assert store.workload("w1") == first


# Records.


def test_a_record_comes_back_as_it_was(opened: Open) -> None:
    store = opened()
    records = [
        make_record("t1", cut_short=True),
        make_record("t2", ()),
        make_record("t3", (), outcome=Outcome.BUILD_ERROR, signal=0, trace="", runner_mode=None, versions={}),
        make_record("t4", (0.1,) * 20, trace="[[],[]]" * 1000, after=Telemetry(11.0)),
    ]
    assert store.add_records(records) == records
    assert everything(opened()) == records


def test_outputs_are_not_kept(store: Store) -> None:
    record = make_record("t1")
    output = OutputTensor((1,), "float32", b"1234")
    with_output = replace(record, measurement=replace(record.measurement, outputs=(output,)))
    store.add_records([with_output])
    assert store.record("t1") == record


def test_a_trial_is_kept_and_counted_once(store: Store) -> None:
    store.add_job(make_job(), "")
    store.add_tasks("net-1", make_tasks())
    first = make_record("t1", (0.5,), job_id="net-1", task_id="net-1/0")
    again = make_record("t1", (0.1,), job_id="net-1", task_id="net-1/0")
    assert store.add_records([first, again]) == [first, first]
    assert store.add_records([again]) == [first]
    job = store.job("net-1")
    assert job is not None
    assert (job.trials, job.tasks[0].trials, job.tasks[0].best_s) == (1, 1, 0.5)
    assert store.trial_ids("net-1") == {"t1"}
    assert store.record("t2") is None


def test_counters(store: Store) -> None:
    store.add_job(make_job(), "")
    store.add_tasks("net-1", make_tasks())
    here = {"job_id": "net-1", "task_id": "net-1/0"}
    store.add_records(
        [
            make_record("u", (0.9, 0.8, 0.7), engine="untuned", **here),
            make_record("t1", (0.5, 0.1, 0.6), **here),
            make_record("t2", (0.4, 0.3, 0.2), **here),
            make_record("t3", (0.8,), **here),
            make_record("t4", (), **here),
        ]
    )
    job = store.job("net-1")
    assert job is not None
    task = job.tasks[0]
    # A baseline is no trial; the median decides.
    assert (job.trials, task.trials, task.failed, task.untuned_s, task.best_s) == (4, 4, 1, 0.8, 0.3)
    assert job.tasks[1].trials == 0


@pytest.fixture
def log(store: Store) -> Store:
    for n in range(2):
        store.add_job(make_job(f"net-{n}"), "")
        tasks = make_tasks(f"net-{n}", 3)
        shaped = [
            replace(task, workload=replace(task.workload, module=workload_module([(7, place), (9, 9)])))
            for place, task in enumerate(tasks)
        ]
        store.add_tasks(f"net-{n}", shaped)
    for n in range(12):
        store.add_records(
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
    assert len(log.records(RecordFilter(), {"pi4", "x"}, 0, 100)[0]) == 6
    assert log.records(RecordFilter(), set(), 0, 100) == ([], 0)


def test_records_by_their_numbers(log: Store) -> None:
    assert [record.trial_id for record in log.records_numbered([12, 3, 99, 1])] == ["t11", "t02", "t00"]
    assert log.records_numbered([]) == []


def test_trials_by_the_start_of_their_ids(log: Store) -> None:
    assert log.trial_ids_like("t1") == ["t10", "t11"]
    assert log.trial_ids_like("t") == [f"t{n:02}" for n in range(10)]
    assert log.trial_ids_like("t03") == ["t03"]
    assert log.trial_ids_like("u") == []
    log.add_records([make_record("t")])
    assert log.trial_ids_like("t") == ["t"]


def test_times_of_a_job(log: Store) -> None:
    def times(size: int) -> list[TrialTimes]:
        found, after = log.trial_times("net-1", 0, size)
        while after:
            page, after = log.trial_times("net-1", after, size)
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
    assert log.trial_times("net-9", 0, 10) == ([], 0)


def test_best(log: Store) -> None:
    def best(*args: Any) -> list[str]:
        return [record.trial_id for record in log.best_records(*args)]

    assert best(["w0", "w1", "w2"], None, "", 1) == ["t03", "t01", "t02"]
    assert best(["w2"], None, "", 2) == ["t02", "t05"]  # the untuned one stands among the others
    assert best(["w2", "w1"], {"pi5"}, "", 1) == ["t11", "t07"]
    assert best(["w2"], {"pi4", "pi5"}, "b", 5) == ["t05", "t11"]
    assert best(["w2"], set(), "", 1) == []
    assert best(["w9"], None, "", 1) == []
    assert best(["w2", "w0"], {"pi5"}, "", 1) == ["t11", "t06"]
    assert best([], None, "", 1) == []
    assert log.measured_workloads() == ["w0", "w1", "w2"]


def test_the_median_decides_what_is_best(store: Store) -> None:
    store.add_records([make_record("lucky", (0.01, 0.9, 0.9)), make_record("steady", (0.3, 0.3, 0.3))])
    assert [r.trial_id for r in store.best_records(["w0"], None, "", 2)] == ["steady", "lucky"]


def test_a_refuted_kernel_is_a_wrong_result_wherever_it_was_measured_alike(opened: Open) -> None:
    store = opened()
    store.add_job(make_job(), "")
    store.add_tasks("net-1", make_tasks())
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
    store.add_records([*others, *wrong])
    assert store.refute("again", "max |diff| 3") == 3
    assert store.refute("wrong", "once more") == 0
    assert (store.refute("u", "a baseline"), store.refute("nobody", "")) == (None, None)
    store = opened()
    for record in others:
        assert store.record(record.trial_id) == record
    for record in wrong:
        after = store.record(record.trial_id)
        assert after is not None
        measured = after.measurement
        assert (measured.outcome, measured.detail) == (Outcome.WRONG_RESULT, "max |diff| 3")
        assert (measured.run_secs, measured.cut_short) == ((), False)
        changes = {"outcome": record.measurement.outcome, "detail": "", "run_secs": record.measurement.run_secs}
        assert replace(measured, **changes, cut_short=record.measurement.cut_short) == record.measurement
    best = store.best_records(["w0"], {"pi4"}, '{"kind":"llvm"}', 9)
    assert [record.trial_id for record in best] == ["slower", "u"]
    job = store.job("net-1")
    assert job is not None
    assert (job.trials, job.tasks[0].trials, job.tasks[0].failed, job.tasks[0].best_s) == (4, 4, 3, 0.4)
    assert job.tasks[0].untuned_s == 0.9


def test_a_task_whose_only_kernel_is_refuted_has_no_best(store: Store) -> None:
    store.add_job(make_job(), "")
    store.add_tasks("net-1", make_tasks())
    store.add_records([make_record("t", job_id="net-1", task_id="net-1/0")])
    assert store.refute("t", "") == 1
    job = store.job("net-1")
    assert job is not None
    assert (job.tasks[0].failed, job.tasks[0].best_s) == (1, 0.0)


def test_values_are_not_the_store(store: Store) -> None:
    record = make_record("t1")
    store.add_records([record])
    kept = store.record("t1")
    assert kept is not None
    kept.versions["tvm"] = "changed"
    assert store.record("t1") == make_record("t1")
