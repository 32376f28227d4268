"""The tuning loop with a counting engine, instant builders and boards that answer as told."""

import itertools
from dataclasses import replace

import pytest

pytest.importorskip("tvm")

from tvm_farm.tracker.client.measure_stream import StreamRefused
from tvm_farm.tracker.domain import Artifact, Capacity, Measurement, Outcome, Preparation, TimingPlan, Trial
from tvm_farm.tracker.tuning.building.base import BuildersEnded, Built
from tvm_farm.tracker.tuning.engines.base import Candidate, Known
from tvm_farm.tracker.tuning.errors import FarmFailure, SessionOver
from tvm_farm.tracker.tuning.search.loop import Budget, TuningLoop
from tvm_farm.tracker.tuning.search.task_state import TaskState

pytestmark = pytest.mark.system


class CountingEngine:
    """Proposes numbered candidates, ``space`` of them in all, and keeps what it is told."""

    def __init__(self, name: str, space: int = 10**6) -> None:
        self.name, self.space = name, space
        self.numbers = itertools.count()
        self.learned: list[tuple[str, tuple[float, ...]]] = []
        self.replayed: list[str] = []
        self.began_with: list[tuple[int, str]] = []

    def propose(self, count: int) -> list[Candidate]:
        numbers = list(itertools.islice(self.numbers, min(count, self.space)))
        self.space -= len(numbers)
        return [Candidate(f"{self.name}{n}", f"{self.name}{n}", f"{self.name}{n}") for n in numbers]

    def report(self, results) -> None:
        self.learned += [(learned.candidate.key, learned.run_secs) for learned in results]

    def replay(self, trace: str, run_secs: tuple[float, ...]) -> bool:
        self.replayed.append(trace)
        return True

    def begin_with(self, known) -> int:
        assert next(self.numbers) == 0, "the search began before"
        self.began_with += [(len(self.replayed), each.trace) for each in known]
        return [each for each in known if each.trace != "misfit"]


class Builders:
    workers = 2

    def __init__(self, unbuildable=(), ends_after: int | None = None) -> None:
        self.unbuildable, self.ends_after, self.built = set(unbuildable), ends_after, 0

    def deliver_to(self, sink) -> None:
        self.sink = sink

    def submit(self, request) -> None:
        self.built += 1
        if self.ends_after is not None and self.built > self.ends_after:
            self.sink(BuildersEnded())
        elif request.module in self.unbuildable:
            self.sink(Built(request.id, Outcome.BUILD_ERROR, detail="no", steps=Preparation(built_s=1.0)))
        else:
            library = Artifact.of(request.module.encode())
            self.sink(Built(request.id, Outcome.OK, library, steps=Preparation(built_s=1.0)))


class Boards:
    """``says``: the answer to a module's trial; seconds are 1 for every other."""

    def __init__(self, says=None, refuses: str = "") -> None:
        self.says, self.refuses = says or {}, refuses
        self.measured: list[str] = []
        self.trials: list[Trial] = []
        self.failed_builds: list[str] = []

    def __call__(self, sink):
        self.sink = sink
        sink(StreamRefused(self.refuses) if self.refuses else Capacity(1, 3))
        return self

    def measure(self, trial) -> None:
        assert trial.context is not None, "an unrecorded trial is lost when this process dies"
        module = trial.request.program.library.inline.decode()
        self.measured.append(module)
        self.trials.append(trial)
        said = self.says.get(module, Outcome.OK)
        self.sink(Measurement(trial.request.trial_id, said, run_secs=(1.0,) if said is Outcome.OK else ()))

    def record(self, failed) -> None:
        self.failed_builds.append(failed.trial_id)
        self.sink(Measurement(failed.trial_id, failed.outcome, failed.detail))

    def close(self) -> None:
        pass


def task(name: str, engine: CountingEngine, **known) -> TaskState:
    return TaskState(f"j/{name}", name, 1, name, 1.0, f"untuned {name}", (), lambda: engine, "counting", **known)


def run(tasks, boards=None, builders=None, trials: int = 0, seconds: float = 0.0) -> Boards:
    boards = boards or Boards()
    loop = TuningLoop(
        tasks,
        builders or Builders(),
        boards,
        Budget(trials, seconds),
        target="{}",
        plan=TimingPlan(),
        batch=4,
        versions={},
    )
    loop.run()
    return boards


@pytest.mark.parametrize("trials", [1, 3, 30])
def test_exactly_the_trials_that_were_asked_for(trials):
    tasks = [task(name, CountingEngine(name)) for name in "abc"]
    boards = run(tasks, trials=trials)
    assert sum(len(t.history) for t in tasks) == trials
    assert sorted(m for m in boards.measured if m.startswith("untuned")) == ["untuned a", "untuned b", "untuned c"]
    assert len(boards.measured) == 3 + trials
    assert not boards.measured[0].startswith("untuned"), "the first candidate waits for no baseline"


def test_without_any_search_every_task_has_its_baseline():
    tasks = [task(name, CountingEngine(name), exhausted=True) for name in "abc"]
    boards = run(tasks, trials=0)
    assert boards.measured == ["untuned a", "untuned b", "untuned c"]
    assert all(t.untuned_done for t in tasks)


def test_a_candidate_far_behind_is_told_apart_by_one_timing():
    boards = run([task("a", CountingEngine("a"), history=[2.0], untuned_s=40.0, untuned_done=True)], trials=12)
    assert {trial.request.limits.hopeless_s for trial in boards.trials} == {2.12, 1.06}


def test_failed_builds_are_recorded_counted_and_taught():
    engine = CountingEngine("a")
    one = task("a", engine)
    boards = run([one], builders=Builders({"a1", "a2"}), trials=8)
    assert len(boards.failed_builds) == 2
    assert len(one.history) == 8
    assert ("a1", ()) in engine.learned
    assert one.history[-1] == 1.0


def test_what_a_host_could_not_build_is_recorded_and_teaches_nothing():
    class Full(Builders):
        def submit(self, request) -> None:
            if request.module == "a1":
                self.sink(Built(request.id, Outcome.HOST_FAULT, detail="no space left", steps=Preparation(built_s=1.0)))
            else:
                super().submit(request)

    engine = CountingEngine("a")
    boards = run([task("a", engine)], builders=Full(), trials=12)
    assert len(boards.failed_builds) == 1
    assert "a0" in {key for key, _ in engine.learned}
    assert "a1" not in {key for key, _ in engine.learned}


def test_a_library_of_a_builder_elsewhere_is_named_alone():
    class Elsewhere(Builders):
        def submit(self, request) -> None:
            left = replace(Artifact.of(request.module.encode()), inline=b"")
            self.sink(Built(request.id, Outcome.OK, left, steps=Preparation(built_s=1.0)))

    boards = run([task("a", CountingEngine("a"))], builders=Elsewhere(), trials=1)
    named = {trial.request.program.library for trial in boards.trials}
    assert named == {replace(Artifact.of(module), inline=b"") for module in (b"a0", b"untuned a")}


def test_a_job_goes_on_where_its_records_end():
    engine = CountingEngine("a")
    known = {"untuned_s": 2.0, "untuned_done": True, "history": [1.5, 1.5], "replays": [("t0", (1.5,)), ("t1", ())]}
    boards = run([task("a", engine, **known)], trials=6)
    assert engine.replayed == ["t0", "t1"]
    assert len(boards.measured) == 4
    assert not any(module.startswith("untuned") for module in boards.measured)


def test_an_exhausted_space_ends_the_search_not_the_job():
    small, large = CountingEngine("a", space=2), CountingEngine("b")
    tasks = [task("a", small), task("b", large)]
    run(tasks, trials=12)
    assert [len(t.history) for t in tasks] == [2, 10]
    assert tasks[0].exhausted
    everything = [task("a", CountingEngine("a", space=5))]
    run(everything, trials=12)
    assert len(everything[0].history) == 5


def test_an_engine_that_fails_costs_its_task_alone():
    class Failing(CountingEngine):
        def propose(self, count: int) -> list[Candidate]:
            raise ValueError("no rule for this operator")

    tasks = [task("a", Failing("a")), task("b", CountingEngine("b"))]
    run(tasks, trials=6)
    assert len(tasks[1].history) == 6
    assert "no rule for this operator" in tasks[0].fault


def test_results_that_cannot_be_learned_from_cost_no_task_its_search():
    class Forgetful(CountingEngine):
        def report(self, results) -> None:
            raise ValueError("the cost model broke")

    tasks = [task("a", Forgetful("a")), task("b", CountingEngine("b"))]
    run(tasks, trials=24)
    assert sum(len(t.history) for t in tasks) == 24
    assert not tasks[0].fault
    assert not tasks[1].fault


def test_a_trial_that_no_board_could_take_is_counted_and_not_taught():
    engine = CountingEngine("a")
    one = task("a", engine)
    run([one], Boards({"a0": Outcome.UNPLACEABLE}), trials=12)
    assert len(one.history) == 12
    assert "a0" not in {key for key, _ in engine.learned}


@pytest.mark.parametrize(
    ("boards", "builders", "raised"),
    [
        pytest.param(Boards({"a2": Outcome.CANCELLED}), Builders(), SessionOver, id="the tracker took the job away"),
        pytest.param(Boards(), Builders(ends_after=5), SessionOver, id="the builders' parent died"),
        pytest.param(Boards(refuses="no such pool"), Builders(), FarmFailure, id="the tracker refuses"),
    ],
)
def test_what_ends_a_session(boards, builders, raised):
    with pytest.raises(raised):
        run([task("a", CountingEngine("a"))], boards, builders, trials=20)


def test_a_budget_of_time_ends_the_job():
    one = task("a", CountingEngine("a"))
    run([one], seconds=0.3)
    assert one.history


def test_other_classes_are_asked_once_after_what_is_replayed(caplog):
    engine = CountingEngine("a")
    asked = []

    def elsewhere():
        asked.append(len(engine.replayed))
        return [Known("pi4", "good", 1.0), Known("pi5", "misfit", 1.0)]

    one = task("a", engine, replays=[("mine", (1.0,))], known_elsewhere=elsewhere)
    run([one], trials=8)
    assert asked == [1]
    assert engine.began_with == [(1, "good"), (1, "misfit")]
    assert one.taught_by == {"pi4"}
    assert "a: 1 of 2 traces of others do not apply here" in caplog.text


@pytest.mark.parametrize("known", [[], [Known("pi4", "misfit", 1.0)]], ids=["nothing known", "nothing applies"])
def test_a_task_that_nobody_taught_says_so(known):
    one = task("a", CountingEngine("a"), known_elsewhere=lambda: known)
    run([one], trials=4)
    assert (len(one.history), one.taught_by) == (4, frozenset())
