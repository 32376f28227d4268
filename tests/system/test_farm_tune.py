"""``farm tune`` through real tracker, worker, agents and runners; ONNX Runtime judges the answers."""

import json
import re
import subprocess

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("tvm")

from tests.support.latencies import LATENCY, seconds
from tests.support.networks import small_network
from tests.support.packages import answer_of
from tests.support.waiting import wait_until
from tests.support.whole_farm import WholeFarm
from tvm_farm.tracker.domain import JobState, Outcome
from tvm_farm.tracker.domain.outcomes import meaning
from tvm_farm.tracker.tuning.models.light import light_network

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def one_board(tmp_path_factory):
    farm = WholeFarm(tmp_path_factory.mktemp("farm"), "board")
    yield farm
    farm.close()


def run_onnx(model: bytes, x: np.ndarray) -> np.ndarray:
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, quiet, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def closing_line(done: subprocess.CompletedProcess[str]) -> re.Match[str]:
    line = done.stdout.strip().splitlines()[-1]
    match = re.fullmatch(
        rf"(\w+): ({LATENCY}) -> ({LATENCY}) \(([\d.]+)x\), equal to ONNX Runtime \(max \|diff\| \S+\)", line
    )
    assert match, f"the last line is {line!r}"
    return match


def test_a_light_network_with_random_weights_is_never_slower_and_answers_as_onnx_runtime(one_board):
    model = light_network("light_squeezenet", seed=11)
    (one_board.folder / "squeezenet.onnx").write_bytes(model)
    done = one_board.farm("tune", "squeezenet.onnx", "--pool", "x86_64", "--trials", "56", "-o", "tuned")
    assert done.returncode == 0, done.stdout + done.stderr + one_board.worker_log()
    match = closing_line(done)
    assert match[1] == "squeezenet"
    # A machine that has other work may find nothing faster; the slower one is never shipped.
    assert seconds(match[3]) <= seconds(match[2])

    x = np.random.default_rng(2).random((1, 3, 224, 224), dtype=np.float32)
    expected = run_onnx(model, x)
    assert expected.std() > 0
    np.testing.assert_allclose(answer_of(one_board.folder / "tuned", x), expected, rtol=1e-3, atol=1e-6)

    job = one_board.jobs()[0]
    assert (job.state, job.trials) == (JobState.DONE, 56)
    records = one_board.records(job_id=job.id)
    tuned = [record for record in records if record.engine == "ansor"]
    assert len(tuned) == 56
    assert len({record.trial_id for record in records}) == len(records)
    assert {record.engine for record in records} == {"ansor", "untuned"}
    for record in tuned:
        assert record.trace
        assert record.versions["tvm"]
        built = not meaning(record.measurement.outcome).unbuilt
        assert record.measurement.device_name == ("board" if built else "")
        timeline = record.measurement.timeline
        if record.measurement.outcome is Outcome.OK:
            assert record.measurement.run_secs
            before = [timeline.searched_s, timeline.proposed_s, timeline.building_s, timeline.compiled_s]
            there = [timeline.built_s, timeline.queued_s, timeline.sent_s, timeline.started_s]
            after = [timeline.finished_s, timeline.answered_s, timeline.stored_s]
            # Tuner, tracker and board share this machine's clock.
            assert [0, *before, *there, *after] == sorted([0, *before, *there, *after])
            assert timeline.searched_s < timeline.proposed_s < timeline.compiled_s < timeline.built_s
            assert timeline.started_s < timeline.finished_s

    shown = one_board.farm("jobs", "show", job.id, "--timeline", "--json")
    assert shown.returncode == 0, shown.stderr
    times = json.loads(shown.stdout)
    assert (times["trials"], times["baselines"]) == (56, len(records) - 56)
    assert sum(outcome["trials"] for outcome in times["outcomes"]) == 56
    assert {"search", "build", "link", "queue", "transfer", "device", "store"} <= {s["step"] for s in times["steps"]}
    # A board that is free takes a trial at once: it is queued for no time.
    walls = {step["step"]: step["wall_s"] for step in times["steps"]}
    assert all(wall_s > 0 or step == "queue" for step, wall_s in walls.items())
    assert all(0 <= wall_s < 1.001 * times["wall_s"] for wall_s in walls.values())
    on_board = sum(record.measurement.device_name == "board" for record in records)
    assert [(device["name"], device["trials"]) for device in times["devices"]] == [("board", on_board)]
    assert 0 < times["devices"][0]["executing_s"] < times["wall_s"]


def test_best_known_records_compile_without_a_trial(one_board):
    (one_board.folder / "small.onnx").write_bytes(small_network(seed=5))
    tuned = one_board.farm("tune", "small.onnx", "--pool", "x86_64", "--trials", "18", "-o", "small-tuned")
    assert tuned.returncode == 0, tuned.stdout + tuned.stderr
    before = len(one_board.records())
    done = one_board.farm("compile", "small.onnx", "--pool", "x86_64", "-o", "small-compiled")
    assert done.returncode == 0, done.stdout + done.stderr
    new = one_board.records()[before:]
    assert {record.engine for record in new} <= {"untuned"}, "compiling must not search"
    told = one_board.farm("records", "best", "small.onnx", "--pool", "x86_64")
    assert re.search(r"from the log of [1-9]\d* of \d+ tasks?", told.stdout), told.stdout + told.stderr
    x = np.random.default_rng(3).random((1, 3, 12, 12), dtype=np.float32)
    answer = answer_of(one_board.folder / "small-compiled", x)
    np.testing.assert_allclose(answer, run_onnx(small_network(seed=5), x), rtol=1e-3, atol=1e-4)

    bench = one_board.farm("bench", "small-compiled", "--pool", "x86_64", "--json")
    assert bench.returncode == 0, bench.stdout + bench.stderr
    assert json.loads(bench.stdout)


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        pytest.param(
            b"no model",
            [],
            "is damaged, or no model that the farm takes (ONNX, TFLite, PyTorch's exported .pt2)",
            id="broken file",
        ),
        pytest.param(small_network(1), ["--shape", "zz=1,2"], "no input named zz", id="shape of no input"),
    ],
)
def test_a_model_at_fault_is_one_sentence_and_exit_code_2(one_board, content, options, sentence):
    (one_board.folder / "bad.onnx").write_bytes(content)
    done = one_board.farm("tune", "bad.onnx", "--pool", "x86_64", "--trials", "4", "-o", "bad-tuned", *options)
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in done.stderr
    assert not (one_board.folder / "bad-tuned").exists()
    assert "bad" not in [job.spec.model_name for job in one_board.jobs()]


def test_a_target_of_ones_own(one_board):
    model = small_network(seed=21)
    (one_board.folder / "own.onnx").write_bytes(model)
    libraries = set()
    for number, options in enumerate(((), ("--target", '{"mcpu": "x86-64-v2", "num-cores": 1}'))):
        done = one_board.farm("tune", "own.onnx", "--pool", "x86_64", "--trials", "6", "-o", f"own-{number}", *options)
        assert done.returncode == 0, done.stdout + done.stderr + one_board.worker_log()
        libraries.add((one_board.folder / f"own-{number}" / "model.so").read_bytes())
    assert len(libraries) == 2
    manifest = json.loads((one_board.folder / "own-1" / "manifest.json").read_text())
    target = json.loads(manifest["target"])
    assert (target["mcpu"], target["num-cores"], target["mtriple"]) == ("x86-64-v2", 1, "x86_64-linux-gnu")
    job = one_board.jobs()[0]
    assert (job.target, {record.target for record in one_board.records(job_id=job.id)}) == (
        manifest["target"],
        {manifest["target"]},
    )
    x = np.random.default_rng(4).random((1, 3, 12, 12), dtype=np.float32)
    np.testing.assert_allclose(answer_of(one_board.folder / "own-1", x), run_onnx(model, x), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ('{"mcpu": "i86"}', "mcpu i86 is none that LLVM knows for x86_64-linux-gnu"),
        ('{"mattr": ["+flux"]}', "mattr +flux is none that LLVM knows"),
        ('{"frobnicate": 1}', "does not take the target"),
        ('{"mtriple": "aarch64-linux-gnu"}', "is for aarch64, and the boards are x86_64"),
        ("i86", "is not JSON"),
    ],
)
def test_a_target_that_means_nothing_is_bad_input(one_board, target, said):
    (one_board.folder / "own.onnx").write_bytes(small_network(seed=21))
    done = one_board.farm("compile", "own.onnx", "--pool", "x86_64", "--target", target)
    assert done.returncode == 2
    assert said in " ".join((done.stdout + done.stderr).split())


def test_a_cancelled_job_frees_the_board(one_board):
    (one_board.folder / "cancel.onnx").write_bytes(light_network("light_squeezenet", seed=4))
    done = one_board.farm("tune", "cancel.onnx", "--pool", "x86_64", "--budget", "10m", "--detach")
    assert done.returncode == 0, done.stderr
    job = one_board.jobs()[0]
    wait_until(lambda: one_board.job(job.id).trials > 0, "first trials", 120)
    assert one_board.farm("jobs", "cancel", job.id).returncode == 0
    assert one_board.job(job.id).state is JobState.CANCELLED
    wait_until(lambda: one_board.tracker.devices()[0].held == 0, "a free board", 20)
    trials = one_board.job(job.id).trials
    (one_board.folder / "next.onnx").write_bytes(small_network(seed=6))
    after = one_board.farm("tune", "next.onnx", "--pool", "x86_64", "--trials", "6", "-o", "next-tuned")
    assert after.returncode == 0, after.stdout + after.stderr
    assert one_board.job(job.id).trials == trials, "a cancelled job went on measuring"


@pytest.mark.slow
def test_a_board_without_tvms_runtime_tunes_kernels_and_says_what_it_could_not_do(tmp_path):
    farm = WholeFarm(tmp_path)
    try:
        farm.add_agent("bare", "--mode", "micro")
        farm.wait_for_devices(1)
        model = small_network(seed=9)
        (tmp_path / "small.onnx").write_bytes(model)
        done = farm.farm("tune", "small.onnx", "--pool", "x86_64", "--trials", "12", "-o", "tuned")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "estimated" in done.stdout.splitlines()[-1]
        assert "no device of this class has TVM's runtime" in " ".join(done.stdout.split())
        x = np.random.default_rng(4).random((1, 3, 12, 12), dtype=np.float32)
        answer = answer_of(tmp_path / "tuned", x)
        np.testing.assert_allclose(answer, run_onnx(model, x), rtol=1e-3, atol=1e-4)
    finally:
        farm.close()


@pytest.mark.slow
def test_three_boards_share_one_job_and_the_records_say_which(tmp_path):
    farm = WholeFarm(tmp_path, "left", "middle")
    try:
        (tmp_path / "small.onnx").write_bytes(small_network(seed=8, channels=16, size=28))
        running = farm.start_farm("tune", "small.onnx", "--pool", "x86_64", "--trials", "70", "-o", "tuned")
        wait_until(lambda: farm.jobs() and farm.jobs()[0].trials >= 10, "a running job", 120)
        farm.add_agent("right")  # joins while the job runs: nothing tells the job but the farm itself
        out, err = running.communicate(timeout=300)
        assert running.returncode == 0, out + err
        records = [r for r in farm.records() if r.measurement.device_name]
        assert {r.measurement.device_name for r in records} == {"left", "middle", "right"}
        assert len({r.measurement.device_class for r in records}) == 1
        assert farm.jobs()[0].trials == 70
        by_name = {device.name: device.id for device in farm.tracker.devices()}
        assert all(by_name[r.measurement.device_name] == r.measurement.device_id for r in records)
    finally:
        farm.close()
