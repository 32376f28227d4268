"""Builders and the process that made them: what they inherit, and that they end with it."""

import os
import queue
import signal
import subprocess
import sys
import tempfile

import psutil
import pytest

pytest.importorskip("tvm")

from tests.support.candidates import TARGET, matmul
from tests.support.waiting import wait_until
from tvm_farm.tracker.domain import Outcome
from tvm_farm.tracker.tuning.building.base import BuildRequest
from tvm_farm.tracker.tuning.building.forked import ForkedBuilders

pytestmark = pytest.mark.system


def test_a_host_that_cannot_build_is_to_blame_itself(tmp_path, monkeypatch):
    # The builders inherit where temporary files go, as a job's do.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    pool, events = ForkedBuilders(workers=1, timeout_s=20.0), queue.SimpleQueue()
    try:
        pool.deliver_to(events.put)
        pool.submit(BuildRequest("t", matmul(8), TARGET))
        built = events.get(timeout=60)
        assert built.outcome is Outcome.HOST_FAULT
        assert built.detail.startswith("FileNotFoundError: ")
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("module", "made"), [("forked", "ForkedBuilders(2, 5.0)"), ("detached", "DetachedBuilders(2, 5.0, yielding=False)")]
)
def test_builders_die_with_the_process_that_made_them(module, made):
    code = (
        "import time\n"
        f"from tvm_farm.tracker.tuning.building.{module} import {made.partition('(')[0]}\n"
        f"builders = {made}\n"
        "time.sleep(60)\n"
    )
    maker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert maker.stdout is not None
        wait_until(
            lambda: len(psutil.Process(maker.pid).children(recursive=True)) == 3, "third process below the maker", 60
        )
        pids = [process.pid for process in psutil.Process(maker.pid).children(recursive=True)]
    finally:
        os.kill(maker.pid, signal.SIGKILL)
        maker.wait()
        maker.stdout.close()
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "end of every builder")
