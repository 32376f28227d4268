"""What a tuning worker does before its first job: it loads TVM, builds a tiny model and stands by."""

import os
import subprocess
import sys
import threading
from types import ModuleType

import psutil
import pytest

tvm = pytest.importorskip("tvm")

from tests.support.networks import small_network  # noqa: E402
from tests.support.waiting import wait_until  # noqa: E402
from tests.support.whole_farm import WholeFarm  # noqa: E402
from tvm_farm.protos.farm.v1 import farm_pb2  # noqa: E402
from tvm_farm.tracker.domain import JobState  # noqa: E402
from tvm_farm.tracker.tuning.building import intrinsics  # noqa: E402
from tvm_farm.tracker.tuning.building.forked import ForkedBuilders  # noqa: E402
from tvm_farm.tracker.tuning.process.priority import give_way  # noqa: E402
from tvm_farm.tracker.tuning.process.warm_up import warm_up  # noqa: E402

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def test_a_worker_stands_by_for_one_job_after_the_other(tmp_path):
    farm = WholeFarm(tmp_path, "board")
    try:

        def warm() -> int:
            return farm.tracker.calls.farm.GetStatus(farm_pb2.GetStatusRequest()).workers_warm

        def standing_by() -> list[psutil.Process]:
            [worker] = psutil.Process(farm.tracker.process.pid).children()
            return [process for helper in worker.children() for process in helper.children()]

        wait_until(lambda: warm() == 1, "a warm worker", 120)
        [first] = standing_by()
        assert farm.jobs() == []

        # One that dies before its job costs nobody anything.
        first.kill()
        wait_until(lambda: not first.is_running(), "its end")
        (tmp_path / "small.onnx").write_bytes(small_network(seed=3))
        for name in ("one", "two"):
            done = farm.farm("tune", "small.onnx", "--pool", "x86_64", "--trials", "8", "-o", name)
            assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
            assert farm.jobs()[0].state is JobState.DONE
            wait_until(lambda: warm() == 1 and len(standing_by()) == 1, "the next process that stands by", 60)
        assert "starting another" in farm.worker_log()
    finally:
        farm.close()


def test_a_warm_up_builds_once_in_each_builder_and_leaves_the_pool_to_the_job():
    pool = ForkedBuilders(2, timeout_s=60)
    try:
        assert warm_up(pool)
    finally:
        pool.close()


def test_a_warm_up_that_fails_is_told(caplog):
    pool = ForkedBuilders(1, timeout_s=60)
    pool.close()
    assert not warm_up(pool)
    assert "the warm-up failed" in caplog.text
    assert "builders' parent process ended" in caplog.text


def test_giving_way_concerns_one_thread():
    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before, found = nice(), []

    def run() -> None:
        give_way()
        found.append(nice())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [max(before, 10)]
    assert nice() == before


INTRINSICS = """
import sys, tvm
from tvm_farm.tracker.tuning.building.intrinsics import register_intrinsics
from tvm.s_tir import TensorIntrin
register_intrinsics()
register_intrinsics(tvm.target.Target("llvm"))
TensorIntrin.get("dot_16x4_vnni"), TensorIntrin.get("dot_4x4_i8i8s32_sdot")
assert "tvm.s_tir.tensor_intrin.cuda" not in sys.modules
"""


def test_a_worker_for_cpus_does_not_load_the_intrinsics_of_gpus():
    subprocess.run([sys.executable, "-c", INTRINSICS], check=True, timeout=250)


def test_a_gpu_has_the_whole_package_imported(monkeypatch):
    name = "tvm.s_tir.tensor_intrin"
    imported = []
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(intrinsics.importlib, "import_module", imported.append)
    intrinsics.register_intrinsics(tvm.target.Target("llvm"))
    assert imported == []
    intrinsics.register_intrinsics(tvm.target.Target({"kind": "cuda", "arch": "sm_80"}))
    assert imported == [name]
