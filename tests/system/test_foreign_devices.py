"""Boards of other architectures, without TVM or Python, in one farm: tuned by kernels alone, behind ``adb``."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tvm")

import tvm
from tvm.s_tir.meta_schedule.arg_info import ArgInfo

from tests.support.measure_client import MeasureClient
from tests.support.networks import small_network
from tests.support.onnx_bytes import load_onnx
from tests.support.phone import ARMV7, RISCV64, Phone
from tests.support.whole_farm import WholeFarm
from tvm_farm.protos.farm.v1 import measurement_pb2
from tvm_farm.tracker.domain import Job, JobState, Outcome
from tvm_farm.tracker.tuning.building.builder import build_kernel
from tvm_farm.tracker.tuning.building.intrinsics import register_intrinsics
from tvm_farm.tracker.tuning.engines.space import apply_trace
from tvm_farm.tracker.tuning.models.graph import lower, tasks_of

MISSING = ARMV7.missing or RISCV64.missing
pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

TRIALS = 16


def test_32_bit_arm_and_riscv_are_tuned_and_every_winner_is_verified(tmp_path: Path) -> None:
    farm = WholeFarm(tmp_path)
    model = small_network(seed=9)
    (tmp_path / "small.onnx").write_bytes(model)
    try:
        for architecture in (ARMV7, RISCV64):
            folder = tmp_path / f"device-{architecture.machine}"
            folder.mkdir()
            phone = Phone(folder, architecture)
            farm.add_agent(architecture.machine, "--via", phone.via, PATH=phone.path)
        farm.wait_for_devices(2)
        for pool, name in (("armv7", ARMV7.machine), ("riscv64", RISCV64.machine)):
            done = farm.farm("tune", "small.onnx", "--pool", pool, "--trials", str(TRIALS), "-o", f"tuned-{pool}")
            assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
            assert "no device of this class has TVM's runtime" in " ".join(done.stdout.split())
            job = next(job for job in farm.jobs() if job.spec.pool == pool)
            assert (job.state, job.trials) == (JobState.DONE, TRIALS)
            assert {record.measurement.device_name for record in farm.records(job_id=job.id)} == {name}
            assert job.result is not None
            # Which kernel is faster, an emulator's timings decide: all that won were compared, be they many or none.
            compared = job.result.kernels_compared
            assert compared == job.result.kernels_equal == sum(not task.kept_untuned for task in job.result.tasks)
            verdict = f"{compared} of {compared} kernels equal (max |diff| " if compared else "outputs not compared"
            assert f", estimated from its tasks, {verdict}" in done.stdout.strip().splitlines()[-1]
            assert winners_agree_with_untuned(farm, pool, job, model) >= 3
            manifest = json.loads((tmp_path / f"tuned-{pool}" / "manifest.json").read_text())
            assert name in str(manifest["target"])
    finally:
        farm.close()


def winners_agree_with_untuned(farm: WholeFarm, pool: str, job: Job, model: bytes) -> int:
    """How many tasks have a winner. Each ran on the device beside its unscheduled self, on the same input."""
    target = tvm.target.Target(json.loads(job.target))
    register_intrinsics(target)
    best: dict[str, tuple[float, str]] = {}
    for record in farm.records(job_id=job.id):
        if record.engine == "ansor" and record.measurement.outcome is Outcome.OK:
            mine = (min(record.measurement.run_secs), record.trace)
            best[record.workload] = min(best.get(record.workload, mine), mine)
    lowered = lower(load_onnx(model, {}, "small").module, target)
    tasks = {task.workload.key: task.module for task in tasks_of(lowered, target)}
    with closing(MeasureClient(farm.tracker.address, pool=pool)) as client:
        for workload, (_, trace) in best.items():
            untuned = tasks[workload]
            buffers = ArgInfo.from_entry_func(untuned, remove_preproc=False)
            arguments = [
                measurement_pb2.Argument(shape=list(map(int, buffer.shape)), dtype=str(buffer.dtype), fill_seed=seed)
                for seed, buffer in enumerate(buffers)
            ]
            answers = []
            for name, module in (("untuned", untuned), ("winner", apply_trace(untuned, trace).mod)):
                library, _ = build_kernel(str(tvm.ir.save_json(module)), job.target)
                trial = f"{workload} {name}"
                client.trial(trial, library=library, args=arguments, outputs=[len(arguments) - 1])
                [measured] = client.wait_for(trial)
                assert measured.outcome == measurement_pb2.OUTCOME_OK, measured.detail
                answers.append(np.frombuffer(measured.outputs[0].data, arguments[-1].dtype))
            assert np.std(answers[0]) > 0
            np.testing.assert_allclose(answers[1], answers[0], rtol=1e-4, atol=1e-5)
    return len(best)
