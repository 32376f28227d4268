"""``farm records`` import, export, merge and compact, against a real tracker that measures meanwhile."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.farm_command import FarmTerminal, farm
from tests.support.foreign_logs import ANSOR_LINE, AUTOTVM_LINE, FINE, TARGET, TRACE, changed, folder_of
from tests.support.records import make_job, make_record, make_tasks
from tests.support.tracker_process import TrackerProcess
from tvm_farm.tracker.domain import JobResult, JobState, PackageFile, Record, RecordFilter
from tvm_farm.tracker.store import open_store, sqlite_url


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    tracker = TrackerProcess(tmp_path / "tracker", "--farm", "lab")
    yield tracker
    tracker.stop()


def done(tracker: TrackerProcess, *arguments: str, code: int = 0) -> str:
    """What it wrote, of an error or of a success."""
    answer = farm("records", *arguments, "--tracker", tracker.address, timeout_s=100)
    assert answer.returncode == code, answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    return answer.stderr if code else answer.stdout


def log_of(tracker: TrackerProcess) -> list[Any]:
    return json.loads(done(tracker, "query", "--limit", "0", "--oldest-first", "--json"))  # type: ignore[no-any-return]


def other_farm(path: Path, records: int = 6) -> list[Record]:
    """Another tracker's store: a job that ended, one that still runs, and history."""
    store = open_store(sqlite_url(path))
    package = JobResult((PackageFile("model.so", make_job().spec.model),), tuned_s=0.2)
    store.jobs.add(make_job("net-1", state=JobState.DONE), "")
    store.jobs.change("net-1", lambda job: make_job("net-1", state=JobState.DONE, result=package))
    store.jobs.add(make_job("net-2", state=JobState.RUNNING, worker_id="w"), "")
    for job_id in ("net-1", "net-2"):
        store.jobs.add_tasks(job_id, make_tasks(job_id))
    log = [
        make_record(f"t{n}", (0.1 * (n + 1),), job_id=job_id, task_id=f"{job_id}/{n % 2}", workload=f"w{n % 2}")
        for n in range(records)
        for job_id in [f"net-{n % 2 + 1}"]
    ]
    for start in range(0, records, 1000):
        store.records.add(log[start : start + 1000])
    store.close()
    return log


def test_another_trackers_log_is_merged_once(tracker: TrackerProcess, tmp_path: Path) -> None:
    log = other_farm(tmp_path / "other.db")
    said = done(tracker, "merge", str(tmp_path / "other.db"))
    assert said == f"Took over 6 records from {tmp_path / 'other.db'}; 0 of its 6 were here already.\n"
    again = done(tracker, "merge", str(tmp_path / "other.db"))
    assert again.startswith("Took over 0 records")
    assert "; 6 of its 6 were here already." in again
    kept = log_of(tracker)
    assert [record["trial_id"] for record in kept] == [record.trial_id for record in log]
    for record in kept:
        assert record["imported_from"].endswith(f":{tmp_path / 'other.db'}")
    assert len({record["imported_unix_s"] for record in kept}) == 1
    jobs = {job["id"]: job for job in json.loads(farm("jobs", "--json", "--tracker", tracker.address).stdout)}
    assert {job_id: (job["state"], job["trials"]) for job_id, job in jobs.items()} == {
        "net-1": ("done", 3),
        # Nothing would end it here.
        "net-2": ("cancelled", 3),
    }
    whole = json.loads(farm("jobs", "show", "net-1", "--json", "--tracker", tracker.address).stdout)
    assert whole["result"]["files"] == [], "the package lies with the other tracker"
    best = json.loads(done(tracker, "best", "--json"))
    assert [(record["workload"], record["trial_id"]) for record in best] == [("w0", "t0"), ("w1", "t1")]
    tracker.kill()
    tracker.start()
    assert len(log_of(tracker)) == 6


def test_the_log_of_a_running_tracker_is_merged_by_its_state_folder(tracker: TrackerProcess, tmp_path: Path) -> None:
    other = TrackerProcess(tmp_path / "other")
    try:
        done(other, "import", str(folder_of(tmp_path / "tuned", [FINE])))
        said = done(tracker, "merge", str(tmp_path / "other"))
    finally:
        other.stop()
    assert said.startswith("Took over 1 record from")
    [record] = log_of(tracker)
    merged_from, imported_from = record["imported_from"].rstrip(")").split(" (")
    assert merged_from.endswith(f":{tmp_path / 'other'}")
    assert imported_from.endswith(f":{tmp_path / 'tuned'}")


def test_a_store_of_the_first_version_is_merged_and_left_as_it_was(tracker: TrackerProcess, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    with sqlite3.connect(old) as db:
        db.executescript((Path(__file__).parents[1] / "support" / "store_v1.sql").read_text())
    db.close()
    before = old.read_bytes()
    said = done(tracker, "merge", str(old))
    assert "; 0 of its" in said
    assert old.read_bytes() == before
    copy = tmp_path / "copy.db"
    shutil.copy(old, copy)
    mine = open_store(sqlite_url(copy))
    expected = [record.trial_id for record in mine.records.page(RecordFilter(), None, 0, 100)[0]]
    mine.close()
    assert [record["trial_id"] for record in log_of(tracker)] == expected
    assert len(expected) > 2


def test_a_merge_that_was_interrupted_goes_on(tracker: TrackerProcess, tmp_path: Path) -> None:
    count = 20_000
    other_farm(tmp_path / "other.db", count)
    command = ["records", "merge", str(tmp_path / "other.db"), "--tracker", tracker.address]
    with FarmTerminal(*command, cwd=tmp_path, columns=120) as terminal:
        terminal.await_text(r"merging .*[1-9][0-9]*/20000")
        terminal.press_ctrl_c()
        assert terminal.await_exit() == 130
        taken = int(terminal.await_text(r"Interrupted: ([\d,]+) records? taken over")[1].replace(",", ""))
    assert taken < count
    kept = len(log_of(tracker))
    assert taken <= kept < count
    rest = done(tracker, "merge", str(tmp_path / "other.db"))
    assert f"Took over {count - kept:,} records" in rest
    trials = [record["trial_id"] for record in log_of(tracker)]
    assert len(trials) == len(set(trials)) == count


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no database at all, only words", "is no tracker's store: name the tracker.db"),
        (None, "is a database, but no tracker's"),
        (b"SQLite format 3\0 and then nothing of it", "cannot be read as a tracker's store"),
    ],
)
def test_what_is_no_store_is_not_merged(
    tracker: TrackerProcess, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "other.db"
    if content is None:
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE records (a)")
        db.close()
    else:
        path.write_bytes(content)
    assert words in done(tracker, "merge", str(path), code=2)
    assert "cannot be read: No such file" in done(tracker, "merge", str(tmp_path), code=2)


def test_a_store_of_a_newer_farm_is_refused(tracker: TrackerProcess, tmp_path: Path) -> None:
    other_farm(tmp_path / "other.db")
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert "schema version 99" in done(tracker, "merge", str(tmp_path / "other.db"), code=2)


def test_logs_of_autotvm_and_ansor_are_kept_as_history(tracker: TrackerProcess, tmp_path: Path) -> None:
    lines = [
        json.dumps(AUTOTVM_LINE),
        "{broken",
        changed(AUTOTVM_LINE, result=[[1e9], 4, 10.0, 5.0]),
        changed(ANSOR_LINE, v="v0.5"),
        json.dumps(ANSOR_LINE),
        json.dumps(ANSOR_LINE),
    ]
    log = tmp_path / "tuned.log.gz"
    log.write_bytes(gzip.compress("\n".join(lines).encode()))
    answer = farm("records", "import", str(log), "--tracker", tracker.address)
    assert answer.returncode == 0, answer.stderr
    assert "tuned.log.gz line 2: it is no JSON" in answer.stderr
    assert "tuned.log.gz line 4: it is of Ansor's log version v0.5" in answer.stderr
    assert "4 lines kept as history: 2 of auto_scheduler 0.6 and 2 of autotvm 0.2, 1 of them known already." in (
        answer.stdout
    )
    assert "None can be replayed" in answer.stdout
    assert "autotvm 0.2, 4 of them known already" in done(tracker, "import", str(log))
    shown = json.loads(done(tracker, "history", "--failed", "--json"))
    assert sorted(line["line"] for line in shown) == sorted({lines[0], lines[2], lines[4]})
    assert all(line["imported_from"].endswith(f":{log}") for line in shown)
    assert "dense_nopack.x86" in done(tracker, "history", "--format", "autotvm 0.2")
    assert "failed (4)" in done(tracker, "history", "--failed")
    assert "there is no format" in done(tracker, "history", "--format", "relay", code=2)
    # They are no measurements: neither listed as such nor the best of anything.
    assert log_of(tracker) == []
    assert json.loads(done(tracker, "best", "--json")) == []


def test_a_folder_of_metaschedule_becomes_records(tracker: TrackerProcess, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "tuned", [FINE, "{", [0, [TRACE, [1e10], TARGET, None]]])
    answer = farm("records", "import", str(folder), "--tracker", tracker.address)
    assert answer.returncode == 0, answer.stderr
    assert "database_tuning_record.json line 2: it is no JSON" in answer.stderr
    assert "Imported 1 record of TVM 0.27.0 as class imported-tuned-" in answer.stdout
    assert "1 that failed are left out" in answer.stdout
    assert "(1 were here already)" in done(tracker, "import", str(folder))
    [record] = log_of(tracker)
    assert record["measurement"]["device_class"].startswith("imported-tuned-")
    assert record["engine"] == "metaschedule"
    unknown = done(tracker, "import", str(folder), "--class", "pi4", code=2)
    assert "no device of this farm was ever of class pi4" in unknown
    out = tmp_path / "out"
    assert "Wrote 1 record of 1 workload" in done(tracker, "export", str(out))
    [line] = (out / "database_tuning_record.json").read_text().splitlines()
    plain = {"kind": "llvm", "mcpu": "znver3", "num-cores": 2}
    assert json.loads(line) == [0, [TRACE, [1e-05, 2e-05], plain, None]]
    assert (out / "database_workload.json").read_text() == (folder / "database_workload.json").read_text()
    assert "exists: name another folder" in done(tracker, "export", str(out), code=2)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"dear diary\n", "holds no log that can be read: notes.txt line 1: it is no JSON"),
        ("empty.log", b"", "it is empty"),
        ("other.db", b"SQLite format 3\0", "farm records merge"),
        ("database_workload.json", b"[]", "name the folder"),
    ],
)
def test_what_is_no_log_is_refused_in_a_sentence(
    tracker: TrackerProcess, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in done(tracker, "import", str(tmp_path / name), code=2)


def test_times_of_two_classes_are_not_exported_together(tracker: TrackerProcess, tmp_path: Path) -> None:
    done(tracker, "import", str(folder_of(tmp_path / "a", [FINE])))
    done(tracker, "import", str(folder_of(tmp_path / "b", [[0, [TRACE, [3.0], TARGET, None]]])))
    refused = done(tracker, "export", str(tmp_path / "out"), code=2)
    assert "choose --class 'imported-a-" in refused
    assert list((tmp_path / "out").iterdir()) == []
    assert "No record matches" in done(tracker, "export", str(tmp_path / "out"), "--name", "conv2d", code=2)
    [first, _] = log_of(tracker)
    done(tracker, "export", str(tmp_path / "out"), "--class", first["measurement"]["device_class"])


def test_a_log_is_compacted_after_it_was_said_what_goes(tracker: TrackerProcess, tmp_path: Path) -> None:
    other_farm(tmp_path / "other.db", 5_000)
    done(tracker, "merge", str(tmp_path / "other.db"))
    # Nobody answers on a pipe.
    asked = farm("records", "compact", "--keep", "3", "--tracker", tracker.address)
    assert asked.returncode == 1
    assert re.match(r"4,993 of 5,000 records go, all but the best 3 of each task; about [\d.]+ [KM]iB of", asked.stdout)
    assert "Remove them for good? [y/N]" in asked.stdout
    assert len(log_of(tracker)) == 5_000
    said = done(tracker, "compact", "--keep", "3", "--yes")
    assert "Removed 4,993 records; the file has" in said
    # The newest stays, too: its number is not given twice.
    assert [record["trial_id"] for record in log_of(tracker)] == ["t0", "t1", "t2", "t3", "t4", "t5", "t4999"]
    assert done(tracker, "compact", "--keep", "3") == "There is nothing to remove of 7 records.\n"
    job = json.loads(farm("jobs", "show", "net-1", "--json", "--tracker", tracker.address).stdout)
    assert job["trials"] == 2_500
    assert "0 is not in the range" in done(tracker, "compact", "--keep", "0", code=2)
