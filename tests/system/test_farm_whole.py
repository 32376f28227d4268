"""A model's whole way through ``farm``, with a real tracker, worker, agent and runner."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.farm_command import farm
from tests.support.latencies import LATENCY
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.tracker.cli.terminal.child import Child

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

CLOSING = re.compile(rf"tiny: {LATENCY} -> {LATENCY} \([\d.]+x\), equal to ONNX Runtime \(max \|diff\| (0|\de-\d\d)\)")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A convolution with its activation, then an average: two tasks, with parameters."""
    random = np.random.default_rng(0)
    weight = numpy_helper.from_array(random.standard_normal((8, 3, 3, 3)).astype("float32"), "w")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["y"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 1, 1])],
        [weight],
    )
    path = tmp_path / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_tune_bench_compile_and_the_log_agree(model: Path, tmp_path: Path) -> None:
    tracker = TrackerProcess(tmp_path / "tracker", workers=1)
    env = {"TVMFARM_TRACKER": tracker.address}
    options = ["start", "--tracker", tracker.address, "--state", str(tmp_path / "agent"), "--name", "here"]
    try:
        with Child("agent", options, tmp_path / "agent.log") as agent:
            wait_until(lambda: (agent.check(), tracker.devices())[1], "device")
            [device] = json.loads(farm("devices", "--json", **env).stdout)
            assert device["runner"]["mode"] == "full", "a whole model needs TVM's runtime"
            pool = device["pools"][0]

            tuned = farm(
                "tune", str(model), "--pool", pool, "--trials", "8", "-o", "p", cwd=tmp_path, timeout_s=150, **env
            )
            assert tuned.returncode == 0, tuned.stderr
            assert CLOSING.fullmatch(tuned.stdout.splitlines()[-1]), tuned.stdout
            assert "trials" in tuned.stderr, "plain lines of progress"

            timed = farm("bench", "p", "--pool", pool, "--repeat", "3", "--json", cwd=tmp_path, timeout_s=60, **env)
            assert timed.returncode == 0, timed.stderr
            figures = json.loads(timed.stdout)
            assert len(figures["run_secs"]) == 3
            assert 0 < figures["min_s"] <= figures["median_s"] <= figures["p90_s"] < 1
            assert (figures["model"], figures["device"]) == ("tiny", "here")

            [job] = json.loads(farm("jobs", "--json", **env).stdout)
            assert (job["state"], job["trials"]) == ("done", 8)
            log = json.loads(farm("records", "query", "--job", job["id"], "--engine", "ansor", "--json", **env).stdout)
            assert len(log) == 8
            assert {record["measurement"]["device_name"] for record in log} == {"here"}

            compiled = farm("compile", str(model), "--pool", pool, "-o", "c", cwd=tmp_path, timeout_s=90, **env)
            assert compiled.returncode == 0, compiled.stderr
            assert CLOSING.fullmatch(compiled.stdout.splitlines()[-1]), compiled.stdout
            assert len(json.loads(farm("jobs", "--json", **env).stdout)) == 2
            best = json.loads(farm("records", "best", "--pool", pool, "--json", **env).stdout)
            assert {record["workload"] for record in best} >= {record["workload"] for record in log}
    finally:
        tracker.stop()


def test_the_demo_ends_with_the_closing_line_and_leaves_only_the_package(model: Path, tmp_path: Path) -> None:
    home = tmp_path / "tmp"
    home.mkdir()
    shown = farm(
        "demo", "--model", str(model), "--budget", "5s", "-o", "out", cwd=tmp_path, timeout_s=200, TMPDIR=str(home)
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert CLOSING.fullmatch(shown.stdout.splitlines()[-1]), shown.stdout
    package = ["answers.npz", "inputs.npz", "manifest.json", "model.so", "params.bin", "run.py"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == package
    assert list(home.glob("tvm-farm-demo-*")) == []
