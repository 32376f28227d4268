"""A person's own script and its Farm: The example of docs/scripts.md against a real tracker, and what a name may be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest

from tests.support.fingerprints import BOARDS
from tests.support.onnx_like import onnx_like
from tests.support.stand_in_agent import StandInAgent
from tests.support.stand_in_worker import StandInWorker
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm import Farm, FarmError
from tvm_farm.tracker.client.errors import BadInput, TrackerUnreachable
from tvm_farm.tracker.client.user import user_name
from tvm_farm.tracker.domain import JobState, RecordFilter

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path / "state")
    yield process
    process.stop()


def shown_example(name: str) -> str:
    """The script of docs/scripts.md that uses a Farm or an AsyncFarm, as it stands there."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "scripts.md").read_text(), re.DOTALL)
    [example] = [block for block in blocks if f"import {name}\n" in block]
    return str(example)


@pytest.mark.parametrize("name", ["Farm", "AsyncFarm"])
def test_the_example_of_the_docs(tracker: TrackerProcess, tmp_path: Path, name: str) -> None:
    board = StandInAgent(tracker.address, "board", fingerprint=BOARDS["raspberry pi 3"][0])
    worker = StandInWorker(tracker.address)
    (tmp_path / "resnet50.onnx").write_bytes(onnx_like(40))
    # The one thing that is not as it stands there: this tracker's address for "farm.local", whose port is taken here.
    example = shown_example(name)
    assert example.count('"farm.local"') == 1
    if name == "AsyncFarm":  # awaited at the top, as in a notebook
        example = f"import asyncio\n\nasync def main():\n{indent(example, '    ')}\nasyncio.run(main())\n"
    script = subprocess.Popen(
        [sys.executable, "-c", example.replace('"farm.local"', repr(tracker.address))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        [job_id] = wait_until(lambda: worker.starts, "the job at its worker")
        spec = worker.started[job_id].spec
        assert (spec.model_name, spec.pool, spec.budget_s) == ("resnet50", "arm64", 1800.0)
        assert spec.user == user_name()
        worker.progress(job_id, "tuning", 1.5)
        worker.finish(job_id, tracker.upload(b"the package"))
        out, err = script.communicate(timeout=60)
    finally:
        script.kill()
        worker.cut()
        board.cut()
    assert (script.returncode, err) == (0, "")
    assert re.fullmatch(r"(.*: 0 trials\n)+0\.0 ms -> 0\.0 ms\n" if name == "Farm" else r"(0\n)+", out)
    assert (tmp_path / "resnet50-rpi4" / "file0").read_bytes() == b"the package"


def test_each_audience_has_its_part(tracker: TrackerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVMFARM_TRACKER", tracker.address)
    board = StandInAgent(tracker.address, "board")
    try:
        with Farm() as farm:
            assert (farm.address, farm.status().devices_connected) == (tracker.address, 1)
            assert [device.name for device in farm.devices.list("x86_64")] == ["board"]
            lease = farm.devices.lease("board", "ada", 60.0).lease
            assert lease is not None
            assert lease.user == "ada"
            assert farm.jobs.list(JobState.QUEUED) == ()
            assert farm.log.best(pool="x86_64") == []
            with pytest.raises(BadInput, match="There is no workload"):
                farm.log.workload("nowhere")
    finally:
        board.cut()


def test_a_tracker_that_is_not_there_is_one_error(tracker: TrackerProcess) -> None:
    tracker.stop()
    with pytest.raises(FarmError, match="No tracker answers") as raised:
        Farm(tracker.address)
    assert isinstance(raised.value, TrackerUnreachable)


def test_a_farm_that_was_closed_says_so(tracker: TrackerProcess) -> None:
    with Farm(tracker.address) as farm:
        assert farm.jobs.list() == ()
    farm.close()
    for ask in (farm.jobs.list, farm.status, lambda: list(farm.log.records(RecordFilter()))):
        with pytest.raises(FarmError, match="was closed: make another Farm"):
            ask()
