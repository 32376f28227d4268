"""Which record answers which trial, and which searches are the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import make_job, make_record
from tvm_farm.protos.measurement import Outcome, Timeline, TimingPlan
from tvm_farm.tracker.domain import JobKind, RecordContext
from tvm_farm.tracker.domain.recall import answer_among, answers, copied
from tvm_farm.tracker.domain.search import search_key

VERSIONS = {"tvm": "0.27"}


def timeout(ran_s: float) -> dict[str, Any]:
    return {"outcome": Outcome.RUN_TIMEOUT, "timeline": Timeline(started_s=10.0, finished_s=10.0 + ran_s)}


@pytest.mark.parametrize(
    ("run_secs", "changes", "run_timeout_s", "hopeless_s", "answered"),
    [
        pytest.param((0.3, 0.1, 0.2), {}, 0.0, 0.0, True, id="timings"),
        pytest.param((0.3,), {"cut_short": True}, 5.0, 0.0, False, id="cut short, and a whole plan is wanted"),
        pytest.param((0.3,), {"cut_short": True}, 5.0, 0.2, True, id="cut short, and would be again"),
        pytest.param((0.3,), {"cut_short": True}, 5.0, 0.4, False, id="cut short, and would not be now"),
        pytest.param((), {}, 0.0, 0.0, True, id="a crash"),
        pytest.param((), {"signal": 9}, 0.0, 0.0, False, id="killed, perhaps for a full memory"),
        pytest.param((), {"outcome": Outcome.BUILD_ERROR}, 0.0, 0.0, True, id="a build error"),
        pytest.param((), {"outcome": Outcome.BUILD_TIMEOUT}, 0.0, 0.0, True, id="a build timeout"),
        pytest.param((), {"outcome": Outcome.HOST_FAULT}, 0.0, 0.0, False, id="a full disk"),
        pytest.param((), {"outcome": Outcome.WRONG_RESULT}, 0.0, 0.0, True, id="a wrong result"),
        pytest.param((), timeout(4.0), 4.2, 0.0, True, id="a timeout after as long a run"),
        pytest.param((), timeout(4.0), 8.0, 0.0, False, id="a timeout of a shorter run"),
        pytest.param((), timeout(4.0), 0.0, 0.0, False, id="a timeout, and no limit is known"),
        pytest.param((), {"outcome": Outcome.OUT_OF_MEMORY}, 0.0, 0.0, False, id="a full memory"),
        pytest.param((), {"outcome": Outcome.RUN_ERROR}, 0.0, 0.0, False, id="what the runtime complained of"),
        pytest.param((), {"outcome": Outcome.UNPLACEABLE}, 0.0, 0.0, False, id="lost boards"),
        pytest.param((0.1,), {"versions": {"tvm": "0.26"}}, 0.0, 0.0, False, id="another compiler"),
        pytest.param((0.1,), {"versions": {}}, 0.0, 0.0, False, id="an unknown compiler"),
        pytest.param((0.1,), {"versions": {**VERSIONS, "agent": "9"}}, 0.0, 0.0, True, id="another agent"),
        pytest.param((0.1,), {"versions": {**VERSIONS, "inputs": "a"}}, 0.0, 0.0, False, id="values of someone's own"),
    ],
)
def test_what_answers(run_secs, changes, run_timeout_s, hopeless_s, answered) -> None:
    record = make_record("t", run_secs, **changes)
    assert answers(record, VERSIONS, run_timeout_s, hopeless_s) is answered
    assert answers(record, {}, run_timeout_s, hopeless_s) is False


def test_a_record_answers_for_the_values_that_it_was_measured_with() -> None:
    record = make_record("t", (0.1,), versions={**VERSIONS, "inputs": "a"})
    assert answers(record, {**VERSIONS, "inputs": "a"}, 0.0, 0.0)
    assert not answers(record, {**VERSIONS, "inputs": "b"}, 0.0, 0.0)
    assert not answers(make_record("t", (0.1,), versions=VERSIONS), {**VERSIONS, "inputs": "a"}, 0.0, 0.0)


def test_the_record_that_says_most_answers() -> None:
    crashed, cut = make_record("crashed", ()), make_record("cut", (0.3,), cut_short=True)
    copy, newest, older = make_record("copy", copied_from="older"), make_record("newest"), make_record("older")

    def chosen(*records) -> str | None:
        answer = answer_among(records, VERSIONS, 0.0, 0.1)
        return answer and answer.trial_id

    assert chosen(crashed, cut, copy, newest, older) == "newest"
    assert chosen(crashed, cut, copy) == "copy"
    assert chosen(crashed, cut) == "cut"
    assert chosen(crashed) == "crashed"
    assert chosen() is None


def test_a_copy_names_what_was_measured_and_has_no_times_of_a_board() -> None:
    source = make_record("measured", job_id="first", task_id="first/0", user="ada")
    fields = {"task_id": "second/3", "workload": "w0", "workload_name": "conv", "target": source.target}
    context = RecordContext(**fields, engine="autotvm", trace=source.trace, searched_s=5.0)
    copy = copied(source, "t2", "second", "bob", context, 9.0)
    assert (copy.trial_id, copy.measurement.trial_id) == ("t2", "t2")
    assert (copy.job_id, copy.task_id, copy.user, copy.workload_name) == ("second", "second/3", "bob", "conv")
    assert copy.measurement.timeline == Timeline(searched_s=5.0, stored_s=9.0)
    assert (copy.measurement.run_secs, copy.measurement.device_id) == (source.measurement.run_secs, "d1")
    assert copy.copied_from == "measured"
    # A copy of a copy names the measurement.
    assert copied(copy, "t3", "third", "eve", context, 10.0).copied_from == "measured"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"user": "bob", "priority": 2, "pool": "other", "model_name": "mine", "fresh": True}, True),
        ({"max_trials": 7, "budget_s": 60.0, "device_class": "pi4"}, True),
        ({"seed": 1}, False),
        ({"shapes": ()}, False),
        ({"plan": TimingPlan(number=3)}, False),
        ({"engine": "autotvm"}, False),
        ({"target": "{}"}, False),
        ({"kind": JobKind.COMPILE}, False),
    ],
    ids=str,
)
def test_which_jobs_search_the_same(change, same) -> None:
    spec = make_job().spec
    assert (search_key(replace(spec, **change)) == search_key(spec)) is same


def test_what_auto_searches_depends_on_the_budget() -> None:
    spec = replace(make_job().spec, engine="auto")
    assert search_key(replace(spec, user="bob")) == search_key(spec)
    assert search_key(replace(spec, max_trials=7)) != search_key(spec)
    assert search_key(replace(spec, budget_s=60.0)) != search_key(spec)
