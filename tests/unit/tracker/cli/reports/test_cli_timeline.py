"""Where a job's time went, on a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from tests.support.records import make_job
from tvm_farm.protos.measurement import Outcome
from tvm_farm.tracker.cli.reports.timeline import bar, print_timeline
from tvm_farm.tracker.domain import DeviceTime, JobTimeline, OutcomeCount, Step, StepTime

TIMES = JobTimeline(
    wall_s=200.0,
    tuning_s=160.0,
    trials=400,
    baselines=30,
    cut_short=7,
    outcomes=(OutcomeCount(Outcome.OK, 390), OutcomeCount(Outcome.BUILD_TIMEOUT, 10)),
    steps=tuple(StepTime(step, 400, 12.0 * n, 0.01 * n, 0.02 * n, 10.0 * n) for n, step in enumerate(Step, 1)),
    devices=(DeviceTime("rpi4-1", 200, 150.0), DeviceTime("rpi4-2", 190, 50.0)),
    builders=2,
    building_s=360.0,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, ""), (0.5, "████"), (1.0, "████████"), (0.51, "████▏"), (0.0001, "▏"), (1.7, "████████")],
)
def test_bar(share: float, text: str) -> None:
    assert bar(share, 8) == text


def printed(times: JobTimeline, width: int, trials: int = 400) -> list[str]:
    out = io.StringIO()
    print_timeline(Console(file=out, width=width), make_job("squeezenet-ab2c", trials=trials), times)
    return out.getvalue().splitlines()


def test_counts_steps_and_who_was_busy() -> None:
    rows = [re.split(r"\s{2,}", line.strip()) for line in printed(TIMES, 120) if line.strip()]
    assert rows[:5] == [
        ["job", "squeezenet-ab2c"],
        ["tuning", "400 trials in 2m 40s: 2.50 trials/s"],
        ["baselines", "30"],
        ["outcomes", "ok 390, build timeout 10"],
        ["cut short", "7 of them, as hopeless"],
    ]
    assert rows[5] == ["step", "median", "p95", "total", "of sum", "of wall", "bar"]
    assert rows[6] == ["search", "10.0 ms", "20.0 ms", "12.0 s", "2 %", "5 %", bar(0.05, 40)]
    assert rows[15] == ["store", "100 ms", "200 ms", "2m 00s", "18 %", "50 %", "█" * 20]
    assert "of 3m 20s" in rows[16][0]
    assert rows[18:] == [
        ["rpi4-1", "200", "2m 30s", "75 %", "█" * 30],
        ["rpi4-2", "190", "50.0 s", "25 %", "█" * 10],
        ["2 builders", "400", "6m 00s", "90 %", "█" * 36],
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_terminal(width: int) -> None:
    lines = printed(TIMES, width)
    assert max(map(len, lines)) <= width
    assert len(lines) == len(printed(TIMES, 200))  # nothing wrapped
    assert not [line for line in lines if "…" in line]


def test_of_a_compacted_job_it_says_what_it_counts() -> None:
    told = printed(TIMES, 120, trials=1204)
    assert told[1:3] == [
        "compacted  804 of its 1,204 trials are no more in the log: what follows is of the others",
        "tuning     400 trials in 2m 40s",
    ]


def test_a_job_without_trials_has_no_steps() -> None:
    assert [line.split() for line in printed(JobTimeline(), 80, trials=0)] == [
        ["job", "squeezenet-ab2c"],
        ["tuning", "0", "trials", "in", "0s"],
    ]
