"""A program's handle of a job, against a tracker whose jobs the test moves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.onnx_like import onnx_like
from tests.support.stand_in_farm import StandInFarm
from tests.support.waiting import wait_until
from tvm_farm import (
    AsyncFarm,
    BadInput,
    Farm,
    FarmError,
    Job,
    JobCancelled,
    JobFailed,
    JobRefused,
    JobState,
    TrackerUnreachable,
    WaitTimeout,
)
from tvm_farm.tracker.client.async_farm import AsyncJobHandle
from tvm_farm.tracker.client.following import follow
from tvm_farm.tracker.domain import JobKind, JobResult, JobSpec, Pool

MANIFEST = b'{"format": 1, "model": "net", "digests": {"model.so": "0"}}'


@pytest.fixture
def control() -> Iterator[StandInFarm]:
    with StandInFarm() as control:
        control.pools = [Pool("arm64", {"arch": "aarch64"}, False, (), 0)]
        yield control


@pytest.fixture
def farm(control: StandInFarm) -> Iterator[Farm]:
    with Farm(control.address) as farm:
        yield farm


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_like(100))
    return path


def done(control: StandInFarm, job: Job, library: bytes = b"library") -> Job:
    files = (control.put_file("model.so", library), control.put_file("manifest.json", MANIFEST))
    return replace(job, state=JobState.DONE, result=JobResult(files, untuned_s=0.2, tuned_s=0.1, device_name="pi"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_asked_for_in_a_script_is_what_the_command_asks_for(
    control: StandInFarm, farm: Farm, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.npz").write_bytes(b"arrays")
    job = farm.tune(
        model,
        pool="arm64",
        budget="1h30m",
        trials=64,
        shapes={"x": (1, 3, 8, 8), "batch": 4},
        fix={"sr": 16000, "sizes": [1, 2]},
        inputs=tmp_path / "x.npz",
        target={"mcpu": "cortex-a76"},
        priority=2,
        fresh=True,
    )
    [(_, spec)] = control.submitted
    assert (job.id, job.state, job.result, job.results) == ("0001job", JobState.QUEUED, None, {})
    assert (spec.kind, spec.model_name, spec.pool, spec.engine) == (JobKind.TUNE, "net", "arm64", "ansor")
    assert (spec.budget_s, spec.max_trials, spec.priority, spec.fresh) == (5400.0, 64, 2, True)
    assert [str(shape) for shape in spec.shapes] == ["x=1,3,8,8", "batch=4"]
    assert [(fixed.name, fixed.value) for fixed in spec.fixed] == [("sr", "16000"), ("sizes", "[1, 2]")]
    assert spec.target == '{"mcpu": "cortex-a76"}'
    assert control.artifacts[spec.model.digest] == onnx_like(100)
    assert spec.inputs is not None
    assert control.artifacts[spec.inputs.digest] == b"arrays"


def test_a_tune_without_limits_is_that_of_the_command(control: StandInFarm, farm: Farm, model: Path) -> None:
    farm.tune(str(model), pool="arm64")
    farm.compile(model, pool="arm64")
    (_, tune), (_, compiled) = control.submitted
    assert tune == JobSpec(JobKind.TUNE, "net", tune.model, "arm64", budget_s=600.0, user=tune.user)
    assert compiled == JobSpec(JobKind.COMPILE, "net", tune.model, "arm64", user=tune.user)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pool": ""}, "pool= is missing"),
        ({"budget": "soon"}, "budget=: 'soon' is not a duration"),
        ({"budget": 0}, "budget=: 0 is no duration"),
        ({"trials": 0}, r"trials=: 0 is not in 1\.\."),
        ({"tuner": "magic"}, "tuner=: there is no 'magic'; choose one of auto, ansor"),
        ({"shapes": {"x": "wide"}}, "shapes=: 'wide' is no shape of x"),
        ({"shapes": {"x": (1, -3)}}, r"shapes=: \(1, -3\) is no shape of x"),
        ({"shapes": 5}, "shapes=: "),
        ({"fix": {"sr": "many"}}, "fix=: 'sr=\"many\"' fixes no input"),
        ({"parameters": {"M": 1}}, "parameters= sets parameters of an operator"),
        ({"priority": 9}, "There is no priority 9"),
        ({"target": "{"}, "target=: { is not JSON"),
        ({"seed": -1}, "seed=: -1 is not in"),
        ({"templates": ["mine.py"]}, "templates= is for auto and the autotvm tuners"),
    ],
    ids=str,
)
def test_what_is_refused_names_the_argument(
    control: StandInFarm, farm: Farm, model: Path, given: dict[str, object], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        farm.tune(model, **{"pool": "arm64", **given})  # type: ignore[arg-type]
    assert not control.submitted


def test_a_job_is_followed_to_its_package(control: StandInFarm, farm: Farm, model: Path, tmp_path: Path) -> None:
    job = farm.tune(model, pool="arm64", trials=8)
    heard = []
    for snapshot in job.progress():
        heard.append((snapshot.state, snapshot.trials))
        if snapshot.state is JobState.QUEUED:
            control.put_job(replace(snapshot, state=JobState.RUNNING, trials=5))
        elif snapshot.state is JobState.RUNNING:
            control.put_job(done(control, replace(snapshot, trials=8)))
    assert heard == [(JobState.QUEUED, 0), (JobState.RUNNING, 5), (JobState.DONE, 8)]
    assert job.wait().latency.tuned_s == 0.1
    assert (job.state, job.result, job.results) == (JobState.DONE, job.wait(), {"board": job.wait()})
    assert job.package.download(tmp_path / "tuned") == tmp_path / "tuned"
    assert contents(tmp_path / "tuned") == {"model.so": b"library", "manifest.json": MANIFEST}
    # In another program, by the id.
    again = farm.job(job.id[:4])
    assert (again.id, again.wait(0.0)) == (job.id, job.wait())


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"state": JobState.FAILED, "error": "the compiler is gone"}, JobFailed, r"^The compiler is gone\.$"),
        ({"state": JobState.FAILED}, JobFailed, "failed without saying why"),
        ({"state": JobState.FAILED, "error": "no model", "input_error": True}, JobRefused, r"^No model\.$"),
        (
            {"state": JobState.REFUSED, "error": "net: input x is open.", "input_error": True},
            JobRefused,
            r"^net: input x is open\.$",
        ),
        ({"state": JobState.CANCELLED}, JobCancelled, "was cancelled"),
        ({"state": JobState.DONE}, JobFailed, "names no result"),
    ],
    ids=str,
)
def test_a_job_without_a_result_raises_why(
    control: StandInFarm, farm: Farm, model: Path, tmp_path: Path, changes: dict[str, object], kind: type, said: str
) -> None:
    job = farm.tune(model, pool="arm64")
    control.put_job(replace(control.await_job(), **changes))  # type: ignore[arg-type]
    for ask in (job.wait, job.wait, lambda: job.package.download(tmp_path / "tuned")):
        with pytest.raises(kind, match=said) as raised:
            ask()
        assert isinstance(raised.value, JobFailed)
        assert isinstance(raised.value, BadInput) is (kind is JobRefused)
    assert not (tmp_path / "tuned").exists()


def test_who_waits_no_longer_leaves_the_job_alone(control: StandInFarm, farm: Farm, model: Path) -> None:
    job = farm.tune(model, pool="arm64")
    with pytest.raises(WaitTimeout, match=r"Job 0001job has not ended within 0\.2 s; it goes on\.") as over:
        job.wait(0.2)
    assert isinstance(over.value, TimeoutError)
    with pytest.raises(FarmError, match="is queued: it has no package yet"):
        job.package.download("nowhere")
    for _ in job.progress():
        break
    assert job.state is JobState.QUEUED
    job.cancel()
    assert job.state is JobState.CANCELLED


async def test_who_waits_has_the_result_while_others_are_behind(
    control: StandInFarm, farm: Farm, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread that watches by the same handle may put in an older snapshot at any moment."""
    job = farm.tune(model, pool="arm64")
    older = job.group

    def followed(*args: object, **kwargs: object) -> Iterator[Job]:
        yield from follow(*args, **kwargs)  # type: ignore[arg-type]
        job._group = older

    monkeypatch.setattr("tvm_farm.tracker.client.handle.follow", followed)
    control.put_job(done(control, control.await_job()))
    assert job.wait().tuned_s == 0.1
    async with AsyncFarm(control.address) as later:
        assert (await AsyncJobHandle(later, job).wait()).tuned_s == 0.1
    assert job.state is JobState.DONE


def test_a_tracker_that_restarts_is_waited_for(control: StandInFarm, farm: Farm, model: Path) -> None:
    notices: list[str] = []
    job = farm.tune(model, pool="arm64")
    watched = job.progress(notice=notices.append)
    first = next(watched)
    control.stop()
    with_job = threading.Timer(0.3, lambda: restarted.append(_restarted(control, first)))
    restarted: list[StandInFarm] = []
    with_job.start()
    try:
        assert [each.state for each in watched][-1] is JobState.DONE
    finally:
        with_job.join()
        for each in restarted:
            each.stop()
    assert notices == [
        "The tracker does not answer: waiting for it. The job goes on when it is back.",
        "The tracker is back.",
    ]


def _restarted(before: StandInFarm, job: Job) -> StandInFarm:
    after = StandInFarm(before.port)
    after.put_job(done(after, job))
    return after


def test_a_tracker_that_stays_away_is_told_in_a_scripts_words(control: StandInFarm, farm: Farm, model: Path) -> None:
    job = farm.tune(model, pool="arm64")
    control.stop()
    with pytest.raises(
        TrackerUnreachable, match=r'Name another one with Farm\("HOST:PORT"\)\. Waited 0 minutes; job 0'
    ):
        list(follow(farm.jobs, job.group, away_s=0.0, notice=lambda text: None))
    with pytest.raises(TrackerUnreachable, match=r'Farm\("HOST:PORT"\)'):
        Farm("127.0.0.1:1")


def test_classes_have_a_result_and_a_folder_each(control: StandInFarm, farm: Farm, model: Path, tmp_path: Path) -> None:
    control.classes = ["pi4", "pi5"]
    job = farm.tune(model, pool="arm64", trials=9)
    for ask in (job.wait, lambda: job.result, lambda: job.resume()):
        with pytest.raises(BadInput, match=r"0001job is 2 jobs, one for each class of device \(pi4, pi5\)"):
            ask()
    first, second = job.group.jobs
    control.put_job(done(control, first, b"of pi4"))
    control.put_job(replace(second, state=JobState.RUNNING))
    wait_until(lambda: job.state is JobState.RUNNING and job.results.keys() == {"pi4"}, "the first result")
    control.put_job(done(control, second, b"of pi5"))
    assert {name: result.tuned_s for name, result in job.wait_all().items()} == {"pi4": 0.1, "pi5": 0.1}
    folder = job.package.download(tmp_path / "tuned")
    assert contents(folder).keys() == {f"{c}/{f}" for c in ("pi4", "pi5") for f in ("model.so", "manifest.json")} | {
        "classes.json"
    }
    # One class of them alone, into the same folder: nothing of the others remains there.
    (folder / "notes.txt").write_text("mine")
    (folder / "pi5" / "mine.txt").write_text("mine")
    farm.job("0001job.2").package.download(folder)
    assert contents(folder).keys() == {"model.so", "manifest.json", "notes.txt", "pi5/mine.txt"}
    # And all of them again.
    job.package.download(folder)
    assert "model.so" not in contents(folder)
    assert contents(folder)["pi4/model.so"] == b"of pi4"


def test_of_classes_some_have_failed(control: StandInFarm, farm: Farm, model: Path, tmp_path: Path) -> None:
    control.classes = ["pi4", "pi5"]
    job = farm.tune(model, pool="arm64")
    first, second = job.group.jobs
    control.put_job(done(control, first))
    control.put_job(replace(second, state=JobState.FAILED, error="it broke"))
    with pytest.raises(JobFailed, match=r"1 of 2 classes have no package: 0001job\.2: it broke"):
        job.wait_all()
    assert (job.state, job.results.keys()) == (JobState.FAILED, {"pi4"})
    job.package.download(tmp_path / "tuned")
    assert (tmp_path / "tuned" / "pi4" / "model.so").is_file()


async def test_the_blocking_farm_serves_a_program_whose_loop_runs(control: StandInFarm, model: Path) -> None:
    """As in a notebook. The name is heard by mDNS, which has a loop of its own."""
    with Farm(control.address) as farm:
        job = farm.tune(model, pool="arm64")
        control.put_job(done(control, control.await_job()))
        assert job.wait().tuned_s == 0.1
    with pytest.raises(TrackerUnreachable):
        Farm("nobody-has-this")


async def test_the_same_awaited(control: StandInFarm, model: Path, tmp_path: Path) -> None:
    async with AsyncFarm(control.address) as farm:
        assert (await farm.status()).farm == "stand-in"
        job = await farm.tune(model, pool="arm64", trials=8)
        heard = []
        async for snapshot in job.progress():
            heard.append(snapshot.state)
            if snapshot.state is JobState.QUEUED:
                control.put_job(done(control, snapshot))
        assert heard == [JobState.QUEUED, JobState.DONE]
        assert (await job.wait()).tuned_s == 0.1
        await job.package.download(tmp_path / "tuned")
        assert contents(tmp_path / "tuned")["model.so"] == b"library"
        again = await farm.job(job.id)
        assert (await again.refresh()).state is JobState.DONE
        with pytest.raises(BadInput, match="There is no job"):
            await farm.job("none")
    with pytest.raises(FarmError, match="not connected"):
        _ = farm.farm
    for late in (job.cancel, job.progress().__anext__, lambda: job.package.download(tmp_path / "late")):
        with pytest.raises(FarmError, match="was closed: make another"):
            await late()


async def test_waiting_that_is_cancelled_ends_at_once(control: StandInFarm, model: Path) -> None:
    async with AsyncFarm(control.address) as farm:
        job = await farm.tune(model, pool="arm64")
        with pytest.raises(WaitTimeout):
            await job.wait(0.1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(job.wait(), 0.1)
        assert (await job.refresh()).state is JobState.QUEUED
        await job.cancel()
        with pytest.raises(JobCancelled):
            await job.wait()


async def test_a_job_whose_asking_was_given_up_is_cancelled(
    control: StandInFarm, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = threading.Event(), threading.Event()
    async with AsyncFarm(control.address) as farm:
        monkeypatch.setattr(farm.farm.jobs, "submit", _held(farm.farm.jobs.submit, asked, go_on))
        task = asyncio.create_task(farm.tune(model, pool="arm64"))
        assert await asyncio.to_thread(asked.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
    assert control.await_job().state is JobState.CANCELLED


def _held(submit: Callable[..., Job], asked: threading.Event, go_on: threading.Event) -> Callable[..., Job]:
    def held(*arguments: object) -> Job:
        asked.set()
        assert go_on.wait(30)
        return submit(*arguments)

    return held
