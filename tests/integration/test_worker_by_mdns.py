"""``tracker worker`` without an address: it hears its tracker by mDNS, and finds the tracker again elsewhere."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.farm_command import environment
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.farm.v1 import farm_pb2

pytestmark = pytest.mark.own_network


@contextmanager
def worker(log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    temporary = log.with_suffix(".tmp")
    temporary.mkdir()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tvm_farm.tracker", "worker", "--builders", "1", *options],
            env=environment(TMPDIR=str(temporary)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def connected(tracker: TrackerProcess) -> bool:
    return bool(tracker.calls.farm.GetStatus(farm_pb2.GetStatusRequest()).workers_connected)


def test_it_finds_its_tracker_and_finds_it_again(tmp_path: Path) -> None:
    pytest.importorskip("tvm")
    farm = f"lab-{uuid.uuid4().hex[:8]}"
    reached = ("--host", "127.0.0.1", "--mdns-interface", "127.0.0.1", "--farm", farm)
    tracker = TrackerProcess(tmp_path / "state", reached=reached)
    log = tmp_path / "worker.log"
    try:
        with worker(log, "--farm", farm):
            wait_until(lambda: connected(tracker), "the worker", 60)
            assert f"process.worker: found farm {farm} at {tracker.address} by mDNS" in log.read_text()
            tracker.stop()
            before, tracker.port = tracker.address, 0
            tracker.start()
            assert tracker.address != before
            wait_until(lambda: connected(tracker), "the worker at the tracker's new port", 60)
    finally:
        tracker.stop()
    assert "Traceback" not in log.read_text(), log.read_text()


def test_it_ends_where_a_person_has_to_choose(tmp_path: Path) -> None:
    pytest.importorskip("tvm")
    reached = ("--host", "127.0.0.1", "--mdns-interface", "127.0.0.1")
    trackers = [TrackerProcess(tmp_path / name, reached=(*reached, "--farm", name)) for name in ("hall", "lab")]
    try:
        with worker(tmp_path / "worker.log") as process:
            assert process.wait(60) == 1
    finally:
        for tracker in trackers:
            tracker.stop()
    assert "Several farms answer here: hall at 127.0.0.1:" in (tmp_path / "worker.log").read_text()
