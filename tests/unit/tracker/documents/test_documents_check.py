"""What a check tells programs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.support.check_reports import BAD, GOOD, PEAKS, job
from tvm_farm.tracker.documents.check import check_document
from tvm_farm.tracker.domain import Job, TensorOutline


def document(*jobs: Job) -> Any:
    return json.loads(json.dumps(check_document(jobs)))


def test_it_has_what_is_derived_and_null_for_what_is_unknown() -> None:
    told = document(job(replace(GOOD, peaks=PEAKS)))
    assert (told["model"], told["pool"], told["will_be_tuned"]) == ("squeezenet", "arm64", True)
    assert told["inputs"] == [
        {"name": "data", "shape": [1, 3, 224, 224], "dtype": "float32"},
        {"name": "sr", "shape": [], "dtype": "int64"},
    ]
    assert told["operators"][1] == {
        "name": "Conv",
        "nodes": 26,
        "folded": 0,
        "by_farm": 0,
        "by_tvm": 26,
        "expanded": 0,
        "cut": 0,
        "refused": 0,
        "unknown": 0,
    }
    [one] = told["classes"]
    assert [(t["bound"], t["attainable_s"]) for t in one["tasks"]] == [("memory", 0.001), ("compute", 0.01)]
    assert (one["attainable_s"], one["parameters_of"], one["obstacles"]) == (0.012, "package", [])
    assert one["peaks"]["flops_per_s"] == 20e9


def test_open_dimensions_stay_as_they_are_called() -> None:
    opened = (TensorOutline("a", ("batch", "3", "?"), "float32"), TensorOutline("b", ("...",), ""))
    told = document(job(replace(BAD, inputs=opened)))
    assert [tensor["shape"] for tensor in told["inputs"]] == [["batch", 3, "?"], None]
    assert (told["will_be_tuned"], told["classes"][0]["peaks"], told["classes"][0]["attainable_s"]) == (
        False,
        None,
        None,
    )
    assert [(o["node"], o["operator"]) for o in told["classes"][0]["obstacles"]] == [
        ("node wobble (my.Wobble)", "my.Wobble"),
        ("", ""),
    ]


def test_a_class_that_is_not_done_has_no_entry_and_no_promise() -> None:
    told = document(job(GOOD), job(None, device_class="pi5"))
    assert ([one["device_class"] for one in told["classes"]], told["will_be_tuned"]) == (["rpi4"], False)
