"""A search that goes on where it ended, with the real engine: instant builders, boards whose timings follow from the
kernel, and a log that stands for the tracker's.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

tvm = pytest.importorskip("tvm")

from tvm.s_tir.meta_schedule.testing import te_workload  # noqa: E402

from tests.support.records import make_record  # noqa: E402
from tvm_farm.tracker.domain import (  # noqa: E402
    Artifact,
    Capacity,
    Measurement,
    Outcome,
    PastSearch,
    Preparation,
    SearchStep,
    TimingPlan,
)
from tvm_farm.tracker.tuning.building.base import Built  # noqa: E402
from tvm_farm.tracker.tuning.engines.ansor import AnsorEngine, Experience  # noqa: E402
from tvm_farm.tracker.tuning.engines.base import Known  # noqa: E402
from tvm_farm.tracker.tuning.errors import SessionOver  # noqa: E402
from tvm_farm.tracker.tuning.jobs.resumption import take_up  # noqa: E402
from tvm_farm.tracker.tuning.search.loop import Budget, TuningLoop  # noqa: E402
from tvm_farm.tracker.tuning.search.search import Script  # noqa: E402
from tvm_farm.tracker.tuning.search.task_state import TaskState  # noqa: E402

pytestmark = pytest.mark.system
TARGET = tvm.target.Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2", "num-cores": 2})
TENSORS = {"matmul": te_workload.matmul(64, 64, 64), "conv": te_workload.conv2d_nhwc(1, 14, 14, 16, 16, 3, 1, 1)}
MODULES = {
    name: tvm.IRModule({"main": tvm.te.create_prim_func(tensors).with_attr("global_symbol", "main")})
    for name, tensors in TENSORS.items()
}
ENOUGH = 40


class Builders:
    workers = 2

    def deliver_to(self, sink) -> None:
        self.sink = sink

    def submit(self, request) -> None:
        self.sink(Built(request.id, Outcome.OK, Artifact.of(request.module.encode()), steps=Preparation(built_s=1.0)))


class Job:
    """What the tracker has of a job: its steps, what they proposed, its records. ``measured``: by boards.

    ``ends_after``: so many measurements later the session is over. ``loses``: so many trials no board brings back.
    ``log``: another job, whose records answer.
    """

    def __init__(self, job_id: str = "j", log: "Job | None" = None) -> None:
        self.id, self.log = job_id, log
        self.steps: list[SearchStep] = []
        self.records = []
        self.measured: list[str] = []
        self.taught = 0
        self.ends_after = 10**9
        self.loses = 0

    @property
    def traces(self) -> list[str]:
        """The candidates that were tried, in their order."""
        return [record.trace for record in self.records if record.trace]

    # As the loop's boards.

    def __call__(self, sink):
        self.sink = sink
        sink(Capacity(1, 3))
        return self

    def measure(self, trial) -> None:
        trial_id, library = trial.request.trial_id, trial.request.program.library.inline
        self.ends_after -= 1
        if self.ends_after < 0:
            self.sink(Measurement(trial_id, Outcome.CANCELLED))
            return
        self.measured.append(trial_id)
        if self.loses and trial.context.trace:
            self.loses -= 1
            self.keep(trial_id, trial.context, (), Outcome.UNPLACEABLE)
            return
        seconds = (1 + int(hashlib.sha256(library).hexdigest()[:8], 16) % 997) * 1e-6
        failed = not trial.context.trace or seconds < 60e-6
        self.keep(trial_id, trial.context, () if failed and trial.context.trace else (seconds,))

    def keep(self, trial_id, context, run_secs, failure=Outcome.CRASH) -> None:
        known = {"task_id": context.task_id, "engine": context.engine, "trace": context.trace, "job_id": self.id}
        known["outcome"] = Outcome.OK if run_secs else failure
        self.records.append(make_record(trial_id, run_secs, workload=context.workload, **known))
        self.sink(self.records[-1].measurement)

    def close(self) -> None:
        pass

    # As the tracker.

    def recall(self, plan, candidates, step):
        if step is not None:
            self.steps.append(step)
        known = {(r.workload, r.trace): r.measurement for r in self.log.records} if self.log else {}
        found = []
        for candidate in candidates:
            context = candidate.context
            if (context.workload, context.trace) in known:
                measurement = replace(known[context.workload, context.trace], trial_id=candidate.trial_id)
                known_as = {"task_id": context.task_id, "workload": context.workload}
                record = make_record(candidate.trial_id, measurement.run_secs, **known_as)
                self.records.append(replace(record, trace=context.trace, engine=context.engine, job_id=self.id))
                found.append(measurement)
        return found

    # As its session.

    def known_elsewhere(self) -> list[Known]:
        self.taught += 1
        traces = [c.trace for c in engine("matmul", Experience(1, 9), 9).propose(4)]
        # Others measure meanwhile: asked again, they say something else.
        return [Known("pi5", trace, 1e-3 * (n + self.taught), f"pi5-{n}") for n, trace in enumerate(traces)]

    def past(self) -> Iterator[PastSearch]:
        of = self.log or self
        for step in self.steps or of.steps:
            traces = [c.trace for c in engine("matmul", Experience(1, 9), 9).propose(4)] if step.taught else []
            taught = [
                make_record(f"pi5-{n}", (1e-3 * (n + 1),), trace=trace, workload="matmul", device_class="pi5")
                for n, trace in enumerate(traces)
            ]
            yield PastSearch(self.id if self.steps else of.id, step, tuple(taught))

    def run(self, trials: int, ends_after: int = 10**9) -> list[TaskState]:
        self.ends_after = ends_after
        experience = Experience(1, 1)
        tasks = [self._task(name, experience, number) for number, name in enumerate(MODULES)]
        script = take_up(tasks, self.id, self.records, list(self.past()), [task.workload for task in tasks])
        loop = TuningLoop(
            tasks,
            Builders(),
            self,
            Budget(trials, 0.0),
            target="{}",
            plan=TimingPlan(),
            batch=8,
            versions={},
            recall=self.recall,
            script=script,
        )
        loop.run()
        return tasks

    def _task(self, name: str, experience: Experience, number: int) -> TaskState:
        task = TaskState(
            f"{self.id}/{number}",
            name,
            1,
            name,
            1e6,
            f"untuned {name}",
            (),
            lambda: engine(name, experience, number),
            "ansor",
        )
        if name == "matmul":
            task.known_elsewhere = self.known_elsewhere
        return task


def engine(name: str, experience: Experience, seed: int) -> AnsorEngine:
    return AnsorEngine(MODULES[name], TARGET, name, experience, seed=seed)


def told(job: Job) -> list[tuple]:
    """The steps without their trial ids, which are drawn at random."""
    return [(step.number, step.task, step.count, step.learned, len(step.proposed), step.taught) for step in job.steps]


@pytest.fixture(scope="module")
def whole() -> Job:
    job = Job()
    job.run(ENOUGH)
    assert len(job.measured) == ENOUGH + 2
    assert any(not record.measurement.run_secs for record in job.records), "failures are learned from as well"
    assert len({step.task for step in job.steps}) == 2
    return job


@pytest.mark.parametrize("ends", [(5,), (13,), (22, 9)], ids=lambda ends: "+".join(map(str, ends)))
def test_a_job_that_was_cancelled_goes_on_as_if_it_had_not_been(whole, ends):
    job = Job()
    for after in ends:
        with pytest.raises(SessionOver):
            job.run(ENOUGH, ends_after=after)
    job.run(ENOUGH)
    assert job.traces == whole.traces
    assert told(job) == told(whole)
    assert len(job.measured) == len(set(job.measured)) == ENOUGH + 2
    assert [r.measurement.run_secs for r in job.records] == [r.measurement.run_secs for r in whole.records]


def test_a_budget_that_was_spent_within_a_batch_and_raised(whole):
    job = Job()
    tasks = job.run(20)
    assert sum(len(task.history) for task in tasks) == 20
    tasks = job.run(ENOUGH)
    assert sum(len(task.history) for task in tasks) == ENOUGH
    assert job.traces == whole.traces
    assert told(job) == told(whole)


def test_what_is_used_up_needs_no_search(whole):
    job = Job()
    job.run(20)
    steps = len(job.steps)
    job.run(20)
    assert (len(job.steps), len(job.measured)) == (steps, 22)


def test_the_same_job_again_asks_no_board_until_it_proposes_something_new(whole):
    again = Job("k", log=whole)
    again.run(ENOUGH)
    assert again.measured == []
    assert again.traces == whole.traces
    assert told(again) == told(whole)
    assert not set(again.steps[0].proposed) & set(whole.steps[0].proposed)
    short = Job("s", log=whole)
    tasks = short.run(20)
    assert (short.measured, sum(len(task.history) for task in tasks), len(short.records)) == ([], 20, 22)
    short.run(ENOUGH)
    assert (short.measured, short.traces) == ([], whole.traces)
    longer = Job("l", log=whole)
    longer.run(ENOUGH + 8)
    assert 0 < len(longer.measured) <= 8
    assert longer.traces[: len(whole.traces)] == whole.traces


def test_what_the_log_has_not_is_measured_and_the_same_steps_are_followed(whole):
    partial = Job("whole")
    partial.steps, partial.records = whole.steps, whole.records[:14]
    again = Job("k", log=partial)
    again.run(ENOUGH)
    assert len(again.measured) == ENOUGH + 2 - 14
    assert again.traces == whole.traces
    assert told(again) == told(whole)


def test_where_less_is_known_than_was_it_goes_its_own_way(whole, caplog):
    partial = Job("whole")
    partial.steps, partial.records = whole.steps, whole.records[:14]
    again = Job("k", log=partial)
    again.loses = 1
    with caplog.at_level("INFO"):
        again.run(ENOUGH)
    assert "results differ from those of job whole" in caplog.text
    assert len(again.records) == ENOUGH + 2
    assert again.traces[:8] == whole.traces[:8]
    assert len(set(again.traces)) == len(again.traces)


def test_a_search_that_is_not_as_it_was_learns_from_the_records_as_they_are(whole, caplog):
    job = Job()
    job.run(20)
    # As after a change of the engine: a step that proposes something else.
    job.steps[1] = replace(job.steps[1], count=5)
    tasks = job.run(ENOUGH)
    assert "step 1 of the search is not as it was" in caplog.text
    assert sum(len(task.history) for task in tasks) == ENOUGH
    assert len(job.measured) == len(set(job.measured)) == ENOUGH + 2
    numbers = [step.number for step in job.steps]
    assert numbers == list(range(len(numbers)))
    tuned = [record.trace for record in job.records if record.trace]
    assert len(set(tuned)) == ENOUGH


def test_what_another_tvm_found_in_the_model_leads_nowhere(caplog):
    job = Job()
    job.run(24)
    names = list(MODULES)

    def taken_up(workloads: list[str]) -> tuple[Script, list[TaskState]]:
        tasks = [job._task(name, Experience(1, 1), number) for number, name in enumerate(names)]
        for task, workload in zip(tasks, workloads, strict=True):
            task.workload = workload
        return take_up(tasks, job.id, job.records, list(job.past()), names), tasks

    script, tasks = taken_up(names)
    assert script.own
    assert sum(len(task.history) for task in tasks) == 24
    # One operator is another one now: what is on record of the others counts, and no step is made again.
    script, tasks = taken_up([names[0], "another", *names[2:]])
    assert script == Script()
    assert not tasks[1].history
    assert not tasks[1].untuned_done
    kept = [record for record in job.records if record.trace and record.workload == names[0]]
    assert len(tasks[0].history) == len(tasks[0].replays) == len(kept) > 0
    assert "had other operators" in caplog.text
