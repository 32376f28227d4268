"""``farm tasks show``: what a job's worker said of its spaces, as a person and as a script get it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from tests.support.stand_in_farm import StandInFarm
from tvm_farm.tracker.cli import farm
from tvm_farm.tracker.cli.reports.results import print_result
from tvm_farm.tracker.domain import Artifact, Job, JobKind, JobResult, JobSpec, JobState, Task

SPACE = {
    "engine": "autotvm",
    "template": "dense",
    "size": 3240,
    "valid": 2120,
    "knobs": [
        {"name": "tile_m", "kind": "split", "size": 27, "options": ["1x1x64", "1x2x32", "...", "64x1x1"]},
        {"name": "pack", "kind": "choice", "size": 2, "options": ["no", "yes"]},
    ],
    "limits": ["a tile fits into 16 registers", "each of 2 cores gets a share"],
}
WITHOUT = {"engine": "ansor", "note": "no template matches"}
TASKS = (
    Task("net-ab2cde/0", "dense", "w0", 2, trials=5, space=json.dumps(SPACE)),
    Task("net-ab2cde/1", "softmax", "w1", 1, space=json.dumps(WITHOUT)),
    Task("net-ab2cde/2", "large", "w2", 1, space=json.dumps({**SPACE, "valid": None, "size": 10**9})),
)
SPEC = JobSpec(JobKind.TUNE, "net", Artifact("ab" * 32, 1), "arm64", engine="autotvm", max_trials=64)
JOB = Job("net-ab2cde", SPEC, JobState.RUNNING, tasks=TASKS)


@pytest.fixture
def control() -> Iterator[StandInFarm]:
    with StandInFarm() as control:
        control.put_job(JOB)
        yield control


def show(control: StandInFarm, *words: str) -> Result:
    return CliRunner().invoke(farm, ["--tracker", control.address, "tasks", "show", *words], prog_name="farm")


def test_the_tasks_of_a_job_with_their_templates(control: StandInFarm) -> None:
    shown = show(control, "net-ab2")
    assert shown.exit_code == 0, shown.output
    lines = [line.split() for line in shown.output.splitlines()]
    assert lines[0] == ["task", "name", "calls", "template", "knobs", "points", "trials"]
    assert lines[1] == ["net-ab2cde/0", "dense", "2", "dense", "2", "2,120", "5"]
    assert lines[2] == ["net-ab2cde/1", "softmax", "1", "none,", "ansor", "0"]
    assert lines[3] == ["net-ab2cde/2", "large", "1", "dense", "2", "<", "1,000,000,000", "0"]


def test_the_knobs_of_one_task(control: StandInFarm) -> None:
    shown = show(control, "net-ab2cde/0").output
    assert "3,240 points, 2,120 of them valid" in shown
    assert ["limit", "a", "tile", "fits", "into", "16", "registers"] in [line.split() for line in shown.splitlines()]
    assert [line.split() for line in shown.splitlines()][-2:] == [
        ["tile_m", "split", "27", "1x1x64", "1x2x32", "...", "64x1x1"],
        ["pack", "choice", "2", "no", "yes"],
    ]
    assert "no template matches, ansor searches it" in show(control, "net-ab2cde/1").output


def test_the_same_for_scripts(control: StandInFarm) -> None:
    told = json.loads(show(control, "net-ab2cde", "--json").output)
    assert [task["space"] for task in told][:2] == [SPACE, WITHOUT]
    assert json.loads(show(control, "net-ab2cde/1", "--json").output)["name"] == "softmax"


def test_a_job_whose_engine_goes_by_rules_has_no_knobs(control: StandInFarm) -> None:
    plain = tuple(replace(task, space="") for task in TASKS)
    control.put_job(replace(JOB, spec=replace(SPEC, engine="ansor"), tasks=plain))
    assert "none, ansor" in show(control, "net-ab2cde").output
    assert "none, its engine goes by rules" in show(control, "net-ab2cde/0").output


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("net-ab2cde/3", "Job net-ab2cde has no task 3: its tasks are net-ab2cde/0 to net-ab2cde/2."),
        ("net-ab2cde/x", "Job net-ab2cde has no task x: its tasks are net-ab2cde/0 to net-ab2cde/2."),
    ],
)
def test_a_task_that_is_not_there(control: StandInFarm, name: str, said: str) -> None:
    shown = show(control, name)
    assert shown.exit_code == 2
    assert said in shown.output


def test_a_job_that_no_worker_has_read_yet(control: StandInFarm) -> None:
    control.put_job(replace(JOB, tasks=()))
    assert "has no tasks yet" in show(control, "net-ab2cde").output
    assert "it has no tasks yet" in show(control, "net-ab2cde/0").output


def test_the_result_names_what_no_template_matched() -> None:
    screen = Console(file=io.StringIO(), width=200)
    print_result(screen, replace(JOB, state=JobState.DONE, result=JobResult()))
    told = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "No template matched softmax: ansor searched it." in told
    assert "it finds more there" not in told


def test_what_auto_leaves_to_rules_is_not_said_to_have_no_template(control: StandInFarm) -> None:
    space = {"engine": "ansor", "note": "the template rows finds less", "passed_over": "rows"}
    job = replace(JOB, tasks=(replace(TASKS[1], space=json.dumps(space)),))
    screen = Console(file=io.StringIO(), width=200)
    print_result(screen, replace(job, state=JobState.DONE, result=JobResult()))
    told = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "ansor searched softmax: it finds more there than the template that matches." in told
    assert "No template matched" not in told
    control.put_job(job)
    assert "not rows but ansor" in show(control, "net-ab2cde").output
    assert "the template rows finds less, ansor searches it" in show(control, "net-ab2cde/0").output
