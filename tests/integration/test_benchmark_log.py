"""The log's benchmark finds what a store answers wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.log import ask, measure
from benchmarks.log_records import Truth, make_records
from tvm_farm.tracker.store import open_store, sqlite_url

TRACES = [['[[["SamplePerfectTile",["l1"],[4,64],["v1","v2","v3","v4"]]],[[0,[1,1,8,64]]]]'] * 3] * 2


@contextmanager
def step(doing: str) -> Iterator[None]:
    yield


def test_records_are_written_killed_restarted_and_asked(tmp_path: Path) -> None:
    found = measure(tmp_path, 2_500, TRACES, step)
    assert sum(found["records"]) == 2_500
    assert min(found["written"], found["last"], found["best_cold_s"], found["page_cold_s"], found["restart_s"]) > 0
    assert found["bytes"] > 2_500 * 300


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    path, truth = tmp_path / "tracker.db", Truth()
    store = open_store(sqlite_url(path))
    for jobs, records in make_records(600, TRACES, truth):
        for job, plans in jobs:
            store.jobs.add(job, "")
            store.jobs.add_tasks(job.id, plans)
        store.records.add(records)
    store.close()
    return path, {"best": [[w, c, s] for (w, c), s in truth.best.items()], "jobs": truth.jobs}


def test_a_best_record_that_is_not_the_least_breaks_it(written: tuple[Path, dict[str, Any]]) -> None:
    path, truth = written
    assert ask(path, truth)
    truth["best"][0][2] *= 0.99
    with pytest.raises(RuntimeError, match=f"the best of {truth['best'][0][0]}"):
        ask(path, truth)


def test_a_page_that_is_not_the_newest_breaks_it(written: tuple[Path, dict[str, Any]]) -> None:
    path, truth = written
    job_id = next(iter(truth["jobs"]))
    truth["jobs"][job_id].append("another")
    with pytest.raises(RuntimeError, match=f"newest records of job {job_id}"):
        ask(path, truth)
