"""``tracker start``: where it serves, what it refuses, the workers that it keeps."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.support.measure_client import MeasureClient, context
from tests.support.stand_in_agent import StandInAgent, fast
from tests.support.stand_in_worker import StandInWorker, submit, task_plans
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.discovery import browse
from tvm_farm.protos.farm.v1 import device_pb2, farm_pb2, fleet_pb2, measurement_pb2
from tvm_farm.tracker.store import open_store, sqlite_url

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path / "state")
    yield process
    process.stop()


def start(state: Path, *options: str, mdns: bool = False, **popen: object) -> subprocess.CompletedProcess[str]:
    """A tracker that is expected to refuse."""
    command = [
        sys.executable,
        "-c",
        "from tvm_farm.tracker.cli import tracker; tracker()",
        "start",
        "--state",
        str(state),
    ]
    ports = [] if "--port" in options else ["--port", "0"]
    ports += [] if "--metrics-port" in options else ["--metrics-port", "0"]
    return subprocess.run(
        [*command, "--host", "127.0.0.1", *([] if mdns else ["--no-mdns"]), "--workers", "0", *ports, *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **popen,  # type: ignore[call-overload]
    )


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a tracker that did not start."""
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    return last


def test_status_tells_who_and_what(tracker: TrackerProcess) -> None:
    status = tracker.calls.farm.GetStatus(farm_pb2.GetStatusRequest())
    assert (status.devices_connected, status.workers_connected, status.jobs_running) == (0, 0, 0)
    assert status.farm == tracker.endpoint["farm"]


def test_a_stopped_tracker_leaves_no_endpoint(tracker: TrackerProcess) -> None:
    assert tracker.stop() == 0
    assert not (tracker.state / "endpoint.json").exists()
    assert "Traceback" not in tracker.output()


def test_it_tells_in_one_line_where_it_is(tracker: TrackerProcess) -> None:
    tracker.stop()
    line = next(line for line in tracker.output().splitlines() if line.startswith("farm "))
    assert tracker.address in line
    assert tracker.endpoint["metrics"] in line


def test_a_busy_port_is_refused(tracker: TrackerProcess, tmp_path: Path) -> None:
    sentence = refused(start(tmp_path / "other", "--port", str(tracker.port)))
    assert f"cannot listen on 127.0.0.1:{tracker.port}" in sentence
    assert "--port" in sentence


def test_a_busy_metrics_port_is_refused(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as busy:
        port = busy.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused(start(tmp_path / "state", "--metrics-port", str(port)))
    assert not (tmp_path / "state" / "endpoint.json").exists()


def test_a_second_tracker_on_one_folder_is_refused(tracker: TrackerProcess) -> None:
    sentence = refused(start(tracker.state))
    assert f"pid {tracker.process.pid}" in sentence
    assert json.loads((tracker.state / "endpoint.json").read_text())["pid"] == tracker.process.pid


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    open_store(sqlite_url(tmp_path / "state" / "tracker.db")).close()
    with closing(sqlite3.connect(tmp_path / "state" / "tracker.db")) as db:
        db.execute("PRAGMA user_version = 99")
    assert "schema version 99" in refused(start(tmp_path / "state"))


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(start(tmp_path / "file" / "state"))


@pytest.mark.parametrize("limit", [0, 4096])
def test_a_full_disk_is_refused(tmp_path: Path, limit: int) -> None:
    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    refused(start(tmp_path / "state", preexec_fn=full))
    assert not (tmp_path / "state" / "endpoint.json").exists()


def test_options_that_contradict_are_refused(tmp_path: Path) -> None:
    done = start(tmp_path / "state", "--mdns-interface", "127.0.0.1")
    assert done.returncode == 2
    assert "leave one of them out" in done.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--host", "nobody.invalid"], "--host nobody.invalid cannot be resolved"),
        (
            ["--mdns-interface", "foo"],
            "--mdns-interface foo is no network interface of this host and no address of one",
        ),
        (["--mdns-interface", "203.0.113.9"], "--mdns-interface 203.0.113.9 is no network interface of this host"),
        (["--mdns-interface", "2001:db8::9"], "--mdns-interface 2001:db8::9 is no network interface of this host"),
        (["--host", "127.0.0.2", "--mdns-interface", "127.0.0.1"], "does not listen"),
        (["--farm", "x" * 64], "cannot name a farm"),
        (["--farm", "lab.one"], "cannot name a farm"),
        (["--farm", "a\nb"], "cannot name a farm"),
    ],
)
def test_what_cannot_be_announced_is_refused_before_anything_is_done(
    tmp_path: Path, options: list[str], sentence: str
) -> None:
    assert sentence in refused(start(tmp_path / "state", *options, mdns=True))
    assert not (tmp_path / "state").exists()


def test_a_port_that_is_taken_is_told_by_one_line_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start(tmp_path / "state", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Error: cannot listen on 127.0.0.1:{port}: the port is taken or the address is not of this host; choose "
        "another with --port and --host."
    ]


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6")
@pytest.mark.own_network
def test_it_serves_on_an_ipv6_address(tmp_path: Path) -> None:
    farm = f"attic-{uuid.uuid4().hex[:8]}"
    tracker = TrackerProcess(tmp_path / "state", reached=["--host", "::1", "--farm", farm])
    try:
        assert tracker.address.startswith("[::1]:")
        assert tracker.endpoint["addresses"] == [tracker.address]
        assert tracker.calls.farm.GetStatus(farm_pb2.GetStatusRequest()).devices_connected == 0
        assert "tvmfarm_devices" in scrape(tracker)
        assert [found.addresses for found in browse(10.0, farm=farm)] == [(tracker.address,)]
    finally:
        assert tracker.stop() == 0


@pytest.mark.own_network
def test_it_announces_itself(tmp_path: Path) -> None:
    farm = f"attic-{uuid.uuid4().hex[:8]}"
    reached = ["--host", "127.0.0.1", "--farm", farm, "--mdns-interface", "127.0.0.1"]
    tracker = TrackerProcess(tmp_path / "state", reached=reached)
    try:
        found = [t for t in browse(10.0, farm=farm, interface="127.0.0.1") if t.farm == farm]
        assert [t.address for t in found] == [tracker.address]
    finally:
        tracker.stop()
    assert not [t for t in browse(0.5, interface="127.0.0.1") if t.farm == farm]


def scrape(tracker: TrackerProcess) -> str:
    with urllib.request.urlopen(tracker.endpoint["metrics"], timeout=10) as response:
        return str(response.read().decode())


def test_metrics(tracker: TrackerProcess) -> None:
    before = scrape(tracker)
    # Fixed label sets: what is zero is told as zero.
    for line in (
        'tvmfarm_devices{state="idle"} 0.0',
        'tvmfarm_measurements_total{outcome="crash"} 0.0',
        'tvmfarm_jobs{state="failed"} 0.0',
        "tvmfarm_queue_depth 0.0",
        "tvmfarm_workers_connected 0.0",
    ):
        assert line in before
    agent = StandInAgent(tracker.address, "board")
    client = MeasureClient(tracker.address)
    for n in range(10):
        client.trial(f"t{n}", context())
    client.wait_for(*(f"t{n}" for n in range(10)))
    after = scrape(tracker)
    for line in (
        'tvmfarm_devices{state="idle"} 1.0',
        'tvmfarm_measurements_total{outcome="ok"} 10.0',
        'tvmfarm_device_temperature_celsius{device="board"} 41.5',
        'tvmfarm_device_frequency_hertz{cluster="0",device="board"} 1.5e+09',
        'tvmfarm_device_measurements_total{device="board"} 10.0',
        "tvmfarm_queue_wait_seconds_count 10.0",
        "tvmfarm_records_stored_total 10.0",
    ):
        assert line in after
    client.close()
    agent.cut()
    wait_until(lambda: 'tvmfarm_devices{state="lost"} 1.0' in scrape(tracker), "lost board in the metrics")


def value(metrics: str, name: str) -> float:
    """Of the sample ``name``, labels included."""
    return float(next(line for line in metrics.splitlines() if line.startswith(f"{name} ")).split()[-1])


def test_metrics_of_a_running_job(tracker: TrackerProcess) -> None:
    held: list[str] = []

    def run(trial: measurement_pb2.MeasureRequest) -> measurement_pb2.Measurement | None:
        if trial.trial_id == "held":
            held.append(trial.trial_id)
            return None
        return fast(trial)

    agent = StandInAgent(tracker.address, "board", run)
    worker = StandInWorker(tracker.address)
    job = submit(tracker, max_trials=8, budget_s=100.0)
    worker.wait_for_start(job.id)
    worker.progress(job.id, "tuning", 10.0, task_plans(job.id))
    trials = [f"{job.id}/t{n}" for n in range(4)]
    client = MeasureClient(tracker.address, job_id=job.id)
    for trial in trials:
        client.trial(trial, context(f"{job.id}/0"))
    client.wait_for(*trials)
    metrics = scrape(tracker)
    task = f'tvmfarm_task_best_seconds{{job="{job.id}",name="task0",task="{job.id}/0"}}'
    assert value(metrics, task) == 0.001
    # The other task has no measurement yet.
    assert metrics.count("tvmfarm_task_best_seconds{") == 1
    assert value(metrics, f'tvmfarm_job_trials{{job="{job.id}"}}') == 4
    assert value(metrics, f'tvmfarm_job_budget_ratio{{job="{job.id}"}}') == 0.5
    worker.progress(job.id, "tuning", 75.0)
    ratio = f'tvmfarm_job_budget_ratio{{job="{job.id}"}}'
    wait_until(lambda: value(scrape(tracker), ratio) == 0.75, "share of the time")

    # What the log answers was counted when it was measured.
    again = MeasureClient(tracker.address, job_id=job.id)
    for trial in trials:
        again.trial(trial, context(f"{job.id}/0"))
    again.wait_for(*trials)
    metrics = scrape(tracker)
    assert value(metrics, 'tvmfarm_measurements_total{outcome="ok"}') == 4
    assert value(metrics, "tvmfarm_queue_wait_seconds_count") == 4

    # A board that executes, and one that is throttled.
    utilisation = 'tvmfarm_device_utilisation_ratio{device="board"}'
    before = value(metrics, utilisation)
    assert value(metrics, 'tvmfarm_device_throttled{device="board"}') == 0
    client.trial("held")
    wait_until(lambda: held, "a trial on the board")
    agent.say(started=["held"])
    agent.say(heartbeat=fleet_pb2.Heartbeat(telemetry=device_pb2.Telemetry(throttling=["under-voltage"])))
    wait_until(lambda: value(scrape(tracker), utilisation) > before + 0.05, "utilisation")
    assert value(scrape(tracker), utilisation) <= 1.0
    wait_until(lambda: value(scrape(tracker), 'tvmfarm_device_throttled{device="board"}') == 1, "throttled board")

    worker.finish(job.id)
    wait_until(lambda: job.id not in scrape(tracker), "end of the job's metrics")
    for part in (client, again):
        part.close()
    worker.cut()
    agent.cut()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_likes_the_metrics(tracker: TrackerProcess) -> None:
    agent = StandInAgent(tracker.address, "board")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape(tracker), capture_output=True, text=True, check=False
    )
    agent.cut()
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_full_disk_while_it_runs_delays_and_loses_nothing(tmp_path: Path) -> None:
    tracker = TrackerProcess(tmp_path / "state")
    agent = StandInAgent(tracker.address, "board")
    client = MeasureClient(tracker.address)
    process = psutil.Process(tracker.process.pid)
    size = (tracker.state / "tracker.db-wal").stat().st_size
    process.rlimit(psutil.RLIMIT_FSIZE, (size + 40_000, resource.RLIM_INFINITY))
    trials = [f"t{n}" for n in range(60)]
    for trial in trials:
        client.trial(trial, context(trace="x" * 3000))
    wait_until(lambda: len(agent.received) == 60, "all on the board")
    wait_until(lambda: "is full" in tracker.output(), "word of the full disk")
    assert len(client.answers) < 60
    wait_until(lambda: set(agent.acknowledged) == set(client.answers), "acknowledgement of what is stored")
    # The board waits for an answer and is told that the tracker is there.
    agent.say(heartbeat=fleet_pb2.Heartbeat())
    wait_until(lambda: agent.heartbeats_answered == 1, "answer to a heartbeat")
    assert len(agent.acknowledged) < 60
    process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    client.wait_for(*trials)
    wait_until(lambda: len(agent.acknowledged) == 60, "acknowledgements")
    assert "Traceback" not in tracker.output()
    assert set(client.times.values()) == {1}
    client.close()
    agent.cut()
    assert tracker.stop() == 0


class Workers:
    """The worker processes of a tracker, whatever they run."""

    def __init__(self, tracker: TrackerProcess) -> None:
        self.tracker = tracker

    def remembered(self) -> dict[str, int]:
        try:
            return {w["worker_id"]: w["pid"] for w in json.loads((self.tracker.state / "workers.json").read_text())}
        except FileNotFoundError:
            return {}

    def living(self) -> list[int]:
        """Every process on this machine that works for this tracker."""
        found = []
        for process in psutil.process_iter():
            try:
                command = process.cmdline()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if "tvm_farm.tracker.tuning.process.worker" in command and self.tracker.address in command:
                found.append(process.pid)
        return found


@pytest.mark.system
def test_local_workers_live_and_die_with_their_tracker(tmp_path: Path) -> None:
    pytest.importorskip("tvm")
    tracker = TrackerProcess(tmp_path / "state", workers=1)
    workers = Workers(tracker)
    try:
        first = wait_until(lambda: workers.remembered().get("local-1"), "worker")
        # One that dies is replaced.
        os.kill(first, signal.SIGKILL)
        second = wait_until(lambda: pid if (pid := workers.remembered().get("local-1")) != first else None, "next one")
        # A killed tracker's worker is adopted by the next tracker on that port.
        tracker.kill()
        assert psutil.pid_exists(second)
        tracker.start()
        wait_until(lambda: "is adopted" in tracker.output(), "adoption")
        assert workers.remembered() == {"local-1": second}
        # By one on another port it could not be found again: it is replaced.
        old = tracker.address
        tracker.kill()
        tracker.port = 0
        tracker.start()
        assert tracker.address != old
        third = wait_until(lambda: pid if (pid := workers.remembered().get("local-1")) != second else None, "third")
        wait_until(lambda: not psutil.pid_exists(second), "end of the second")
        assert psutil.pid_exists(third)
    finally:
        tracker.stop()
    assert workers.living() == []
    assert not psutil.pid_exists(third)
