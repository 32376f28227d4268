"""How winners are chosen and models compared: the rules that decide what a person gets."""

import numpy as np
import pytest

pytest.importorskip("tvm")

from tvm_farm.protos.measurement import Artifact, MeasureRequest, OutputTensor, Program, ProgramKind
from tvm_farm.tracker.domain import Capacity, Measurement, Outcome, Record, TimingPlan
from tvm_farm.tracker.tuning.building.base import Built
from tvm_farm.tracker.tuning.errors import FarmFailure, SessionOver
from tvm_farm.tracker.tuning.jobs.result import job_result, latency_of
from tvm_farm.tracker.tuning.judging.comparison import Tolerance, arrays_of, compare
from tvm_farm.tracker.tuning.judging.finals import Winner, play_finals
from tvm_farm.tracker.tuning.judging.kernel_verification import KernelVerdict
from tvm_farm.tracker.tuning.judging.model_verification import Verdict, verify
from tvm_farm.tracker.tuning.judging.reference import Reference
from tvm_farm.tracker.tuning.models.graph import output_positions
from tvm_farm.tracker.tuning.search.task_state import TaskState

pytestmark = pytest.mark.system


def output(*values: float, dtype: str = "float32") -> OutputTensor:
    array = np.array(values, dtype=dtype)
    return OutputTensor(array.shape, dtype, array.tobytes())


@pytest.mark.parametrize(
    ("reference", "other", "equal", "largest"),
    [
        pytest.param([output(1, 2)], [output(1, 2)], True, 0.0, id="the same"),
        pytest.param([output(1, 2)], [output(1, 2.0001)], True, 1e-4, id="within tolerance"),
        pytest.param([output(1, 2)], [output(1, 2.1)], False, 0.1, id="beyond"),
        pytest.param([output(1e-3, 2e-3)], [output(1e-3, 2.01e-3)], False, 1e-5, id="small values are no excuse"),
        pytest.param([output(1e-6)], [output(0)], False, 1e-6, id="all zeros are not 'close to' small ones"),
        pytest.param([output(0, 0)], [output(0, 0)], True, 0.0, id="zeros"),
        pytest.param([output(1e4, 1e-3)], [output(1e4, 2e-3)], True, 1e-3, id="cancellation beside large values"),
        pytest.param([output(1)], [output(1, 1)], False, 0.0, id="another shape"),
        pytest.param([output(1, np.nan)], [output(1, np.nan)], True, 0.0, id="NaN in the same place"),
        pytest.param([output(1, np.nan)], [output(np.nan, 1)], False, 0.0, id="NaN elsewhere"),
        pytest.param(
            [output(np.nan)], [output(np.nan)], True, 0.0, id="nothing but NaN is equal, and compares nothing"
        ),
        pytest.param([output(3, dtype="int64")], [output(4, dtype="int64")], False, 1.0, id="integers are exact"),
        pytest.param([output(1), output(5)], [output(1), output(6)], False, 1.0, id="every output counts"),
    ],
)
def test_compare(reference, other, equal, largest):
    found = compare(arrays_of(reference), arrays_of(other))
    assert found.equal is equal
    assert bool(found.wrong) is not equal
    assert found.max_abs_diff == pytest.approx(largest, rel=1e-2, abs=1e-9)
    assert found.finite is any(np.isfinite(array).any() for array in arrays_of(reference))


def test_another_number_of_outputs_is_a_failure():
    with pytest.raises(FarmFailure, match="1 outputs and the other 2"):
        compare(arrays_of([output(1)]), arrays_of([output(1), output(1)]))


class Builders:
    """Builds everything at once, but for modules in ``unbuildable``."""

    def __init__(self, *unbuildable: str) -> None:
        self.unbuildable = unbuildable

    def deliver_to(self, sink) -> None:
        self.sink = sink

    def submit(self, request) -> None:
        failed = request.module in self.unbuildable
        outcome = Outcome.BUILD_ERROR if failed else Outcome.OK
        self.sink(Built(request.id, outcome, None if failed else Artifact.of(request.module.encode())))


class Boards:
    """Answers each trial from ``says``: seconds, or an outcome, by what the library holds."""

    def __init__(self, says) -> None:
        self.says = says

    def __call__(self, sink):
        self.sink = sink
        sink(Capacity(1, 3))
        return self

    def measure(self, trial) -> None:
        said = self.says[trial.request.program.library.inline.decode()]
        ok = isinstance(said, float)
        outcome = Outcome.OK if ok else said
        self.sink(Measurement(trial.request.trial_id, outcome, run_secs=(said,) if ok else ()))

    def close(self) -> None:
        pass


def task(untuned_s: float) -> TaskState:
    return TaskState("j/0", "conv", 1, "w", 1.0, "untuned", (), lambda: None, "ansor", untuned_s=untuned_s)


def record(trace: str, seconds: float) -> Record:
    measurement = Measurement("t", Outcome.OK, run_secs=(seconds,))
    return Record("t", "j", "j/0", "w", "conv", "T", "ansor", trace, measurement, TimingPlan())


@pytest.mark.parametrize(
    ("untuned_s", "records", "says", "unbuildable", "winner"),
    [
        pytest.param(9.0, {"a": 1.0}, {"untuned": 9.0, "a": 1.1}, (), ("a", 1.1), id="the tuned one"),
        pytest.param(9.0, {"a": 1.0, "b": 2.0}, {"untuned": 9.0, "a": 3.0, "b": 2.0}, (), ("b", 2.0), id="luck ends"),
        pytest.param(9.0, {"a": 1.0}, {"untuned": 0.5, "a": 1.0}, (), ("", 0.5), id="untuned is faster after all"),
        pytest.param(9.0, {"a": 1.0}, {"untuned": 9.0, "a": Outcome.CRASH}, (), ("", 9.0), id="a crash is out"),
        pytest.param(9.0, {"a": 1.0, "b": 2.0}, {"untuned": 9.0, "b": 2.0}, ("a",), ("b", 2.0), id="no build, no win"),
        pytest.param(9.0, {"a": 1.0}, {"untuned": Outcome.CRASH, "a": 1.0}, (), ("a", 1.0), id="only untuned failed"),
        pytest.param(0.0, {"a": 1.0}, {}, (), ("a", 1.0), id="no baseline: nothing to contest"),
        pytest.param(9.0, {}, {}, (), ("", 9.0), id="no record"),
    ],
)
def test_finals(untuned_s, records, says, unbuildable, winner):
    known = {"w": [record(trace, seconds) for trace, seconds in records.items()]}
    builders, boards = Builders(*unbuildable), Boards(says)
    [won] = play_finals([task(untuned_s)], known, lambda _, trace: trace, builders, boards, "{}")
    assert (won.trace, won.tuned_s) == winner


def test_one_trace_of_many_records_takes_one_place():
    known = {"w": [record("a", 1.0), record("a", 1.1), record("a", 1.2), record("b", 2.0)]}
    boards = Boards({"untuned": 9.0, "a": 3.0, "b": 2.5})
    [won] = play_finals([task(9.0)], known, lambda _, trace: trace, Builders(), boards, "{}")
    assert won.trace == "b"


def test_cancelled_finals_end_the_session():
    boards = Boards({"untuned": Outcome.CANCELLED, "a": Outcome.CANCELLED})
    with pytest.raises(SessionOver):
        play_finals([task(9.0)], {"w": [record("a", 1.0)]}, lambda _, trace: trace, Builders(), boards, "{}")


UNJUDGED = Reference("", [])


def model_trial() -> MeasureRequest:
    return MeasureRequest("m", Program(ProgramKind.MODEL, Artifact("d", 0), "main", ()))


class ModelBoards:
    """Streams to devices; ``away`` are connected no more when the second model comes."""

    def __init__(self, *away: str) -> None:
        self.away = away
        self.ran: list[str] = []

    def __call__(self, sink, device_id):
        self.sink, self.device_id = sink, device_id
        return self

    def measure(self, trial) -> None:
        if self.device_id in self.away and self.ran:
            self.sink(Capacity(0, 0))
            return
        self.ran.append(self.device_id)
        self.sink(Measurement(trial.request.trial_id, Outcome.OK, run_secs=(1.0,), outputs=(output(1),)))

    def close(self) -> None:
        pass


def test_both_models_run_on_one_device():
    boards, devices = ModelBoards(), iter(["left", "right"])
    assert verify(model_trial(), model_trial(), lambda: next(devices), boards, UNJUDGED, Tolerance()).equal
    assert boards.ran == ["left", "left"]


def test_the_judge_decides_and_not_the_untuned_model():
    def judged(*values: float) -> Reference:
        return Reference("a judge", [], [np.array(values, np.float32)])

    devices = iter(["left", "right"])
    verdict = verify(model_trial(), model_trial(), lambda: next(devices), ModelBoards(), judged(1), Tolerance())
    assert (verdict.equal, verdict.max_abs_diff) == (True, 0.0)
    with pytest.raises(FarmFailure, match=r"differently on \S* than a judge: y\[0\] is 1 where 2 is expected"):
        verify(model_trial(), model_trial(), lambda: next(devices), ModelBoards(), judged(2), Tolerance(), ["y"])


def test_a_device_that_stays_away_is_replaced(monkeypatch):
    monkeypatch.setattr("tvm_farm.tracker.tuning.judging.model_verification._AWAY_S", 0.0)
    boards, devices = ModelBoards("left"), iter(["left", "right"])
    assert verify(model_trial(), model_trial(), lambda: next(devices), boards, UNJUDGED, Tolerance()).equal
    assert boards.ran == ["left", "right", "right"]


@pytest.mark.parametrize(
    ("tuned_s", "equal", "kept", "shipped_s"),
    [(1.0, True, False, 1.0), (3.0, True, True, 2.0), (1.0, False, True, 2.0)],
)
def test_a_slower_or_different_model_is_not_shipped(tuned_s, equal, kept, shipped_s):
    verdict = Verdict(2.0, tuned_s, 0.0, 1e-4, 1e-5, equal, "board")
    assert (verdict.keep_untuned, verdict.shipped_s) == (kept, shipped_s)
    result = job_result([], verdict, [])
    assert (result.kept_untuned, result.tuned_s, result.outputs_equal) == (kept, shipped_s, equal)
    assert bool(result.note) is kept


FAILED = {"fault": "it was not built: build error", "failed": True}
UNCOMPARED = {"fault": "the untuned kernel failed on board: crash"}


@pytest.mark.parametrize(
    ("verdict", "shipped", "counts", "note"),
    [
        ({"equal": True, "max_abs_diff": 1e-6}, ("a", 1.0), (1, 1, True), ""),
        ({"max_abs_diff": 2.0}, ("", 9.0), (1, 0, False), "answers differently (max |diff| 2e+00"),
        (FAILED, ("", 9.0), (0, 0, False), "dropped for the untuned one: it was not built"),
        (UNCOMPARED, ("a", 1.0), (0, 0, False), "could not be compared with its untuned kernel"),
    ],
    ids=["equal", "wrong", "the winner failed", "the untuned one failed"],
)
def test_only_a_kernel_that_is_wrong_or_fails_gives_way_to_the_untuned_one(verdict, shipped, counts, note):
    kernel = KernelVerdict(Winner(task(9.0), "a", 1.0, 9.0), rtol=1e-4, atol=1e-5, device_name="board", **verdict)
    assert (kernel.shipped.trace, kernel.shipped.tuned_s) == shipped
    result = job_result([kernel.shipped], "micro", [], [kernel])
    assert (result.kernels_compared, result.kernels_equal, result.outputs_equal) == counts
    assert note in result.note
    assert bool(note) is ("; " in result.note.partition("weighted sum of its tasks")[2])
    [row] = result.tasks
    assert (row.tuned_s, row.kept_untuned) == (shipped[1], not shipped[0])
    assert (row.max_abs_diff, row.wrong_result) == (verdict.get("max_abs_diff"), kernel.wrong)
    told = latency_of("micro", [kernel])
    assert told.get("kernels_compared", 0) == counts[0]


def test_outputs_of_a_kernel_are_what_it_writes():
    import tvm
    from tvm import te

    a = te.placeholder((4,), name="a")
    shifted = te.compute((4,), lambda i: a[i] + 1, "shifted")
    total, product = te.compute((4,), lambda i: (shifted[i] + a[i], shifted[i] * a[i]), "both")
    module = tvm.IRModule({"main": te.create_prim_func([total, a, product])})
    assert output_positions(module) == [0, 2]
