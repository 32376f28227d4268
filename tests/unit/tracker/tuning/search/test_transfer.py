"""Which records of other classes a search begins with: a table, without TVM."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.records import make_record
from tvm_farm.tracker.domain import Record
from tvm_farm.tracker.tuning.search.transfer import known_elsewhere


def target(mcpu: str, mtriple: str = "aarch64-linux-gnu", kind: str = "llvm") -> str:
    return json.dumps({"kind": kind, "mcpu": mcpu, "mtriple": mtriple, "num-cores": 4})


def record(device_class: str, seconds: float, there: str = target("cortex-a72"), trace: str | None = None) -> Record:
    trace = f"{device_class} {seconds}" if trace is None else trace
    return make_record(f"{device_class} {seconds}", (seconds,), device_class=device_class, target=there, trace=trace)


HERE = target("cortex-a76")


def test_the_fastest_of_a_class_and_some_of_the_rest() -> None:
    records = [record("pi4", float(n)) for n in range(1, 65)]
    known = known_elsewhere(records[::-1], HERE)
    assert [each.seconds for each in known] == [*range(1, 9), 9, 16, 23, 30, 37, 44, 51, 58]
    assert {each.device_class for each in known} == {"pi4"}
    assert known[0].trace == "pi4 1.0"
    assert len(known_elsewhere(records[:5], HERE)) == 5
    assert len(known_elsewhere(records[:11], HERE)) == 11


def test_the_nearest_classes_teach_and_the_nearest_one_most() -> None:
    near, same, far = target("cortex-a72"), target("cortex-a76"), target("znver4", "x86_64-linux-gnu")
    classes = {"same-cpu": (same, 9), "same-set": (near, 9), "many": (near, 12), "far": (far, 60)}
    records = [record(name, float(n), there) for name, (there, count) in classes.items() for n in range(count)]
    known = known_elsewhere(records, HERE)
    origins = list(dict.fromkeys(each.device_class for each in known))
    assert origins == ["same-cpu", "many", "same-set"]
    assert [sum(each.device_class == name for each in known) for name in origins] == [9, 8, 8]


def test_what_was_measured_here_comes_first_and_names_its_records() -> None:
    records = [record(name, float(n)) for name in ("a", "here", "z") for n in range(1, 30)]
    known = known_elsewhere(records, HERE, "here")
    assert [each.device_class for each in known] == ["here"] * 16 + ["a"] * 8 + ["z"] * 8
    assert known[0].trial_id == "here 1.0"


@pytest.mark.parametrize(
    "useless",
    [
        record("gpu", 1.0, target("", "", kind="cuda")),
        record("untuned", 1.0, trace=""),
        replace(record("failed", 1.0), measurement=replace(record("failed", 1.0).measurement, run_secs=())),
        record("no target", 1.0, "not JSON"),
        record("odd target", 1.0, "[]"),
    ],
    ids=["another kind", "untuned", "failed", "no JSON", "no object"],
)
def test_what_teaches_nothing(useless: Record) -> None:
    assert [each.device_class for each in known_elsewhere([useless, record("pi4", 1.0)], HERE)] == ["pi4"]
    assert known_elsewhere([], HERE) == []
