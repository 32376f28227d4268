"""``--log-format json``: every line that tracker, worker and agent write on standard error is an object."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.farm_command import environment
from tests.support.stand_in_farm import StandInFarm

TRACKER = ["tvm_farm.tracker", "start", "--workers", "0", "--no-mdns", "--host", "127.0.0.1", "--port", "0"]
AGENT = ["tvm_farm.agent", "start", "--runner", "synthetic", "--tracker", "127.0.0.1:1"]
WORKER = ["tvm_farm.tracker.tuning.process.worker", "--worker-id", "w", "--builders", "1"]


def events(command: list[str], until: str, folder: Path, **env: str) -> list[dict[str, Any]]:
    """What a program logs up to an event with ``until`` in it and after SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env=environment(TMPDIR=str(folder), **env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = []
    try:
        for line in process.stderr:
            lines.append(line)
            if until in line:
                break
    finally:
        process.send_signal(signal.SIGTERM)
        lines += process.communicate(timeout=60)[1].splitlines()
    return [json.loads(line) for line in lines]


def test_an_agents_by_its_variable(tmp_path: Path) -> None:
    said = events([*AGENT, "--state", str(tmp_path)], "cannot reach", tmp_path, TVMFARM_LOG_FORMAT="json")
    [lost, *_] = [event for event in said if "cannot reach the tracker" in event["message"]]
    assert (lost["level"], lost["logger"]) == ("warning", "agent")
    assert lost["device"]


def test_a_fault_that_ends_an_agent(tmp_path: Path) -> None:
    options = ["--log-format", "json", "--threads", "2", "--state", str(tmp_path)]
    [fault] = events([*AGENT, *options], "leave out", tmp_path)
    assert (fault["level"], "leave out --runtime" in fault["message"]) == ("error", True)


def test_a_trackers_by_its_option(tmp_path: Path) -> None:
    options = ["--metrics-port", "0", "--state", str(tmp_path / "state"), "--log-format", "json"]
    # Told before anything is listened for.
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "workers.json").write_text("broken")
    [unread, *rest] = events([*TRACKER, *options], "cannot be read", tmp_path)
    assert (unread["level"], unread["logger"]) == ("warning", "tracker.services.local_workers")
    assert all({"time", "level", "logger", "message"} <= set(event) for event in rest)


def test_a_workers_by_its_option(tmp_path: Path) -> None:
    pytest.importorskip("tvm")
    with StandInFarm() as control:  # which has no work for anybody
        options = ["--tracker", control.address, "--log-format", "json"]
        [away, *_] = events([*WORKER, *options], "the tracker is away", tmp_path)
    assert (away["level"], away["worker"]) == ("warning", "w")
