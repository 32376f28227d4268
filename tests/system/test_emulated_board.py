"""A 64-bit ARM board in the farm, emulated: a Debian of its own behind a cable, without a compiler, TVM or pip."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("tvm")

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from emulation import CONSTRAINTS, EmulatedBoard, missing_here, prepare
from tests.support.cable import MISSING as NO_CABLE
from tests.support.cable import Cable
from tests.support.latencies import LATENCY
from tests.support.networks import small_network
from tests.support.packages import input_name
from tests.support.quantized_networks import made, steps
from tests.support.tflite_networks import mobile_network
from tests.support.waiting import wait_until
from tests.support.whole_farm import ENVIRON, WholeFarm
from tvm_farm.tracker.domain import JobState, Outcome
from tvm_farm.tracker.tuning.models.light import light_network

MISSING = str(missing_here()) if missing_here() else NO_CABLE
pytestmark = [
    pytest.mark.system,
    pytest.mark.arm64,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

ROOT = Path(__file__).parents[2]
STATE = ".local/state/tvm-farm/agent"
TRIALS = 30


@dataclass(frozen=True)
class Bench:
    """A farm with an x86 agent beside its tracker, and an emulated board at the other end of a cable."""

    farm: WholeFarm
    board: EmulatedBoard
    cable: Cable
    agent_log: Path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("emulated")
    board = prepare(folder, print)
    with Cable() as cable:
        farm = WholeFarm(folder, "here", cable=cable)
        added = farm.add_runtime("aarch64")
        assert added.returncode == 0, added.stderr
        log = folder / "arm.log"
        with log.open("wb") as output:
            agent = subprocess.Popen(
                cable.at_far(*board.agent("start", "--name", "arm")),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(lambda: agent.poll() is not None or len(farm.tracker.devices()) == 2, "both devices", 90)
            assert agent.poll() is None, log.read_text()
            yield Bench(farm, board, cable, log)
        finally:
            agent.terminate()
            agent.wait(timeout=60)
            farm.close()


def run_on_board(board: EmulatedBoard, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(board.command(*argv), capture_output=True, text=True, timeout=200, check=False)


def test_the_board_has_the_base_distribution_and_no_more(bench: Bench) -> None:
    tools = "uname -m; for tool in cc gcc clang ld as pip; do command -v $tool; done; true"
    told = run_on_board(bench.board, "/bin/sh", "-c", tools)
    assert told.stdout == "aarch64\n", told.stderr
    expected = {
        "click",
        "grpcio",
        "ifaddr",
        "prometheus_client",
        "protobuf",
        "tvm_farm",
        "typing_extensions",
        "zeroconf",
    }
    assert set(bench.board.packages()) == expected
    for absent in ("tvm", "tvm_ffi", "numpy"):
        tried = run_on_board(bench.board, "/usr/bin/python3", "-c", f"import {absent}")
        assert f"No module named '{absent}'" in tried.stderr


def test_it_joins_by_mdns_and_gets_its_runtime_from_the_tracker(bench: Bench) -> None:
    said = f" at {bench.cable.near}:{bench.farm.tracker.port} by mDNS"
    assert said in bench.agent_log.read_text()
    [device] = [device for device in bench.farm.tracker.devices() if device.name == "arm"]
    assert list(device.pools) == ["arm64"]
    assert json.loads(device.target)["mcpu"] == "cortex-a72"
    assert device.runner.full_mode_missing == ""
    sent = sorted((bench.board.home / STATE / "runtime").glob("*.so"))
    assert len(sent) == 3
    for library in sent:
        data = library.read_bytes()
        assert hashlib.sha256(data).hexdigest() == library.stem
        assert int.from_bytes(data[18:20], "little") == 183, "EM_AARCH64"


@pytest.mark.slow  # a network is tuned on an emulated Raspberry Pi that boots, with every run
def test_a_network_tuned_from_x86_answers_on_the_board_as_onnx_runtime_does(bench: Bench) -> None:
    farm, board = bench.farm, bench.board
    model = light_network("light_squeezenet", seed=4)
    (farm.folder / "squeezenet.onnx").write_bytes(model)
    package = board.home / "tuned"
    tuned = farm.farm("tune", "squeezenet.onnx", "--pool", "arm64", "--trials", str(TRIALS), "-o", str(package))
    assert tuned.returncode == 0, tuned.stdout + tuned.stderr + farm.worker_log() + bench.agent_log.read_text()
    assert "ran on arm with random inputs, seed 0: every output equal to what ONNX Runtime" in " ".join(
        tuned.stdout.split()
    )

    [job] = farm.jobs()
    assert (job.state, job.trials) == (JobState.DONE, TRIALS)
    records = farm.records(job_id=job.id)
    searched = [record for record in records if record.engine == "ansor"]
    assert len({record.trial_id for record in searched}) == len(searched) == TRIALS
    ran = [record for record in searched if record.measurement.outcome is Outcome.OK]
    assert len(ran) > TRIALS // 2
    assert {record.measurement.device_name for record in ran} == {"arm"}
    assert "here" not in {record.measurement.device_name for record in records}
    with urllib.request.urlopen(farm.tracker.endpoint["metrics"], timeout=10) as answer:
        metrics = answer.read().decode().splitlines()
    measured = {
        name: float(line.rpartition(" ")[2])
        for line in metrics
        for name in ("arm", "here")
        if line.startswith(f'tvmfarm_device_measurements_total{{device="{name}"}}')
    }
    assert measured["here"] == 0
    assert measured["arm"] >= len(ran)

    x = np.random.default_rng(2).random((1, 3, 224, 224), dtype=np.float32)
    np.testing.assert_allclose(run_package(board, "tuned", x), run_onnx(model, x), rtol=1e-3, atol=1e-6)


def test_int8_networks_answer_on_the_board_as_their_own_runtimes_do(bench: Bench) -> None:
    """Of both formats, up to one step of what they store."""
    farm, board = bench.farm, bench.board
    qdq, tflite = made("mobile", "int8"), mobile_network(6, quantized=True)
    (farm.folder / "qdq.onnx").write_bytes(qdq.SerializeToString())
    (farm.folder / "full.tflite").write_bytes(tflite)
    random = np.random.default_rng(9)
    x = random.standard_normal((1, 3, 16, 16)).astype(np.float32)
    image = random.integers(-128, 128, (1, 32, 32, 3)).astype(np.int8)
    for file, judge in (("qdq.onnx", "ONNX Runtime"), ("full.tflite", "LiteRT")):
        package = board.home / Path(file).stem
        tuned = farm.farm("tune", file, "--pool", "arm64", "--trials", "16", "-o", str(package))
        assert tuned.returncode == 0, tuned.stdout + tuned.stderr + farm.worker_log() + bench.agent_log.read_text()
        assert f"equal to {judge} (max |diff| " in tuned.stdout
    expected = run_onnx(qdq.SerializeToString(), x)
    apart = np.rint(np.abs(run_package(board, "qdq", x) - expected) / steps(qdq))
    assert apart.max() <= 1
    answer, wanted = run_package(board, "full", image), run_tflite(tflite, image)
    assert np.abs(answer.astype(int) - wanted.astype(int)).max() <= 1


@pytest.mark.slow
def test_the_demo_on_an_emulated_board_ends_with_the_same_closing_line(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tiny.onnx").write_bytes(small_network(seed=3))
    shown = subprocess.run(
        [sys.executable, "-m", "emulation", "--model", "tiny.onnx", "--budget", "5s", "-o", "out"],
        env={**ENVIRON, "TMPDIR": str(tmp_path / "tmp")},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    *_, remark, closing = shown.stdout.splitlines()
    assert "its times tell nothing" in remark
    line = rf"tiny: {LATENCY} -> {LATENCY} \([\d.]+x\), equal to ONNX Runtime \(max \|diff\| (0|\de-\d\d)\)"
    assert re.fullmatch(line, closing), shown.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "tiny.onnx", "tmp"]
    assert list((tmp_path / "tmp").glob("tvm-farm-*")) == []


def run_package(board: EmulatedBoard, folder: str, x: np.ndarray) -> np.ndarray:
    """The answer of the package in the board's ``folder`` to ``x``, as docs/models.md has it run, on the board.

    With the library that the tracker sent. What ``run.py`` needs is no part of an agent, and comes to the board here.
    """
    board.install("numpy", "apache-tvm-ffi", constraints=CONSTRAINTS, into="home/loader")
    np.savez(board.home / "x.npz", **{input_name(board.home / folder): x})
    runtime = json.loads((board.home / STATE / "runtime.json").read_text())
    [digest] = [each["artifact"]["digest"] for each in runtime["libraries"] if each["name"] == "libtvm_runtime.so"]
    done = run_on_board(
        board,
        *("/usr/bin/env", "PYTHONPATH=/root/loader", "/usr/bin/python3", f"/root/{folder}/run.py"),
        *("/root/x.npz", "/root/y.npz", "--runtime", f"/root/{STATE}/runtime/{digest}.so"),
    )
    assert done.returncode == 0, done.stderr
    with np.load(board.home / "y.npz") as answers:
        return answers[answers.files[0]]


def run_onnx(model: bytes, x: np.ndarray) -> np.ndarray:
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, quiet, providers=["CPUExecutionProvider"])
    answer = session.run(None, {session.get_inputs()[0].name: x})[0]
    assert answer.std() > 0
    return answer


def run_tflite(model: bytes, x: np.ndarray) -> np.ndarray:
    run = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    run.allocate_tensors()
    run.set_tensor(run.get_input_details()[0]["index"], x)
    run.invoke()
    answer = run.get_tensor(run.get_output_details()[0]["index"])
    assert answer.std() > 0
    return answer
