"""A run of benchmarks: what breaks is told at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks.process import Answer, BenchmarkFailed
from benchmarks.result import Metric, Result

METRIC = Metric("time", "ms", must="farm <= 1")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the program with answers made up; returns its exit code and its words."""
    monkeypatch.setattr(program, "QUICK_FOLDER", tmp_path)
    monkeypatch.setattr(program, "adopt_orphans", lambda: None)
    monkeypatch.setattr(program, "_publish", lambda results, names, quick: [])

    def run(answers: dict[str, Answer | Exception], *arguments: str):
        ran = []

        def answer(name: str, *, quick: bool, limit_s: float, shared: Path | None) -> Answer:
            assert shared
            assert shared.is_dir()
            ran.append(name)
            what = answers[name]
            if isinstance(what, BaseException):
                raise what
            return what

        monkeypatch.setattr(program, "run_apart", answer)
        done = CliRunner().invoke(program.main, ["--quick", *arguments])
        return done.exit_code, done.output, ran

    return run


def answer(name: str, farm: float) -> Answer:
    return Answer([Result.of(name, METRIC, farm=farm, stock=None, machine="m", date="d")], None)


def test_a_broken_benchmark_fails_the_run_after_the_others_ran(run) -> None:
    code, words, ran = run(
        {"measure": BenchmarkFailed("measure fell over"), "tune": answer("tune", 0.5)}, "measure", "tune"
    )
    assert code == 1
    assert ran == ["measure", "tune"]
    assert "BROKEN measure fell over" in words
    assert "1 of 1 bounds met, 1 broken" in words


def test_a_missed_bound_is_told_and_fails_nothing(run) -> None:
    code, words, _ = run({"tune": answer("tune", 2.0)}, "tune")
    assert code == 0
    assert "MISSED tune: time: must farm <= 1, is 2" in words


def test_an_interrupted_run_keeps_what_was_finished(run, tmp_path: Path) -> None:
    code, words, _ = run({"measure": answer("measure", 0.5), "tune": KeyboardInterrupt()}, "measure", "tune")
    assert code == 130
    assert "Interrupted while tune ran" in words
    assert '"measure"' in (tmp_path / "results.json").read_text()
