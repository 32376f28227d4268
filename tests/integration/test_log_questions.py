"""``farm records query``, ``show`` and SQL against a running tracker whose log is known; sqlite-utils on its file."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest

from tests.support.farm_command import FarmTerminal, environment, farm, farm_command
from tests.support.records import make_job, make_record
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tests.support.workload_module import workload_module
from tvm_farm.tracker.domain import Record, TaskPlan, Workload
from tvm_farm.tracker.store import open_store, sqlite_url

MATMUL = workload_module([(512, 256), (256, 128)], [[(512, False), (128, False), (256, True)]])
CONV = workload_module([(1, 4, 56, 56, 16), (1, 4, 56, 56, 16)])
TRACE = '[[["GetSBlock",[],["main","main"],["b0"]],["SamplePerfectTile",["l1"],[2,64],["v2","v3"]]],[[1,[4,16]]]]'


def _record(n: int) -> Record:
    times = make_record("").measurement.timeline
    stored_s = time.time() - 3600 * n
    return make_record(
        f"t{n}abcdef",
        (0.01 * (n + 1),) if n % 4 else (),
        job_id="net-1",
        task_id=f"net-1/{n % 2}",
        workload=f"w{n % 2}",
        workload_name=("matmul", "conv2d")[n % 2],
        user="ada" if n < 5 else "bob",
        trace=TRACE,
        timeline=replace(times, started_s=100.0, finished_s=100.0 + n, stored_s=stored_s),
    )


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerProcess]:
    """Six records of one job, the newest first written last; two of them crashed."""
    state = tmp_path_factory.mktemp("log") / "tracker"
    state.mkdir()
    store = open_store(sqlite_url(state / "tracker.db"))
    store.jobs.add(make_job("net-1"), "")
    workloads = [Workload("w0", "matmul", MATMUL, 8e6), Workload("w1", "conv2d", CONV, 1e6)]
    store.jobs.add_tasks("net-1", [TaskPlan(f"net-1/{n}", w.name, 1, w) for n, w in enumerate(workloads)])
    store.records.add([_record(n) for n in reversed(range(6))])
    store.close()
    tracker = TrackerProcess(state)
    yield tracker
    tracker.stop()


def ask(tracker: TrackerProcess, *arguments: str) -> str:
    answer = farm("records", *arguments, "--tracker", tracker.address)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def trials(tracker: TrackerProcess, *arguments: str) -> str:
    """The digits of the trials that were found, in their order."""
    return "".join(
        row["trial_id"][1] for row in csv.DictReader(io.StringIO(ask(tracker, "query", "--csv", *arguments)))
    )


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("", "012345"),
        ("--oldest-first", "543210"),
        ("--order time --reverse", "543210"),
        ("--user bob", "5"),
        ("--operator conv", "135"),
        ("--name conv", "135"),
        ("--shape 1x64x56x56", "135"),
        ("--shape 512,128,256", "024"),
        ("--shape 512x256 --shape 256x128", "024"),
        ("--shape 512x256 --shape 1x64x56x56", ""),
        ("--shape 3x3", ""),
        ("--outcome crash", "04"),
        ("--since 150m", "012"),
        ("--class pi4 --limit 2", "01"),
        ("--order latency", "1235"),
        ("--order latency --reverse", "5321"),
        ("--order throughput", "2135"),
        ("--order board-time --limit 3", "543"),
        ("--order latency --user ada --shape 1x64x56x56", "13"),
    ],
)
def test_filters_and_orders(tracker: TrackerProcess, arguments: str, found: str) -> None:
    assert trials(tracker, *arguments.split()) == found


def test_forms_of_the_same_records(tracker: TrackerProcess) -> None:
    [row] = csv.DictReader(io.StringIO(ask(tracker, "query", "--user", "bob", "--csv")))
    [whole] = json.loads(ask(tracker, "query", "--user", "bob", "--json"))
    assert (row["operator"], row["device"], float(row["median_s"])) == ("conv2d", "pi-1", 0.06)
    assert whole["measurement"]["run_secs"] == [float(row["run_secs"])]
    assert whole["trace"] == TRACE
    assert abs(time.time() - 5 * 3600 - _unix_s(row["stored"])) < 600
    table = ask(tracker, "query", "--user", "bob").splitlines()
    assert table[0].split()[:3] == ["workload", "name", "latency"]
    assert table[1].split()[:4] == ["w1", "conv2d", "60.0", "ms"]


def _unix_s(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(f"{text}+00:00").timestamp()


SQL = "SELECT operator, count(*) AS n, min(median_s) AS best_s, x'0aff' AS raw FROM log GROUP BY operator ORDER BY 1"


def test_sql_in_three_forms(tracker: TrackerProcess) -> None:
    assert json.loads(ask(tracker, "query", "--sql", SQL, "--json")) == [
        {"operator": "conv2d", "n": 3, "best_s": 0.02, "raw": "0aff"},
        {"operator": "matmul", "n": 3, "best_s": 0.03, "raw": "0aff"},
    ]
    assert ask(tracker, "query", "--sql", SQL, "--csv").splitlines() == [
        "operator,n,best_s,raw", "conv2d,3,0.02,0aff", "matmul,3,0.03,0aff",
    ]  # fmt: skip
    assert [line.split() for line in ask(tracker, "query", "--sql", SQL).splitlines()] == [
        ["operator", "n", "best_s", "raw"],
        ["conv2d", "3", "0.02", "(2", "bytes)"],
        ["matmul", "3", "0.03", "(2", "bytes)"],
    ]


def test_rows_that_were_left_out_are_told(tracker: TrackerProcess) -> None:
    answer = farm(
        "records", "query", "--sql", "SELECT number FROM log", "--limit", "2", "--csv", "--tracker", tracker.address
    )
    assert (answer.stdout.split(), answer.stderr) == (["number", "1", "2"], "There are more rows than these 2.\n")
    none = farm("records", "query", "--sql", "SELECT 1 WHERE 0", "--tracker", tracker.address)
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "No row.\n")


def test_many_rows_come_in_several_messages(tracker: TrackerProcess) -> None:
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 30000)"
    sql = f"{numbers} SELECT i, hex(zeroblob(50)) FROM n"
    lines = ask(tracker, "query", "--sql", sql, "--csv").splitlines()
    assert (len(lines), lines[-1]) == (30_001, f"30000,{'00' * 50}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sql", "SELEC 1"], 'SQLite does not understand it: near "SELEC": syntax error.'),
        (["--sql", "DELETE FROM log"], "The log can only be read: write a SELECT"),
        (
            ["--sql", "SELECT 1", "--user", "ada"],
            "--sql asks by itself: say what --user says in its WHERE or ORDER BY.",
        ),
        (["--sql", "SELECT 1 AS a, 2 AS a", "--json"], "Two columns are called a"),
        (["--csv", "--json"], "--csv and --json are two forms of one output: choose one."),
        (["--oldest-first", "--order", "latency"], "--oldest-first is --order time --reverse: leave out one of them."),
        (["--shape", "1x64x"], "'1x64x' is not a shape: write 1x64x56x56 or 512,512,512"),
        (["--order", "latency", "--outcome", "crash"], "What ended as 'crash' has no latency to be ordered by."),
        (["--order", "size"], "'size' is not one of"),
    ],
)
def test_bad_input_is_one_sentence(tracker: TrackerProcess, arguments: list[str], said: str) -> None:
    refused = farm("records", "query", *arguments, "--tracker", tracker.address)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert refused.stderr.strip().splitlines()[-1].startswith("Error: ")


def test_one_record_whole(tracker: TrackerProcess) -> None:
    shown = ask(tracker, "show", "t1a")
    for fact in (
        "t1abcdef", "20.0 ms, 0.0500 GFLOP/s", "conv2d", "1x4x56x56x16 float32", "pi-1", "net-1, task net-1/1",
        "41.5 °C", "ran 1.00 s", "v2, v3 = SamplePerfectTile(l1, 2, 64)  -> [4, 16]", "b0 = GetSBlock(main, main)",
    ):  # fmt: skip
        assert fact in shown
    assert "crash: died of SIGSEGV" in ask(tracker, "show", "t0")
    assert json.loads(ask(tracker, "show", "t1a", "--json"))["trace"] == TRACE
    for trial, said in (
        ("t9", "There is no record of a trial 't9'."),
        ("t", "is the start of several trials: t0abcdef"),
    ):
        refused = farm("records", "show", trial, "--tracker", tracker.address)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr


@pytest.mark.parametrize("columns", [80, 160])
def test_wide_rows_are_told_below_each_other(tracker: TrackerProcess, columns: int) -> None:
    command = ["records", "query", "--sql", "SELECT * FROM log WHERE user = 'bob'", "--tracker", tracker.address]
    with FarmTerminal(*command, columns=columns) as terminal:
        assert terminal.await_exit() == 0, terminal.text
        lines = terminal.text.splitlines()
    assert "operator      conv2d" in lines
    assert any(line.startswith("target        {") for line in lines)
    assert max(map(len, lines)) <= columns


def test_an_endless_question_holds_up_nobody(tracker: TrackerProcess) -> None:
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    command = farm_command("records", "query", "--sql", endless, "--tracker", tracker.address)
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asking:
        try:
            busy = psutil.Process(tracker.process.pid)
            before_s = busy.cpu_times().user
            wait_until(lambda: busy.cpu_times().user > before_s + 0.5, "a tracker that thinks")
            # What is read, what is asked in SQL, and what is written: `farm` waits 5 s for a tracker's first word.
            assert trials(tracker) == "012345"
            assert ask(tracker, "query", "--sql", "SELECT 1", "--csv") == "1\n1\n"
            made = farm("pools", "create", "cold", "--selector", "room=cold", "--tracker", tracker.address)
            assert made.returncode == 0, made.stderr
        finally:
            asking.kill()
    removed = farm("pools", "delete", "cold", "--tracker", tracker.address)
    assert removed.returncode == 0, removed.stderr


def sqlite_utils(tracker: TrackerProcess, command: str, *arguments: str) -> Any:
    path = tracker.state / "tracker.db"
    words = [sys.executable, "-m", "sqlite_utils", command, str(path), *arguments]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_sqlite_utils_works_on_the_file_of_a_running_tracker(tracker: TrackerProcess) -> None:
    [answer] = sqlite_utils(tracker, "query", "SELECT count(*) AS n, max(gflops) AS gflops FROM log")
    assert (answer["n"], round(answer["gflops"], 3)) == (6, 0.267)
    rows = sqlite_utils(tracker, "rows", "log", "--limit", "2", "-c", "trial_id", "-c", "operator")
    assert rows == [{"trial_id": "t5abcdef", "operator": "conv2d"}, {"trial_id": "t4abcdef", "operator": "matmul"}]
    views = sqlite_utils(tracker, "views", "--counts")
    assert {view["view"]: view["count"] for view in views} == {"log": 6, "best": 2}
    tables = {table["table"] for table in sqlite_utils(tracker, "tables")}
    assert {"records", "words", "traces", "jobs", "tasks", "workloads", "shapes"} <= tables
    # The tracker writes as before.
    assert ask(tracker, "query", "--limit", "1", "--csv")
    pool = farm("pools", "create", "mine", "--selector", "room=cold", "--tracker", tracker.address)
    assert pool.returncode == 0, pool.stderr
    assert {row["name"] for row in sqlite_utils(tracker, "rows", "pools")} == {"mine"}
