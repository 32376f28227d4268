"""Jobs, groups and tasks as programs are told of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.support.records import make_job
from tvm_farm.tracker.documents.jobs import classes_document, group_document, listed_document, task_document
from tvm_farm.tracker.documents.value import jsonable
from tvm_farm.tracker.domain import (
    Artifact,
    JobGroup,
    JobKind,
    JobResult,
    JobState,
    PackageFile,
    Task,
)

RESULT = JobResult((PackageFile("model.so", Artifact("ab", 2, b"so")),), (), 0.2, 0.1, 0.0, 1e-4, 1e-5, True, "pi-1")


def of_group(number: int, **changes: Any) -> Any:
    return make_job(f"net-ab2c.{number}", group="net-ab2c", device_class=f"class-{number}", **changes)


def test_enums_are_words_tuples_are_lists_and_bytes_are_left_out() -> None:
    job = make_job("net-ab2c", state=JobState.DONE, result=RESULT)
    told = json.loads(json.dumps(jsonable(job)))
    assert told["state"] == "done"
    assert told["result"]["files"] == [{"name": "model.so", "content": {"digest": "ab", "size": 2}}]


def test_one_job_is_told_as_it_is_and_several_by_their_group() -> None:
    alone = make_job("net-ab2c")
    assert group_document(JobGroup((alone,))) == jsonable(alone)
    told = json.loads(json.dumps(group_document(JobGroup((of_group(1), of_group(2))))))
    assert (told["group"], [job["id"] for job in told["jobs"]]) == ("net-ab2c", ["net-ab2c.1", "net-ab2c.2"])


def test_a_job_of_many_is_told_without_its_parts() -> None:
    job = make_job("net-ab2c", state=JobState.DONE, result=RESULT, tasks=(Task("net-ab2c/0", "conv", "w0", 1),))
    told = json.loads(json.dumps(listed_document(job)))
    assert told.keys() & {"tasks", "result"} == set()
    assert told["spec"] == jsonable(job.spec)
    assert (told["id"], told["untuned_s"], told["tuned_s"], told["measured"]) == ("net-ab2c", 0.2, 0.1, True)
    for other in (replace(job, result=None), replace(job, spec=replace(job.spec, kind=JobKind.CHECK))):
        assert "tuned_s" not in listed_document(other)


def test_a_task_brings_its_space_as_an_object() -> None:
    task = Task("net-ab2c/0", "conv", "w0", 1, space='{"template": "conv2d_nchw", "knobs": []}')
    assert task_document(task)["space"] == {"template": "conv2d_nchw", "knobs": []}
    assert task_document(replace(task, space=""))["space"] == {}


def test_the_list_of_classes_has_those_that_are_done() -> None:
    group = JobGroup((of_group(1, state=JobState.DONE, result=RESULT), of_group(2, state=JobState.FAILED)))
    told = json.loads(json.dumps(classes_document(group)))
    assert (told["group"], told["model"]) == ("net-ab2c", group.spec.model_name)
    [one] = told["classes"]
    assert (one["device_class"], one["folder"], one["job"]) == ("class-1", "class-1", "net-ab2c.1")
    assert (one["untuned_s"], one["tuned_s"], one["verified"]) == (0.2, 0.1, "outputs equal (max |diff| 0)")
