"""What a store promises of searches, and of records that others answered: see tracker.store.base."""

from __future__ import annotations

from dataclasses import replace

from tests.support.records import make_job, make_record, make_tasks
from tvm_farm.protos.measurement import TimingPlan
from tvm_farm.tracker.domain import JobState, Lesson, RecordFilter, SearchStep, TaskPlan, Workload
from tvm_farm.tracker.domain.imports import ImportPart
from tvm_farm.tracker.domain.job_life import cancelled, resumed, started
from tvm_farm.tracker.store import Store

PLAN = TimingPlan(repeat=3)
TARGET = '{"kind":"llvm"}'


def ids(found) -> list[list[str]]:
    return [[record.trial_id for record in records] for records in found]


def test_what_is_alike_is_of_the_same_workload_class_target_plan_and_trace(store: Store) -> None:
    store.records.add(
        [
            make_record("a1", trace="A"),
            make_record("a2", (), trace="A"),
            make_record("b1", trace="B"),
            make_record("class", trace="A", device_class="pi5"),
            make_record("target", trace="A", target="{}"),
            make_record("plan", trace="A", plan=TimingPlan(repeat=4)),
            make_record("workload", trace="A", workload="w1"),
            make_record("untuned", trace="", engine="untuned"),
            make_record("nameless", trace="", engine="mine"),
        ]
    )
    found = store.records.alike("w0", "pi4", TARGET, PLAN, ["B", "", "A", "C", "A"])
    assert ids(found) == [["b1"], ["untuned"], ["a2", "a1"], [], ["a2", "a1"]]
    assert found[0][0] == store.records.get("b1")
    assert ids(store.records.alike("w0", "pi5", TARGET, PLAN, ["A", ""])) == [["class"], []]
    assert ids(store.records.alike("w2", "pi4", TARGET, PLAN, ["A"])) == [[]]
    assert ids(store.records.alike("w0", "nowhere", TARGET, PLAN, ["A"])) == [[]]
    assert ids(store.records.alike("w0", "pi4", TARGET, TimingPlan(repeat=9), ["A"])) == [[]]


def test_what_another_farm_measured_is_alike_to_nothing_here(store: Store) -> None:
    workload = Workload("w0", "matmul", "{}", 1.0)
    store.imports.take(
        ImportPart("lab-b.db", "eve", workloads=(workload,), records=(make_record("a1", trace="A"),)), 50.0
    )
    assert ids(store.records.alike("w0", "pi4", TARGET, PLAN, ["A"])) == [[]]
    store.records.add([make_record("a2", trace="A")])
    assert ids(store.records.alike("w0", "pi4", TARGET, PLAN, ["A"])) == [["a2"]]


def test_of_a_candidate_measured_often_the_newest_are_found(store: Store) -> None:
    store.records.add([make_record(f"t{n}", trace="A") for n in range(100)])
    [found] = ids(store.records.alike("w0", "pi4", TARGET, PLAN, ["A"]))
    assert found == [f"t{n}" for n in range(99, 99 - len(found), -1)]
    assert 1 < len(found) < 100


def test_copies_are_trials_of_their_job_and_no_further_measurements(store: Store) -> None:
    for job_id in ("net-1", "net-2"):
        store.jobs.add(make_job(job_id), "")
        store.jobs.add_tasks(job_id, make_tasks(job_id))
    measured = make_record("t1", (0.5, 0.5), job_id="net-1", task_id="net-1/0", trace="A")
    copy = make_record("t2", (0.5, 0.5), job_id="net-2", task_id="net-2/0", trace="A", copied_from="t1")
    untuned = make_record("u2", engine="untuned", trace="", job_id="net-2", task_id="net-2/0", copied_from="u1")
    assert store.records.add([measured, copy, untuned]) == [measured, copy, untuned]
    assert store.records.add([copy]) == [copy]
    assert store.records.get("t2") == copy
    jobs = [store.jobs.get(job_id) for job_id in ("net-1", "net-2")]
    assert [(job.trials, job.recalled, job.tasks[0].best_s) for job in jobs if job] == [(1, 0, 0.5), (1, 1, 0.5)]
    assert jobs[1]
    assert jobs[1].tasks[0].untuned_s == 0.2
    assert [r.trial_id for r in store.records.best(["w0"], None, "", 5)] == ["t1"]
    times, _ = store.records.times("net-2", 0, 10)
    assert [(each.recalled, each.tuned) for each in times] == [(True, True), (True, False)]
    assert [r.trial_id for r in store.records.page(RecordFilter(job_id="net-2"), None, 0, 9)[0]] == ["t2", "u2"]
    # What turns out wrong is so wherever it was copied to.
    assert store.records.refute("t1", "differs") == 2
    assert [store.records.get(t).measurement.run_secs for t in ("t1", "t2")] == [(), ()]


def step(number: int, *proposed: str) -> SearchStep:
    return SearchStep(number, 1, 8, (Lesson(3, 0.1), Lesson(1)), proposed, ("x1", "x2"))


def test_steps_come_back_in_their_order_and_once_a_number(store: Store) -> None:
    store.jobs.add(make_job(), "")
    steps = [step(number, f"t{number}") for number in range(12)]
    for each in [*steps, step(3, "another")]:
        store.searches.add("net-1", each)
    assert store.searches.steps("net-1", -1, 5) == steps[:5]
    assert store.searches.steps("net-1", 4, 100) == steps[5:]
    assert store.searches.steps("net-1", 11, 5) == store.searches.steps("nobody", -1, 5) == []


def test_a_job_that_asked_for_the_same_is_found(store: Store) -> None:
    def add(job_id: str, trials: int = 0, searched: bool = True, **changes: object) -> None:
        job = make_job(job_id, target=TARGET, device_class="pi4")
        spec = {k: v for k, v in changes.items() if k in ("seed", "user", "max_trials", "model")}
        rest = {k: v for k, v in changes.items() if k not in spec}
        job = replace(job, spec=replace(job.spec, **spec), **rest)  # type: ignore[arg-type]
        store.jobs.add(job, "")
        store.records.add([make_record(f"{job_id}{n}", job_id=job_id) for n in range(trials)])
        if searched:
            store.searches.add(job_id, step(0))

    add("mine", searched=False, user="me", max_trials=9)
    mine = store.jobs.get("mine")
    assert mine is not None
    add("seeds", seed=1)
    add("class", device_class="pi5")
    add("target", target="{}")
    add("unsearched", trials=9, searched=False)
    assert store.searches.alike(mine) is None
    add("short", trials=1)
    add("long", trials=3)
    add("empty")
    assert store.searches.alike(mine) == "long"
    other = store.jobs.get("long")
    assert other is not None
    assert store.searches.alike(other) == "short"


def test_a_job_that_goes_on_has_its_new_limits_and_its_losses_behind_it(store: Store) -> None:
    store.jobs.add(make_job(), "")
    for loss in range(2):
        store.jobs.change("net-1", lambda job: started(job, "w", 2.0))
        store.jobs.lose_worker("net-1", "w", 3.0 + loss)
    store.jobs.change("net-1", lambda job: cancelled(job, 5.0))
    after = store.jobs.change("net-1", lambda job: resumed(job, 500, 0.0))
    assert after is not None
    assert after == store.jobs.get("net-1")
    assert (after.state, after.spec.max_trials, after.finished_unix_s) == (JobState.QUEUED, 500, 0.0)
    store.jobs.change("net-1", lambda job: started(job, "w", 6.0))
    # The third loss in a row would have been its last.
    assert store.jobs.lose_worker("net-1", "w", 7.0).state is JobState.QUEUED  # type: ignore[union-attr]


def test_near_workloads_are_of_the_same_form_the_nearest_work_first(store: Store) -> None:
    names = {
        "mine": ("fused_conv2d_add1_relu", 8e6),
        "half": ("fused_conv2d3_add_relu2", 4e6),
        "more": ("fused_conv2d_add_relu", 11e6),
        "much": ("fused_conv2d12_add_relu", 9e9),
        "unlike": ("fused_conv2d_add", 8e6),
        "blocked": ("fused_conv2d_NCHW16c_add_relu", 8e6),
        "weightless": ("fused_conv2d_add_relu", 0.0),
    }
    store.jobs.add(make_job(), "")
    plans = [
        TaskPlan(f"net-1/{n}", name, 1, Workload(key, name, "{}", flops))
        for n, (key, (name, flops)) in enumerate(names.items())
    ]
    store.jobs.add_tasks("net-1", plans)
    assert store.workloads.near("mine", 9) == ["more", "half", "much"]
    assert store.workloads.near("mine", 1) == ["more"]
    assert store.workloads.near("unlike", 9) == store.workloads.near("nobody", 9) == []
