"""A board whose cable is pulled for 20 s in the middle of a tune, at the other end of a network of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("tvm")

from tests.support.cable import MISSING, Cable
from tests.support.networks import small_network
from tests.support.waiting import wait_until
from tests.support.whole_farm import ENVIRON, WholeFarm
from tvm_farm.tracker.domain import JobState, Outcome

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

TRIALS = 80


@pytest.fixture
def cable() -> Iterator[Cable]:
    with Cable() as cable:
        yield cable


@pytest.mark.parametrize(
    "cut", ["20 s", pytest.param("until the agent looks for the tracker in vain", marks=pytest.mark.slow)]
)
def test_nothing_is_lost_and_nothing_counted_twice_when_a_cable_is_cut(tmp_path: Path, cable: Cable, cut: str) -> None:
    farm = WholeFarm(tmp_path, cable=cable)
    (tmp_path / "small.onnx").write_bytes(small_network(seed=8, channels=16, size=28))
    log = tmp_path / "board.log"
    start = [sys.executable, "-m", "tvm_farm.agent", "start", "--name", "board", "--state", str(tmp_path / "board")]
    with log.open("wb") as output:
        agent = subprocess.Popen(
            cable.at_far(*start), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRON
        )
    try:
        farm.wait_for_devices(1)
        running = farm.start_farm("tune", "small.onnx", "--pool", "x86_64", "--trials", str(TRIALS), "-o", "tuned")
        wait_until(lambda: (jobs := farm.jobs()) and jobs[0].trials >= 20, "20 trials", 180)

        cable.cut()
        if cut == "20 s":
            time.sleep(20)  # what is tried is a cut of this length
        else:
            wait_until(lambda: "no mDNS answer" in log.read_text(), "word that no tracker is heard", 90)
            assert "lost the tracker" in log.read_text()
        while_cut = farm.jobs()[0]
        assert (while_cut.state, while_cut.trials < TRIALS) == (JobState.RUNNING, True)
        cable.mend()

        out, err = running.communicate(timeout=200)
        said = farm.tracker.output() + log.read_text()
        assert running.returncode == 0, out + err + said
        assert "equal to ONNX Runtime" in out
        if cut != "20 s":
            assert log.read_text().count("joined farm") == 2, said
        assert "Traceback" not in said

        job = farm.job(farm.jobs()[0].id)
        assert (job.state, job.trials) == (JobState.DONE, TRIALS)
        assert sum(task.trials for task in job.tasks) == TRIALS
        records = [record for record in farm.records(job_id=job.id) if record.engine != "untuned"]
        assert len(records) == TRIALS
        assert len({record.trial_id for record in records}) == TRIALS
        assert not {record.measurement.outcome for record in records} & {Outcome.UNPLACEABLE, Outcome.CANCELLED}
        assert {r.measurement.device_name for r in records if r.measurement.outcome is Outcome.OK} == {"board"}
        farm.wait_for_devices(1)
    finally:
        agent.terminate()
        agent.wait(timeout=60)
        farm.close()
