"""``farm`` over several classes of device, against a tracker whose jobs the test moves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.farm_command import FarmTerminal, farm
from tests.support.onnx_like import onnx_like
from tests.support.stand_in_farm import StandInFarm
from tvm_farm.tracker.domain import Job, JobResult, JobState, Pool, Task, TaskResult

PI4, PI5 = "raspberry-pi-4-4xcortex-a72-performance-full-4t", "raspberry-pi-5-4xcortex-a76-performance-full-4t"
OLD = "beaglebone-1xcortex-a8-performance-micro-1t"
SHORT = {PI4: "raspberry-pi-4", PI5: "raspberry-pi-5", OLD: "beaglebone-1xcortex-a8"}


@pytest.fixture
def control() -> Iterator[StandInFarm]:
    with StandInFarm() as control:
        control.classes = [PI4, PI5, OLD]
        control.pools = [Pool("arm", {"arch": "arm"}, False, (), 0)]
        yield control


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "squeezenet.onnx"
    path.write_bytes(onnx_like(100))
    return path


def tune(control: StandInFarm, model: Path, *options: str) -> list[str]:
    return ["tune", str(model), "--pool", "arm", "--tracker", control.address, *options]


def jobs_of(control: StandInFarm) -> list[Job]:
    first = control.await_job()
    with control._changed:
        return control._group(first.group)


def running(job: Job) -> Job:
    tasks = (Task(f"{job.id}/0", "fused_conv2d_add_relu", "w0", 2, 1e9, 40, 3, 0.1, 0.005),)
    return replace(job, state=JobState.RUNNING, phase="tuning", tasks=tasks, trials=40, devices=1, tuned_for_s=20.0)


def done(control: StandInFarm, job: Job, **changes: object) -> Job:
    names = {"model.so": b"library of " + job.id.encode(), "manifest.json": b"{}"}
    files = tuple(control.put_file(name, data) for name, data in names.items())
    tasks = (TaskResult("fused_conv2d_add_relu", 2, 1e9, 40, 0.1, 0.005),)
    whole = "" if job.device_class == OLD else "board"
    result = JobResult(files, tasks, 0.2413, 0.0121, 3.1e-7, 1e-4, 1e-5, bool(whole), whole)
    target = json.dumps({"kind": "llvm", "mcpu": job.device_class.split("-")[-1]})
    job = replace(running(job), state=JobState.DONE, target=target)
    return replace(job, result=replace(result, **changes))  # type: ignore[arg-type]


CLOSING = [
    f"squeezenet on {PI4}: 241 ms -> 12.1 ms (19.9x), outputs equal (max |diff| 3e-07)",
    f"squeezenet on {PI5}: 241 ms -> 12.1 ms (19.9x), outputs equal (max |diff| 3e-07)",
    f"squeezenet on {OLD}: 200 ms -> 10.0 ms (20.0x), estimated from its tasks, outputs not compared",
]


def test_a_group_is_watched_to_its_end_and_each_package_has_its_folder(control: StandInFarm, model: Path) -> None:
    with FarmTerminal(*tune(control, model, "--trials", "192"), cwd=model.parent, columns=130, rows=30) as terminal:
        first, second, third = jobs_of(control)
        terminal.await_text(r"Pool arm has 3 classes of device; each is tuned and gets a package of its own")
        terminal.await_text(rf"1\. {PI4} \(1 device\): 64 of 192 trials")
        control.put_job(running(first))
        terminal.await_text(rf"3 classes of device[\s\S]*raspberry-pi-4 +{first.id} +tuning +40 of 64 +10\.0 ms")
        terminal.await_text(r"fused_conv2d_add_relu +2 +40 +3 +5\.00 ms")
        control.put_job(done(control, first))
        control.put_job(running(second))
        terminal.await_text(rf"raspberry-pi-4 +{first.id} +done +40 of 64 +12\.1 ms +19\.9x")
        for job in (second, third):
            control.put_job(done(control, job))
        assert terminal.await_exit() == 0
        assert terminal.text.rstrip().splitlines()[-3:] == CLOSING
        terminal.await_text(r"raspberry-pi-5 +0 +llvm \S+ +241 ms +12\.1 ms +19\.9x +40 +equal")
        terminal.await_text(r"beaglebone-1xcortex-a8 +0 +llvm \S+ +200 ms +10\.0 ms +20\.0x +40 +estimated")
    folder = model.parent / "squeezenet-tuned"
    assert sorted(path.name for path in folder.iterdir()) == sorted([PI4, PI5, OLD, "classes.json"])
    for job in (first, second, third):
        assert (folder / job.device_class / "model.so").read_bytes() == b"library of " + job.id.encode()
    listed = json.loads((folder / "classes.json").read_text())
    assert [(entry["folder"], entry["job"], entry["measured"]) for entry in listed["classes"]] == [
        (PI4, first.id, True),
        (PI5, second.id, True),
        (OLD, third.id, False),
    ]
    # What was written is known as this command's own, and a package is one of its folders.
    again = farm("jobs", "watch", first.group, "-o", str(folder), "--tracker", control.address)
    assert again.returncode == 0, again.stderr
    bench = farm("bench", str(folder), "--pool", "arm", "--tracker", control.address)
    assert bench.returncode == 2
    assert f"Name one of them: {folder / OLD}, {folder / PI4}, {folder / PI5}." in bench.stderr


def test_ctrl_c_leaves_the_group_and_says_how_to_come_back(control: StandInFarm, model: Path) -> None:
    with FarmTerminal(*tune(control, model, "--trials", "192"), cwd=model.parent) as terminal:
        first, *_ = jobs_of(control)
        control.put_job(running(first))
        terminal.await_text("fused_conv2d_add_relu")
        terminal.press_ctrl_c()
        assert terminal.await_exit() == 130
        terminal.await_text(f"No longer watching; the 3 jobs of {first.group} go on")
        terminal.await_text(f"farm jobs watch {first.group}")
        terminal.await_text(f"farm jobs cancel {first.group}")


def test_logs_name_the_class_of_each_line(control: StandInFarm, model: Path) -> None:
    control.classes = [PI4, PI5]
    assert farm(*tune(control, model, "--trials", "128", "--detach")).returncode == 0
    for job in jobs_of(control):
        control.put_job(done(control, job))
    watched = farm("jobs", "watch", jobs_of(control)[0].group, "--tracker", control.address)
    assert watched.returncode == 0, watched.stderr
    assert "pi-4-4xcortex: tuning" in watched.stderr
    assert "pi-5-4xcortex: tuning" in watched.stderr
    assert f"Fetch the packages: farm jobs watch {jobs_of(control)[0].group} -o DIR" in watched.stdout


def test_a_class_that_fails_is_told_and_costs_the_others_nothing(control: StandInFarm, model: Path) -> None:
    assert farm(*tune(control, model, "--trials", "192", "--detach")).returncode == 0
    first, second, third = jobs_of(control)
    control.put_job(done(control, first))
    control.put_job(replace(second, state=JobState.FAILED, error="the worker died three times"))
    control.put_job(done(control, third))
    watch = ["jobs", "watch", first.group, "-o", "out", "--tracker", control.address]
    watched = farm(*watch, cwd=model.parent)
    assert watched.returncode == 1
    assert f"1 of 3 classes have no package: {second.id}: the worker died three times" in watched.stderr
    assert watched.stdout.rstrip().splitlines()[-2:] == [CLOSING[0], CLOSING[2]]
    assert {path.name for path in (model.parent / "out").iterdir()} == {PI4, OLD, "classes.json"}
    # Answers that differ fail the command though every class has its package.
    control.put_job(done(control, second, outputs_equal=False, max_abs_diff=0.25))
    watched = farm(*watch, cwd=model.parent)
    assert watched.returncode == 1
    assert "outputs DIFFER (max |diff| 2e-01)" in watched.stdout
    for job in (first, second, third):
        control.put_job(replace(job, state=JobState.FAILED, error="Foo is no operator", input_error=True))
    watched = farm(*watch, cwd=model.parent)
    assert (watched.returncode, "Foo is no operator" in watched.stderr) == (2, True)


def test_groups_are_listed_shown_and_cancelled(control: StandInFarm, model: Path) -> None:
    submitted = farm(*tune(control, model, "--trials", "192", "--detach", "--json"))
    assert submitted.returncode == 0, submitted.stderr
    first, second, third = jobs_of(control)
    group = first.group
    answer = json.loads(submitted.stdout)
    assert (answer["group"], [job["id"] for job in answer["jobs"]]) == (group, [first.id, second.id, third.id])
    control.put_job(done(control, first))
    control.put_job(running(second))
    env = {"TVMFARM_TRACKER": control.address}
    listed = farm("jobs", **env)
    for job in (first, second, third):
        assert f"{job.id}  tune  squeezenet  arm   {SHORT[job.device_class]}" in listed.stdout
    shown = farm("jobs", "show", group, **env).stdout
    assert "3 jobs, one a class of device; 1 of them ended" in shown
    assert re.search(f"raspberry-pi-5 +{second.id} +tuning", shown)
    assert farm("jobs", "show", second.id, **env).stdout.count(f"`farm jobs show {group}`") == 1
    assert [job["state"] for job in json.loads(farm("jobs", "show", group, "--json", **env).stdout)["jobs"]] == [
        "done",
        "running",
        "queued",
    ]
    timeline = farm("jobs", "show", group, "--timeline", **env)
    assert (timeline.returncode, f"name one of {first.id}, {second.id}, {third.id}" in timeline.stderr) == (2, True)
    cancelled = farm("jobs", "cancel", group, **env)
    assert cancelled.returncode == 0, cancelled.stderr
    assert f"{second.id}, {third.id} are cancelled" in cancelled.stdout


def test_an_empty_name_is_no_group_of_all_groups_jobs(control: StandInFarm, model: Path) -> None:
    assert farm(*tune(control, model, "--trials", "192", "--detach")).returncode == 0
    shown = farm("jobs", "show", "", "--tracker", control.address)
    assert (shown.returncode, shown.stdout) == (2, "")


def test_one_class_is_asked_for_by_name(control: StandInFarm, model: Path) -> None:
    control.classes = [PI5]
    assert farm(*tune(control, model, "--class", PI5, "--detach")).returncode == 0
    [(_, spec)] = control.submitted
    assert spec.device_class == PI5


def test_a_class_that_would_leave_the_folder_is_refused(control: StandInFarm, model: Path) -> None:
    control.classes = [PI4, "../elsewhere"]
    assert farm(*tune(control, model, "--trials", "128", "--detach")).returncode == 0
    for job in jobs_of(control):
        control.put_job(done(control, job, device_name="board"))
    watched = farm(
        "jobs", "watch", jobs_of(control)[0].group, "-o", "out", "--tracker", control.address, cwd=model.parent
    )
    assert watched.returncode == 1
    assert "'../elsewhere', which is no name for a folder" in watched.stderr
    assert [path.name for path in model.parent.iterdir()] == [model.name]
