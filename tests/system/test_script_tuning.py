"""TVM's own tuning entry points through FarmBuilder, FarmRunner and FarmDatabase, on a real farm."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import psutil
import pytest

tvm = pytest.importorskip("tvm")

from tvm import relax, te  # noqa: E402
from tvm.relax.frontend.onnx import from_onnx  # noqa: E402
from tvm.s_tir import meta_schedule as ms  # noqa: E402
from tvm.s_tir.meta_schedule.testing import te_workload  # noqa: E402

from tests.support import kernels  # noqa: E402
from tests.support.networks import dense_network  # noqa: E402
from tests.support.waiting import wait_until  # noqa: E402
from tests.support.whole_farm import ENVIRON, WholeFarm  # noqa: E402
from tvm_farm import FarmBuilder, FarmDatabase, FarmRunner  # noqa: E402
from tvm_farm.tracker.client.errors import BadInput  # noqa: E402
from tvm_farm.tracker.domain import Outcome, Record  # noqa: E402
from tvm_farm.tracker.tuning.building.intrinsics import register_intrinsics  # noqa: E402

# TVM's own TuneContext would register those of GPUs as well, for 10 s of CPU time.
register_intrinsics()

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
QUICK = ms.runner.EvaluatorConfig(number=1, repeat=2, min_repeat_ms=2)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """TVM's logger can be set up a second time, which it cannot beside a handler without a name, as pytest's are."""
    yield
    logger = logging.getLogger("tvm.s_tir.meta_schedule")
    logger.propagate = True  # pytest adds a handler to those that do not
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeFarm]:
    """One board in full mode."""
    made = WholeFarm(tmp_path_factory.mktemp("farm"), "board", workers=0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def builder() -> Iterator[Any]:
    made = FarmBuilder(max_workers=2)
    yield made
    made.close()


@pytest.fixture
def runner(farm: WholeFarm) -> Iterator[Any]:
    made = FarmRunner(farm.tracker.address, pool="x86_64", evaluator_config=QUICK)
    yield made
    made.close()


@pytest.fixture
def database(farm: WholeFarm) -> Iterator[Any]:
    made = FarmDatabase(farm.tracker.address, pool="x86_64")
    yield made
    made.close()


def matmul(size: int) -> Any:
    return te.create_prim_func(te_workload.matmul(size, size, size))


def imported(network: bytes) -> Any:
    return from_onnx(onnx.load_from_string(network))


def applied(database: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Engine and workload of each record that ``database`` answers a query with, from now on."""
    log = database._inst._client.log
    found: list[tuple[str, str]] = []
    ask = log.best

    def best(workloads: list[str], **wanted: Any) -> list[Record]:
        records: list[Record] = ask(workloads, **wanted)
        found.extend((record.engine, record.workload) for record in [r for r in records if r.trace][:1])
        return records

    monkeypatch.setattr(log, "best", best)
    return found


def assert_answers(executable: Any, network: bytes) -> None:
    """``executable`` computes what ONNX Runtime does."""
    x = np.random.default_rng(1).random((4, 32), dtype=np.float32)
    [expected] = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    answered = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    np.testing.assert_allclose(answered, expected, rtol=1e-4, atol=1e-5)


def records_of(farm: WholeFarm, workload: str) -> list[Record]:
    return farm.records(workload=workload)


def answer(module: Any, target: Any, *shapes: tuple[int, ...]) -> tuple[list[np.ndarray], np.ndarray]:
    """Random inputs of a scheduled kernel, and what it computes of them on this machine."""
    built = tvm.compile(module, target)
    inputs = [np.random.default_rng(n).random(shape, dtype=np.float32) for n, shape in enumerate(shapes[:-1])]
    out = tvm.runtime.tensor(np.zeros(shapes[-1], "float32"))
    built["main"](*map(tvm.runtime.tensor, inputs), out)
    return inputs, out.numpy()


def test_tune_tir_on_the_farm(farm: WholeFarm, builder: Any, runner: Any, database: Any, tmp_path: Path) -> None:
    mod = matmul(64)
    tuned = ms.tune_tir(
        mod,
        runner.target,
        str(tmp_path),
        max_trials_global=16,
        num_trials_per_iter=8,
        builder=builder,
        runner=runner,
        database=database,
        num_tuning_cores=1,
        seed=3,
    )
    key = str(ms.utils.shash2hex(tvm.IRModule({"main": mod})))
    kept = records_of(farm, key)
    assert len(kept) == len(tuned) == 16
    assert len({(record.trial_id, record.trace) for record in kept}) == 16
    [device] = farm.tracker.devices()
    for record in kept:
        assert (record.engine, record.workload_name, record.job_id) == ("metaschedule", "C", "")
        assert (record.user != "", record.target) == (True, device.target)
        assert record.plan.repeat == 2
        if record.measurement.outcome is Outcome.OK:
            assert (record.measurement.device_name, len(record.measurement.run_secs)) == ("board", 2)
            steps = record.measurement.timeline
            assert 0 < steps.proposed_s <= steps.building_s <= steps.compiled_s <= steps.built_s
            assert 0 < steps.started_s <= steps.finished_s
            assert steps.queued_s <= steps.answered_s <= steps.stored_s
    fastest = min((r for r in kept if r.measurement.run_secs), key=lambda r: float(np.median(r.measurement.run_secs)))

    # A second script, which measured nothing itself, finds the same in its place.
    other = FarmDatabase(farm.tracker.address, pool="x86_64", device_class=device.device_class)
    try:
        module = tvm.IRModule({"main": mod})
        assert other.has_workload(module)
        assert not other.has_workload(tvm.IRModule({"main": matmul(65)}))
        top = other.get_top_k(other.commit_workload(module), 3)
        assert [float(s) for s in top[0].run_secs] == list(fastest.measurement.run_secs)
        assert len(top) == 3
        assert len(other) == len(other.get_all_tuning_records()) == len(farm.records())
        schedule = ms.tir_integration.compile_tir(other, mod, runner.target)
        assert ms.database.Workload(schedule.mod) is not None
        inputs, out = answer(schedule.mod, runner.target, (64, 64), (64, 64), (64, 64))
        np.testing.assert_allclose(out, inputs[0] @ inputs[1], rtol=1e-4)
        with pytest.raises(BadInput, match="keeps what the farm measured for this script, once"):
            other.commit_tuning_record(top[0])
        assert len(records_of(farm, key)) == 16
    finally:
        other.close()

    # And people see it in the log, as any other record.
    listed = farm.farm("records", "query", "--engine", "metaschedule", "--json")
    assert listed.returncode == 0, listed.stderr
    assert len(json.loads(listed.stdout)) == 16, listed.stdout


def test_tune_relax_and_compile_relax_on_the_farm(
    farm: WholeFarm, builder: Any, runner: Any, database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = dense_network(seed=5)
    mod = imported(network)
    ms.relax_integration.tune_relax(
        relax.get_pipeline("zero")(mod),
        {},
        runner.target,
        str(tmp_path),
        max_trials_global=8,
        num_trials_per_iter=2,
        builder=builder,
        runner=runner,
        database=database,
        strategy="replay-trace",
        seed=4,
    )
    tuned = {record.workload for record in farm.records(engine="metaschedule")}
    found = applied(database, monkeypatch)
    executable = ms.relax_integration.compile_relax(database, mod, runner.target, None)
    assert len(found) == 2, "both layers"
    assert {workload for _, workload in found} <= tuned
    assert_answers(executable, network)


def test_what_the_farms_own_jobs_measured_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = dense_network(seed=11, width=40)
    (tmp_path / "own.onnx").write_bytes(network)
    own = WholeFarm(tmp_path, "board")
    try:
        done = own.farm("tune", "own.onnx", "--pool", "x86_64", "--trials", "4", "-o", "own")
        assert done.returncode == 0, done.stdout + done.stderr + own.worker_log()
        mine = {record.workload for record in own.records(engine="ansor")}
        database = FarmDatabase(own.tracker.address, pool="x86_64")
        found = applied(database, monkeypatch)
        executable = ms.relax_integration.compile_relax(database, imported(network), database.target, None)
        database.close()
        assert {engine for engine, _ in found} == {"ansor"}
        assert {workload for _, workload in found} == mine
        assert_answers(executable, network)
    finally:
        own.close()


def built_input(target: Any, size: int = 16) -> Any:
    return ms.builder.BuilderInput(tvm.IRModule({"main": matmul(size)}), target)


def run_input(path: str, *infos: Any) -> Any:
    return ms.runner.RunnerInput(path, "cpu", list(infos))


def tensors(size: int) -> list[Any]:
    return [ms.arg_info.TensorInfo("float32", [size, size]) for _ in range(3)]


def test_either_half_works_with_tvms_other_half(farm: WholeFarm, builder: Any, runner: Any) -> None:
    [mine] = builder.build([built_input(runner.target)])
    assert (mine.error_msg, Path(mine.artifact_path).suffix) == (None, ".so")
    local = ms.runner.LocalRunner(evaluator_config=QUICK)
    [future] = local.run([run_input(mine.artifact_path, *tensors(16))])
    assert [float(s) > 0 for s in future.result().run_secs] == [True, True], future.result().error_msg

    [theirs] = ms.builder.LocalBuilder(max_workers=1, timeout_sec=100).build([built_input(runner.target)])
    assert (theirs.error_msg, Path(theirs.artifact_path).suffix) == (None, ".tar")
    [future] = runner.run([run_input(theirs.artifact_path, *tensors(16))])
    assert [float(s) > 0 for s in future.result().run_secs] == [True, True], future.result().error_msg

    other = Path(theirs.artifact_path).with_suffix(".wasm")
    other.write_bytes(b"")
    with pytest.raises(BadInput, match=r"runs what FarmBuilder or LocalBuilder's default export built, not .*wasm"):
        runner.run([run_input(str(other))])
    # LocalBuilder leaves its folder to whoever tunes.
    shutil.rmtree(other.parent)


def test_candidates_that_cannot_be_built_are_in_the_log_as_such(
    farm: WholeFarm, runner: Any, database: Any, tmp_path: Path
) -> None:
    hasty, mod = FarmBuilder(max_workers=1, timeout_sec=0.001), matmul(56)
    try:
        ms.tune_tir(
            mod,
            runner.target,
            str(tmp_path),
            max_trials_global=2,
            builder=hasty,
            runner=runner,
            database=database,
            num_tuning_cores=1,
            strategy="replay-trace",
        )
    finally:
        hasty.close()
    kept = records_of(farm, str(ms.utils.shash2hex(tvm.IRModule({"main": mod}))))
    # On a busy host it need not have had even that.
    said = {
        Outcome.BUILD_TIMEOUT: r"still compiling after 0\.001 s of CPU time",
        Outcome.HOST_FAULT: r"the builder's host had not 0\.001 s of CPU time",
    }
    assert len(kept) == 2
    assert all(re.match(said[record.measurement.outcome], record.measurement.detail) for record in kept)
    assert {(r.measurement.device_class, r.measurement.device_name) for r in kept} == {(runner.device_class, "")}
    assert all(record.trace for record in kept)


def test_what_nobody_could_build_is_refused(builder: Any, runner: Any) -> None:
    with pytest.raises(BadInput, match=r"builds for LLVM's CPUs, not for a target of kind opencl"):
        builder.build([built_input(tvm.target.Target("opencl"))])
    with pytest.raises(BadInput, match="max_workers must be at least 1"):
        FarmBuilder(max_workers=0)


@pytest.mark.parametrize("beside_device", [True, False])
def test_builders_give_way_where_a_device_is_on_their_machine(runner: Any, beside_device: bool) -> None:
    builder = FarmBuilder(max_workers=1, beside_device=beside_device)
    try:
        [built] = builder.build([built_input(runner.target)])
        assert built.error_msg is None
        parent = psutil.Process(builder._inst._pool.parent_pid)
        policies = {os.sched_getscheduler(process.pid) for process in [parent, *parent.children()]}
        assert policies == {os.SCHED_IDLE if beside_device else os.SCHED_OTHER}
    finally:
        builder.close()
    assert not parent.is_running()


def test_builders_that_were_killed_are_started_again(builder: Any, runner: Any) -> None:
    psutil.Process(builder._inst._pool.parent_pid).kill()
    [again] = builder.build([built_input(runner.target)])
    assert again.error_msg is None


def test_a_failed_candidate_is_said_in_words(farm: WholeFarm, runner: Any) -> None:
    info = ms.arg_info.TensorInfo("int32", [4])
    hasty = FarmRunner(farm.tracker.address, pool="x86_64", evaluator_config=QUICK, timeout_sec=0.5)
    try:
        crash, fine = runner.run([run_input(str(kernels.kernel(name)), info) for name in ("crash", "count")])
        [hang] = hasty.run([run_input(str(kernels.kernel("hang")), info)])
        assert crash.result().run_secs is None
        assert re.match(r"crash on board: died of signal 11", str(crash.result().error_msg))
        assert str(hang.result().error_msg).startswith("run timeout on board: ")
        assert (fine.result().error_msg, len(fine.result().run_secs), fine.done()) == (None, 2, True)
    finally:
        hasty.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pool": "nowhere"}, "There is no pool 'nowhere'"),
        ({"device_class": "pi9"}, "Pool x86_64 has no device of class pi9: it has "),
        ({"timeout_sec": 0}, "timeout_sec must be above 0"),
        ({"priority": 9}, "there is no priority 9: it goes from -4 to 4"),
        ({"evaluator_config": ms.runner.EvaluatorConfig(number=0)}, "number and repeat of its evaluator_config must"),
        ({"cooldown_sec": -1}, "cooldown_sec not below 0"),
    ],
)
def test_options_that_cannot_be(farm: WholeFarm, options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        FarmRunner(farm.tracker.address, **{"pool": "x86_64", **options})
    assert said in " ".join(refused.value.message.split())


def test_every_field_of_the_evaluator_config_reaches_the_board(farm: WholeFarm) -> None:
    config = ms.runner.EvaluatorConfig(number=2, repeat=3, min_repeat_ms=4, enable_cpu_cache_flush=True)
    runner = FarmRunner(farm.tracker.address, pool="x86_64", evaluator_config=config, cooldown_sec=0.001)
    try:
        plan = runner._inst._plan
        assert (plan.number, plan.repeat, plan.min_repeat_ms, plan.cooldown_ms) == (2, 3, 4, 1)
        assert plan.cache_flush_bytes > 0
        [future] = runner.run([run_input(str(kernels.kernel("count")), ms.arg_info.TensorInfo("int32", [4]))])
        assert len(future.result().run_secs) == 3
    finally:
        runner.close()


def held(farm: WholeFarm) -> int:
    return sum(device.held for device in farm.tracker.devices())


def test_ctrl_c_leaves_no_trial_on_a_board(farm: WholeFarm) -> None:
    """In a Python that goes on, as a notebook's does, while its futures live."""
    command = [sys.executable, "-m", "tests.support.script"]
    script = subprocess.Popen(
        [*command, farm.tracker.address, "x86_64", str(kernels.kernel("sleep"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRON,
        cwd=ROOT,
    )
    assert script.stdin is not None
    assert script.stdout is not None
    try:
        assert script.stdout.readline() == "measuring\n"
        wait_until(lambda: held(farm), "a trial on the board", 30)
        script.send_signal(signal.SIGINT)
        assert script.stdout.readline() == "interrupted\n"
        wait_until(lambda: not held(farm), "an empty board", 30)
        assert script.poll() is None
        print(file=script.stdin, flush=True)
        assert script.stdout.readline() == "4\n"
        assert script.wait(timeout=30) == 0
    finally:
        script.kill()
        script.communicate()


def test_futures_that_nobody_keeps_are_given_up(farm: WholeFarm) -> None:
    config = ms.runner.EvaluatorConfig(number=1, repeat=1, min_repeat_ms=60_000)
    runner = FarmRunner(farm.tracker.address, pool="x86_64", evaluator_config=config, timeout_sec=200)
    try:
        info = ms.arg_info.TensorInfo("int32", [4])
        futures = runner.run([run_input(str(kernels.kernel("sleep")), info) for _ in range(3)])
        wait_until(lambda: held(farm), "a trial on the board", 30)
        assert not futures[0].done()
        del futures
        wait_until(lambda: not held(farm), "an empty board", 30)
    finally:
        runner.close()


def test_a_pool_of_several_classes_asks_which_one(farm: WholeFarm) -> None:
    agent = farm.add_agent("bare", "--mode", "micro", "--threads", "1")
    try:
        farm.wait_for_devices(2)
        classes = sorted({device.device_class for device in farm.tracker.devices()})
        for made in (FarmRunner, FarmDatabase):
            with pytest.raises(BadInput) as refused:
                made(farm.tracker.address, pool="x86_64")
            assert refused.value.message.endswith(f"choose one with device_class=, of {', '.join(classes)}.")
        for device_class in classes:
            runner = FarmRunner(farm.tracker.address, pool="x86_64", device_class=device_class, evaluator_config=QUICK)
            try:
                info = ms.arg_info.TensorInfo("int32", [4])
                [future] = runner.run([run_input(str(kernels.kernel("count")), info)])
                assert future.result().error_msg is None
                assert runner.device_class == device_class
            finally:
                runner.close()
    finally:
        assert agent.stop() == 0
        farm.agents.remove(agent)
        agent.close()
        farm.wait_for_devices(1)


def test_the_script_of_the_docs_runs_as_it_stands(farm: WholeFarm, tmp_path: Path) -> None:
    [script] = re.findall(
        r"```python\n(from tvm import relax.*?)```", (ROOT / "docs" / "scripts.md").read_text(), re.DOTALL
    )
    model = tmp_path / "model.onnx"
    model.write_bytes(dense_network(seed=6))
    for shown, real in (
        ("farm.local", farm.tracker.address),
        ('pool="arm64"', 'pool="x86_64"'),
        ("max_trials_global=2000", "max_trials_global=8, num_trials_per_iter=4"),
    ):
        assert shown in script
        script = script.replace(shown, real)
    before = len(farm.records(engine="metaschedule"))
    given = (
        "import onnx\nfrom tracker.tuning.building.intrinsics import register_intrinsics\nregister_intrinsics()\n"
        f"from tvm.relax.frontend.onnx import from_onnx\nmod = from_onnx(onnx.load({str(model)!r}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", given + script], cwd=tmp_path, env=ENVIRON, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(farm.records(engine="metaschedule")) > before


def test_a_tracker_that_restarts_costs_a_script_a_moment(
    farm: WholeFarm, builder: Any, runner: Any, database: Any, tmp_path: Path
) -> None:
    before = len(farm.records(engine="metaschedule"))
    mod = matmul(48)
    failed: list[BaseException] = []

    def restart() -> None:
        try:
            wait_until(lambda: len(farm.records(engine="metaschedule")) >= before + 4, "its first records", 100)
            farm.tracker.kill()
            farm.tracker.start()
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            failed.append(error)

    thread = threading.Thread(target=restart)
    thread.start()
    ms.tune_tir(
        mod,
        runner.target,
        str(tmp_path),
        max_trials_global=16,
        num_trials_per_iter=4,
        builder=builder,
        runner=runner,
        database=database,
        num_tuning_cores=1,
        strategy="replay-trace",
        seed=3,
    )
    thread.join()
    assert not failed, failed
    kept = records_of(farm, str(ms.utils.shash2hex(tvm.IRModule({"main": mod}))))
    assert len(kept) == len({record.trial_id for record in kept}) == 16
