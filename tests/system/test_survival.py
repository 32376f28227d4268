"""kill -9 of every process of the farm during a tune: the job ends with all its trials, none lost, none twice."""

import contextlib
import os
import signal

import numpy as np
import psutil
import pytest

pytest.importorskip("tvm")

from tests.support.networks import small_network
from tests.support.waiting import wait_until
from tests.support.whole_farm import WholeFarm
from tvm_farm.tracker.domain import JobState, Outcome
from tvm_farm.tracker.tuning.process.fork_server import sweep

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
TRIALS = 80


@pytest.fixture
def farm(tmp_path):
    farm = WholeFarm(tmp_path, "board")
    (tmp_path / "small.onnx").write_bytes(small_network(seed=8, channels=16, size=28))
    yield farm
    farm.close()
    sweep()  # as the next worker here would: what a killed one leaves behind


def workers_of(farm: WholeFarm) -> list[psutil.Process]:
    """The workers of this farm's tracker, its children or adopted from the one before."""
    address = farm.tracker.address
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "tvm_farm.tracker.tuning.process.worker" in (process.info["cmdline"] or [])
        and address in process.info["cmdline"]
    ]


def session_of(farm: WholeFarm) -> psutil.Process:
    """The process of the running job: the older child of the fork server, the other stands by for the next job."""

    def found() -> psutil.Process | None:
        for helper in (child for worker in workers_of(farm) for child in worker.children()):
            if sessions := helper.children():
                return min(sessions, key=lambda process: process.create_time())
        return None

    return wait_until(found, "a running session")


def kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            os.kill(process.pid, signal.SIGKILL)


def test_nothing_is_lost_and_nothing_counted_twice(farm):
    running = farm.start_farm("tune", "small.onnx", "--pool", "x86_64", "--trials", str(TRIALS), "-o", "tuned")

    def trials_reach(count: int) -> None:
        wait_until(lambda: (jobs := farm.jobs()) and jobs[0].trials >= count, f"{count} trials", 180)

    trials_reach(10)
    kill_all(farm.agents[0].runners())

    trials_reach(25)
    farm.agents[0].kill()
    farm.agents[0].start()

    trials_reach(40)
    farm.tracker.kill()
    farm.tracker.start()

    trials_reach(50)
    session = session_of(farm)
    farm.tracker.kill()
    session.kill()  # nobody is there to be told
    farm.tracker.start()

    trials_reach(65)
    kill_all(workers_of(farm))

    out, err = running.communicate(timeout=400)
    assert running.returncode == 0, out + err + farm.tracker.output() + farm.worker_log()
    assert "equal to ONNX Runtime" in out

    job = farm.job(farm.jobs()[0].id)
    assert (job.state, job.trials) == (JobState.DONE, TRIALS)
    records = [record for record in farm.records(job_id=job.id) if record.engine != "untuned"]
    assert len(records) == TRIALS
    assert len({record.trial_id for record in records}) == TRIALS
    assert sum(task.trials for task in job.tasks) == TRIALS
    unfit = {Outcome.UNPLACEABLE, Outcome.CANCELLED}
    assert not [record for record in records if record.measurement.outcome in unfit]
    run = [record for record in records if record.measurement.outcome is Outcome.OK]
    assert all(np.isfinite(record.measurement.run_secs).all() for record in run)
    assert len(run) > TRIALS // 2


def test_a_killed_worker_leaves_no_process_behind(farm):
    farm.farm("tune", "small.onnx", "--pool", "x86_64", "--budget", "10m", "--detach")
    wait_until(lambda: farm.jobs()[0].trials > 0, "first trials", 120)
    worker = workers_of(farm)[0]
    family = [worker, *worker.children(recursive=True)]
    assert len(family) >= 4, "worker, fork server, session, builders"
    worker.kill()
    wait_until(lambda: not any(_lives(process) for process in family), "end of the worker's family", 30)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
