"""A kernel that is fast and wrong, on a board that cannot run whole models: caught by the farm, not by this test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("tvm")

import tvm
from tvm.s_tir import Schedule

from tests.support.networks import small_network
from tests.support.onnx_bytes import load_onnx
from tests.support.packages import answer_of
from tests.support.put_on_record import put_on_record
from tests.support.whole_farm import WholeFarm
from tvm_farm.protos.farm.v1 import devices_pb2
from tvm_farm.tracker.domain import Outcome, Record
from tvm_farm.tracker.tuning.engines.space import trace_json
from tvm_farm.tracker.tuning.models.graph import ExtractedTask, lower, tasks_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

MODEL = small_network(seed=9)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[WholeFarm]:
    farm = WholeFarm(tmp_path)
    farm.add_agent("board", "--mode", "micro")
    farm.wait_for_devices(1)
    (tmp_path / "small.onnx").write_bytes(MODEL)
    yield farm
    farm.close()


def schedule(task: ExtractedTask, *, wrong: bool) -> str:
    """The trace of a blocked convolution several times faster than untuned; a ``wrong`` one rounds its input down."""
    schedule = Schedule(task.module)
    if wrong:
        schedule.unsafe_set_dtype(schedule.get_sblock("pad"), 0, "int32")
    schedule.compute_inline(schedule.get_sblock("T_add"))
    convolution = schedule.get_sblock("conv2d_blocked")
    n, o, h, w, b, ic, kh, kw, ib = schedule.get_loops(convolution)
    schedule.reorder(n, o, h, w, ic, kh, kw, ib, b)
    schedule.vectorize(b)
    schedule.decompose_reduction(convolution, ic)
    return trace_json(schedule.trace)


def record(farm: WholeFarm, trial_id: str) -> Record:
    [found] = [record for record in farm.records() if record.trial_id == trial_id]
    return found


def answers_as_onnx_runtime(folder: Path) -> None:
    x = np.random.default_rng(2).random((1, 3, 12, 12), dtype=np.float32)
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    [expected] = session.run(None, {"x": x})
    assert expected.std() > 0
    np.testing.assert_allclose(answer_of(folder, x), expected, rtol=1e-3, atol=1e-5)


def test_a_wrong_kernel_is_caught_not_shipped_and_never_proposed_again(farm: WholeFarm) -> None:
    [device] = farm.tracker.calls.devices.ListDevices(devices_pb2.ListDevicesRequest()).devices
    target = tvm.target.Target(json.loads(device.target))
    tasks = tasks_of(lower(load_onnx(MODEL, {}, "small").module, target), target)
    [task] = [task for task in tasks if task.name == "fused_conv2d1_add_relu"]
    put_on_record(farm.tracker.address, device.target, task.module, "wrong", schedule(task, wrong=True))
    put_on_record(farm.tracker.address, device.target, task.module, "wrong again", schedule(task, wrong=True))

    done = farm.farm("compile", "small.onnx", "--pool", "x86_64", "-o", "first")
    said = " ".join(done.stdout.split())
    assert done.returncode == 1, done.stdout + done.stderr + farm.worker_log()
    assert "estimated from its tasks, 0 of 1 kernels equal, 1 DIFFERS (max |diff| " in said.splitlines()[-1]
    assert "the fastest kernel of fused_conv2d1_add_relu answers differently" in said
    [job] = farm.jobs()
    assert job.result is not None
    assert (job.result.kernels_compared, job.result.kernels_equal, job.result.outputs_equal) == (1, 0, False)
    [told] = [row for row in job.result.tasks if row.wrong_result]
    assert (told.name, told.kept_untuned, told.tuned_s) == ("fused_conv2d1_add_relu", True, told.untuned_s)
    for trial_id in ("wrong", "wrong again"):
        measured = record(farm, trial_id).measurement
        assert (measured.outcome, measured.run_secs) == (Outcome.WRONG_RESULT, ())
        assert "to the untuned kernel's outputs on board" in measured.detail
    answers_as_onnx_runtime(farm.folder / "first")

    put_on_record(farm.tracker.address, device.target, task.module, "right", schedule(task, wrong=False))
    done = farm.farm("compile", "small.onnx", "--pool", "x86_64", "-o", "second")
    assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
    last = done.stdout.strip().splitlines()[-1]
    assert ", estimated from its tasks, 1 of 1 kernels equal (max |diff| " in last
    assert record(farm, "right").measurement.outcome is Outcome.OK
    latency = json.loads((farm.folder / "second" / "manifest.json").read_text())["latency"]
    assert (latency["kernels_compared"], latency["kernels_equal"]) == (1, 1)
    answers_as_onnx_runtime(farm.folder / "second")
