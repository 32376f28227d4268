"""Rows, bounds and the file of results: pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks import engines, transfer
from benchmarks.result import Bound, Metric, Result
from benchmarks.results_file import Results, as_summary, as_table, merged, with_table

ORDER = ("measure", "tune", "log")


def result(benchmark: str, metric: str = "time", *, farm: float = 2.0, date: str = "2026-01-01T00:00Z") -> Result:
    defined = Metric(metric, "ms", must="ratio >= 3")
    return Result.of(benchmark, defined, farm=farm, stock=10.0, machine="a machine", date=date)


@pytest.mark.parametrize(
    ("bound", "farm", "ratio", "met"),
    [
        ("ratio >= 25", 1.0, 25.0, True),
        ("ratio >= 25", 99.0, 24.9, False),
        ("ratio >= 25", 1.0, None, None),
        ("farm <= 7", 7.0, None, True),
        ("farm <= 7", 7.1, 100.0, False),
        ("farm < 100", 100.0, None, False),
        ("farm > 0.95", 0.96, 0.1, True),
    ],
)
def test_a_bound_holds_one_number(bound: str, farm: float, ratio: float | None, met: bool | None) -> None:
    assert Bound.parse(bound).met(farm=farm, ratio=ratio) is met


@pytest.mark.parametrize("text", ["", "25", "stock <= 7", "farm == 7", "ratio >= many", "ratio >= 25 x"])
def test_what_is_no_bound_is_refused_where_it_is_defined(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - float's own words for a number that is none
        Metric("time", "ms", must=text)


@pytest.mark.parametrize(
    ("lower_is_better", "farm", "stock", "ratio"),
    [
        (True, 2.0, 10.0, 5.0),
        (False, 10.0, 2.0, 5.0),
        (True, 10.0, 2.0, 0.2),
        (True, 2.0, None, None),
        (True, 0, 1, None),
    ],
)
def test_the_ratio_is_above_one_where_the_farm_is_better(
    lower_is_better: bool, farm: float, stock: float | None, ratio: float | None
) -> None:
    assert Metric("m", "s", lower_is_better).ratio(farm=farm, stock=stock) == ratio


def test_a_row_knows_whether_its_bound_is_met() -> None:
    assert result("tune", farm=2.0).met is True
    assert result("tune", farm=5.0).met is False


@pytest.mark.parametrize(
    ("ran", "keep", "left"),
    [
        (["tune"], ORDER, ["measure", "tune", "log", "log/part"]),
        (["tune"], ["log"], ["tune", "log", "log/part"]),
        (["tune"], [], ["tune"]),
        (["measure", "tune", "log"], ORDER, ["tune"]),
    ],
)
def test_results_of_what_did_not_run_stay_where_they_are_to_be_kept(
    ran: list[str], keep: Sequence[str], left: list[str]
) -> None:
    old = [result("log"), result("log/part"), result("measure"), result("tune", date="2025-12-31T00:00Z")]
    new = [result("tune", date="2026-02-02T00:00Z")]
    rows = merged(old, new, ran=ran, keep=keep, order=ORDER)
    assert [row.benchmark for row in rows] == left
    assert [row.date for row in rows if row.benchmark == "tune"] == ["2026-02-02T00:00Z"]


def test_a_benchmark_that_broke_leaves_no_old_result() -> None:
    rows = merged([result("log"), result("tune")], [], ran=["tune"], keep=ORDER, order=ORDER)
    assert [row.benchmark for row in rows] == ["log"]


def test_results_and_series_come_back_as_written(tmp_path: Path) -> None:
    results = Results(tmp_path / "new")
    assert results.read() == []
    results.write([result("tune")])
    assert results.read() == [result("tune")]
    results.write_series("tune", {"seconds": [1, 2]})
    assert results.series("tune") == {"seconds": [1, 2]}
    results.write_series("tune", None)
    assert results.series("tune") is None


def test_the_table_tells_missed_bounds_and_its_machine() -> None:
    table = as_table([result("measure"), result("tune", farm=5.0), result("tune/part")])
    assert "part" not in table
    assert "| measure | time | 10 ms | 2 ms | 5x | ratio >= 3: met |" in table
    assert "ratio >= 3: **missed**" in table
    assert "Machine: a machine." in table


def test_the_summary_has_one_row_a_benchmark() -> None:
    summary = as_summary([result("measure"), result("measure", "another"), result("tune")])
    assert "| measure | time | 10 ms | 2 ms | 5x |" in summary
    assert "another" not in summary
    assert "| tune | time |" in summary


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    readme = "# Head\n\n<!-- results: written by `make bench` -->\nold\n<!-- end of results -->\ntail\n"
    assert with_table(readme, "results", "new\n") == readme.replace("old", "new")
    with pytest.raises(ValueError, match="needs one line '<!-- engines:"):
        with_table(readme, "engines", "")


@pytest.mark.parametrize(
    ("path", "title", "table"),
    [
        ("README.md", "results", as_summary),
        ("benchmarks/README.md", "results", as_table),
        ("benchmarks/README.md", "engines", engines.table),
        ("benchmarks/README.md", "transfer", transfer.table),
    ],
)
def test_the_readmes_show_the_results_that_are_committed(
    path: str, title: str, table: Callable[[Sequence[Result]], str]
) -> None:
    root = Path(__file__).parents[3]
    readme = (root / path).read_text(encoding="utf-8")
    assert with_table(readme, title, table(Results(root / "benchmarks").read())) == readme


def test_engines_are_told_by_workload_with_the_best_in_bold() -> None:
    times = {("autotvm", 16): 4.0, ("ansor", 16): 3.0, ("autotvm-random", 16): 5.0}
    rows = [
        result(
            f"engines/{workload.name}",
            f"latency after {trials} trials, {engine}",
            farm=times.get((engine, trials), 2.0),
        )
        for workload in engines.WORKLOADS
        for trials in engines.AFTER
        for engine in engines.ENGINES
    ]
    table = engines.table(rows)
    assert "| GMM: matmul, 512x512x512 | 4 | **3** | 5 |" in table
    assert engines.best_after([None, 2.0, 1.0], 2) == 2.0
    assert engines.best_after([None], 1) == float("inf")
