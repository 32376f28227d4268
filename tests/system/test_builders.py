"""Warm builders: real candidates, and builders that are late, killed or orphaned."""

import os
import queue
import signal
import subprocess
import sys
import tempfile
import time

import psutil
import pytest

tvm = pytest.importorskip("tvm")

from tvm import te  # noqa: E402

from tests.support.waiting import wait_until  # noqa: E402
from tvm_farm.tracker.domain import Outcome  # noqa: E402
from tvm_farm.tracker.domain.recall import HOST_FAULT  # noqa: E402
from tvm_farm.tracker.tuning.building.pool import BuilderPool, BuildRequest, PoolEnded  # noqa: E402
from tvm_farm.tracker.tuning.errors import SessionOver  # noqa: E402

pytestmark = pytest.mark.system
TARGET = '{"kind":"llvm","mtriple":"x86_64-linux-gnu","mcpu":"x86-64-v2","num-cores":2}'


def matmul(size: int) -> str:
    a, b = te.placeholder((size, size), name="A"), te.placeholder((size, size), name="B")
    k = te.reduce_axis((0, size), name="k")
    c = te.compute((size, size), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="C")
    return str(
        tvm.ir.save_json(tvm.IRModule({"main": te.create_prim_func([a, b, c]).with_attr("global_symbol", "main")}))
    )


@pytest.fixture
def pool():
    pool = BuilderPool(workers=2, timeout_s=20.0)
    yield pool
    pool.close()


@pytest.fixture
def delivered(pool):
    events = queue.SimpleQueue()
    pool.deliver_to(events.put)
    return events


def builders_of(pool: BuilderPool) -> list[psutil.Process]:
    parent = psutil.Process(pool._process.pid)
    return wait_until(
        lambda: builders if len(builders := parent.children()) == pool.workers else None, "set of builders"
    )


def test_candidates_are_built_side_by_side_by_processes_that_stay(pool, delivered):
    before = {process.pid for process in builders_of(pool)}
    for number in range(6):
        pool.submit(BuildRequest(str(number), matmul(16 + number), TARGET))
    built = [delivered.get(timeout=60) for _ in range(6)]
    assert {b.id for b in built} == {str(n) for n in range(6)}
    assert all(b.outcome is Outcome.OK and b.library[:4] == b"\x7fELF" for b in built), built
    assert all(0 < b.cpu_s < 60 for b in built), "what a search weighs against what it promises"
    assert {process.pid for process in builders_of(pool)} == before


def test_a_module_that_cannot_be_built_is_an_outcome_with_the_compilers_words(pool, delivered):
    pool.submit(BuildRequest("bad", '{"not": "a module"}', TARGET))
    pool.submit(BuildRequest("good", matmul(16), TARGET))
    built = {b.id: b for b in (delivered.get(timeout=60) for _ in range(2))}
    assert built["bad"].outcome is Outcome.BUILD_ERROR
    assert built["bad"].detail
    assert built["good"].outcome is Outcome.OK


def test_a_builder_killed_at_work_costs_its_candidate_alone(pool, delivered):
    stopped = builders_of(pool)
    for process in stopped:
        process.suspend()  # whoever takes the candidate is surely at work on it when it dies
    pool.submit(BuildRequest("lost", matmul(16), TARGET))
    pool.submit(BuildRequest("also lost", matmul(17), TARGET))
    time.sleep(0.3)  # not for timing: lets the parent hand both out, else the deaths find idle builders
    for process in stopped:
        process.kill()
    built = [delivered.get(timeout=60) for _ in range(2)]
    assert {b.outcome for b in built} == {Outcome.BUILD_ERROR}
    # Whoever kills it, of little memory say, tells nothing of the candidate.
    assert built[0].detail.startswith(f"{HOST_FAULT}the builder died of signal 9")
    pool.submit(BuildRequest("next", matmul(16), TARGET))
    assert delivered.get(timeout=60).outcome is Outcome.OK


def test_a_host_that_cannot_build_is_to_blame_itself(tmp_path, monkeypatch):
    # The builders inherit where temporary files go, as a job's do.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    pool, events = BuilderPool(workers=1, timeout_s=20.0), queue.SimpleQueue()
    try:
        pool.deliver_to(events.put)
        pool.submit(BuildRequest("t", matmul(8), TARGET))
        built = events.get(timeout=60)
        assert built.outcome is Outcome.BUILD_ERROR
        assert built.detail.startswith(f"{HOST_FAULT}FileNotFoundError: ")
    finally:
        pool.close()


def test_a_candidate_that_compiles_for_ever_is_given_up():
    pool = BuilderPool(workers=1, timeout_s=0.25)
    events = queue.SimpleQueue()
    pool.deliver_to(events.put)
    try:
        for process in builders_of(pool):
            process.suspend()
        pool.submit(BuildRequest("slow", matmul(16), TARGET))
        slow = events.get(timeout=60)
        assert (slow.id, slow.outcome) == ("slow", Outcome.BUILD_TIMEOUT)
        assert slow.detail == f"{HOST_FAULT}it had not 0.25 s of CPU time to spare in 5 s"
        assert len(builders_of(pool)) == 1
    finally:
        pool.close()


def unrolled(size: int) -> str:
    """A matmul written out in full: LLVM needs minutes for it."""
    module = tvm.ir.load_json(matmul(size))
    schedule = tvm.s_tir.Schedule(module)
    for loop in schedule.get_loops(schedule.get_sblock("C")):
        schedule.unroll(loop)
    return str(tvm.ir.save_json(schedule.mod))


def test_a_candidate_that_takes_too_much_cpu_time_is_given_up():
    pool = BuilderPool(workers=1, timeout_s=3.0)
    events = queue.SimpleQueue()
    pool.deliver_to(events.put)
    try:
        pool.submit(BuildRequest("huge", unrolled(64), TARGET))
        pool.submit(BuildRequest("next", matmul(16), TARGET))
        huge, following = events.get(timeout=100), events.get(timeout=100)
        assert (huge.id, huge.outcome) == ("huge", Outcome.BUILD_TIMEOUT), huge.detail
        assert huge.cpu_s > 0
        assert (following.id, following.outcome) == ("next", Outcome.OK)
    finally:
        pool.close()


def test_a_new_receiver_does_not_get_what_was_queued_for_the_one_before(pool, delivered):
    builders = builders_of(pool)
    for process in builders:
        process.suspend()
    for number in range(8):
        pool.submit(BuildRequest(f"old {number}", matmul(16), TARGET))
    events = queue.SimpleQueue()
    pool.deliver_to(events.put)
    pool.submit(BuildRequest("new", matmul(16), TARGET))
    for process in builders:
        process.resume()
    seen = []
    while "new" not in seen:
        seen.append(events.get(timeout=60).id)
    assert len(seen) <= 3, "at most the two at work may still arrive"


def test_without_their_parent_nothing_is_built_and_the_session_is_over(pool, delivered):
    psutil.Process(pool._process.pid).kill()
    assert isinstance(delivered.get(timeout=10), PoolEnded)
    with pytest.raises(SessionOver):
        pool.submit(BuildRequest("late", matmul(16), TARGET))


def test_closing_tells_the_receiver_and_leaves_no_process(pool, delivered):
    processes = [psutil.Process(pool._process.pid), *builders_of(pool)]
    pool.close()
    assert isinstance(delivered.get(timeout=10), PoolEnded)
    wait_until(
        lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes),
        "end of every process",
    )


def test_builders_die_with_the_process_that_made_them():
    code = (
        "import os, psutil, time\n"
        "from tvm_farm.tracker.tuning.building.pool import BuilderPool\n"
        "pool = BuilderPool(2, 5.0)\n"
        "print(*[p.pid for p in psutil.Process().children(recursive=True)], flush=True)\n"
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
