"""Every benchmark that is named can be loaded and says what the harness asks of it."""

from __future__ import annotations

import inspect

import pytest

from benchmarks.catalog import NAMES, load
from benchmarks.measure import overhead_ms
from benchmarks.noise import shift, variation
from benchmarks.result import Metric


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_has_its_contract(name: str) -> None:
    benchmark = load(name)
    assert benchmark.TITLE.startswith(name.replace("_", " "))
    assert len({metric.name for metric in benchmark.METRICS}) == len(benchmark.METRICS) > 0
    assert all(isinstance(metric, Metric) for metric in benchmark.METRICS)
    assert list(inspect.signature(benchmark.run).parameters) == ["bench"]
    assert list(inspect.signature(benchmark.plot).parameters) == ["figure", "results", "series"]


def test_overhead_is_what_two_calls_of_each_kernel_leave_of_the_wall_time() -> None:
    assert overhead_ms({"wall_s": 1.0, "run_s": [0.1, 0.2]}) == pytest.approx(200.0)


def test_variation_and_shift_are_percent() -> None:
    assert variation([1.0, 1.0, 1.0]) == 0.0
    assert variation([1.0, 3.0]) == pytest.approx(70.7, abs=0.1)
    assert shift([2.0, 2.0, 9.0], [1.0, 1.5, 2.0]) == pytest.approx(25.0)
