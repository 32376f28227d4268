"""``farm tune op.py:name``: a person's own operator through a real tracker, worker and agents; numpy is the judge."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tvm")

import tvm
import tvm_ffi
from tvm.s_tir import Schedule

from tests.support.latencies import LATENCY, seconds
from tests.support.operators import OPERATORS, line_of
from tests.support.put_on_record import put_on_record
from tests.support.template_example import example
from tests.support.whole_farm import WholeFarm
from tvm_farm import Farm
from tvm_farm.tracker.domain import JobState, Outcome
from tvm_farm.tracker.tuning.engines.space import apply_trace, trace_json
from tvm_farm.tracker.tuning.models.operator import load_operator

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    farm = WholeFarm(tmp_path_factory.mktemp("farm"), "board")
    (farm.folder / "op.py").write_text(OPERATORS)
    yield farm
    farm.close()


def closing_line(done: subprocess.CompletedProcess[str]) -> re.Match[str]:
    line = done.stdout.strip().splitlines()[-1]
    match = re.fullmatch(rf"(\w+): ({LATENCY}) -> ({LATENCY}) \(([\d.]+)x\), outputs equal \(max \|diff\| \S+\)", line)
    assert match, f"the last line is {line!r}"
    return match


def call(folder: Path, kernel: dict, *inputs: np.ndarray) -> np.ndarray:
    """The kernel's answer, called as the manifest tells."""
    given = iter(inputs)
    tensors = []
    for argument in kernel["arguments"]:
        empty = np.full(argument["shape"], 7, argument["dtype"])
        value = empty if argument["output"] else next(given)
        assert (list(value.shape), value.dtype.name) == (argument["shape"], argument["dtype"])
        tensors.append(tvm.runtime.tensor(value))
    tvm_ffi.load_module(str(folder / kernel["library"]))[kernel["entry"]](*tensors)
    [output] = [t.numpy() for t, a in zip(tensors, kernel["arguments"], strict=True) if a["output"]]
    return output


def run_alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The package's own program in a clean process: neither this folder nor PYTHONPATH is seen."""
    command = [sys.executable, "-I", str(folder / "run.py"), *arguments]
    return subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, timeout=100, check=False)


#: Arrays of numpy's that begin where no kernel may be called with, and what is found among the modules.
ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from run import Kernel
data = np.zeros(32 * 32 + 1, np.float32)
x = data[1:].reshape(32, 32)
x[:] = np.arange(32 * 32).reshape(32, 32)
[out] = Kernel("double")(x)
assert np.array_equal(out, 2 * x)
double = Kernel("double")
for wrong in (Kernel, lambda: Kernel("none"), lambda: double(x.T[:5]), lambda: double(y=x), double):
    try:
        wrong()
    except ValueError as error:
        print(error)
assert "tvm" not in sys.modules and "tvm_farm" not in sys.modules
"""


def manifest_of(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_a_matmul_with_bias_answers_as_numpy(lab):
    done = lab.farm("tune", "op.py:matmul_bias", "--pool", "x86_64", "--trials", "12", "--with", "N=128", "-o", "tuned")
    assert done.returncode == 0, done.stdout + done.stderr + lab.worker_log()
    match = closing_line(done)
    assert match[1] == "matmul_bias"
    assert seconds(match[3]) <= seconds(match[2])

    manifest = manifest_of(lab.folder / "tuned")
    assert (manifest["model"], manifest["operator"]) == ("matmul_bias", "op.py:matmul_bias")
    assert manifest["parameters"] == {"N": "128"}
    [kernel] = manifest["kernels"]
    assert [(a["name"], a["shape"], a["output"]) for a in kernel["arguments"]] == [
        ("a", [128, 96], False),
        ("b", [96, 96], False),
        ("bias", [96], False),
        ("out", [128, 96], True),
    ]
    assert kernel["latency"]["outputs_equal"]
    random = np.random.default_rng(3)
    a, b, bias = (random.random(shape, dtype=np.float32) for shape in ((128, 96), (96, 96), (96,)))
    np.testing.assert_allclose(call(lab.folder / "tuned", kernel, a, b, bias), a @ b + bias, rtol=1e-4)

    # Its schedule, from the program that a person wrote to the one that was compiled.
    written = load_operator(lab.folder / "op.py", "matmul_bias", {"N": "128"}).kernels[0].module
    trace = (lab.folder / "tuned" / kernel["trace"]).read_text()
    scheduled = tvm.ir.load_json((lab.folder / "tuned" / kernel["module"]).read_text())
    tvm.ir.assert_structural_equal(apply_trace(written, trace).mod, scheduled)

    job = lab.jobs()[0]
    assert (job.state, job.trials, len(job.result.tasks)) == (JobState.DONE, 12, 1)
    assert job.result.device_name == "board"

    told = lab.farm("records", "best", "op.py:matmul_bias", "--pool", "x86_64", "--with", "N=128")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "from the log of 1 of 1 task" in told.stdout.splitlines()[-1]

    before = len(lab.records())
    known = lab.farm("compile", "op.py:matmul_bias", "--pool", "x86_64", "--with", "N=128", "-o", "known")
    assert known.returncode == 0, known.stdout + known.stderr
    assert {record.engine for record in lab.records()[before:]} <= {"untuned"}, "compiling must not search"
    assert not lab.jobs()[0].result.tasks[0].kept_untuned, "nothing was taken from the log"
    [kernel] = manifest_of(lab.folder / "known")["kernels"]
    np.testing.assert_allclose(call(lab.folder / "known", kernel, a, b, bias), a @ b + bias, rtol=1e-4)


def test_a_tvmscript_function(lab):
    """Tuned by a script, and run by the package's own program."""
    with Farm(lab.tracker.address) as farm:
        job = farm.tune(lab.folder / "op.py:scaled", pool="x86_64", trials=4)
        snapshots = [snapshot.trials for snapshot in job.progress()]
        result = job.wait()
        folder = job.package.download(lab.folder / "scaled-tuned")
    assert 1 <= snapshots[-1] <= 4
    assert snapshots == sorted(snapshots)
    assert result.outputs_equal
    assert 0 < result.latency.tuned_s <= result.latency.untuned_s
    x = np.random.default_rng(4).random((64, 64), dtype=np.float32)
    np.savez(lab.folder / "in.npz", a=x)
    done = run_alone(folder, "in.npz", "out.npz")
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(lab.folder / "out.npz") as answers:
        np.testing.assert_allclose(answers["scaled.out"], 3 * x, rtol=1e-6)


def test_each_function_of_a_module_is_a_task(lab):
    done = lab.farm("tune", "op.py:Both", "--pool", "x86_64", "--trials", "8", "-o", "both")
    assert done.returncode == 0, done.stdout + done.stderr + lab.worker_log()
    closing_line(done)
    assert "plain has no blocks and was left out" in " ".join(done.stdout.split())
    kernels = {kernel["name"]: kernel for kernel in manifest_of(lab.folder / "both")["kernels"]}
    random = np.random.default_rng(5)
    x, y = random.random((32, 32), dtype=np.float32), random.random((32, 48), dtype=np.float32)
    np.testing.assert_allclose(call(lab.folder / "both", kernels["double"], x), 2 * x, rtol=1e-6)
    np.testing.assert_allclose(call(lab.folder / "both", kernels["columns"], y), y.sum(axis=0), rtol=1e-4)
    assert {record.workload_name for record in lab.records(job_id=lab.jobs()[0].id)} == {"double", "columns"}

    # By its own program, without TVM's Python.
    np.savez(lab.folder / "in.npz", **{"double.a": x, "columns.a": y})
    done = run_alone(lab.folder / "both", "in.npz", "out.npz")
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(lab.folder / "out.npz") as answers:
        np.testing.assert_allclose(answers["double.out"], 2 * x, rtol=1e-6)
        np.testing.assert_allclose(answers["columns.out"], y.sum(axis=0), rtol=1e-4)
    checked = run_alone(lab.folder / "both", "--check")
    assert checked.stdout == "Both: all files are as they were packaged, the kernels load\n"
    np.savez(lab.folder / "in.npz", **{"double.a": x})
    done = run_alone(lab.folder / "both", "in.npz", "out.npz")
    assert done.stderr == "run.py: columns has no value for a\n"
    command = [sys.executable, "-I", "-c", ALONE, str(lab.folder / "both")]
    alone = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout.splitlines() == [
        "there is no kernel '': the package has columns, double",
        "there is no kernel 'none': the package has columns, double",
        "a has the shape [5, 32]; the kernel takes [32, 32]",
        "double takes a",
        "double has no value for a",
    ]


def test_a_file_at_fault_is_one_sentence_with_its_line_and_exit_code_2(lab):
    done = lab.farm("tune", "op.py:fails", "--pool", "x86_64", "--trials", "4", "-o", "none")
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"op.py:{line_of('return 1 // 0')}: ZeroDivisionError: integer division or modulo by zero." in done.stderr
    assert not (lab.folder / "none").exists()


def test_templates_of_ones_own_span_the_space(lab):
    (lab.folder / "mine.py").write_text(example("mine.py"))
    (lab.folder / "others.py").write_text(example("mine.py").replace("m k, k n -> m n", "b m k, b k n -> b m n"))
    options = ["--pool", "x86_64", "--trials", "4", "--tuner", "autotvm-random"]
    done = lab.farm("tune", "op.py:matmul_bias", *options, "--template", "mine.py", "-o", "mine")
    assert done.returncode == 0, done.stdout + done.stderr + lab.worker_log()
    closing_line(done)
    job = lab.job(lab.jobs()[0].id)
    assert [file.name for file in job.spec.templates] == ["mine.py"]
    assert json.loads(job.tasks[0].space)["template"] == "my_matmul"
    assert {record.engine for record in lab.records(job_id=job.id)} == {"autotvm-random", "untuned"}
    [kernel] = manifest_of(lab.folder / "mine")["kernels"]
    random = np.random.default_rng(8)
    a, b, bias = (random.random(shape, dtype=np.float32) for shape in ((96, 96), (96, 96), (96,)))
    np.testing.assert_allclose(call(lab.folder / "mine", kernel, a, b, bias), a @ b + bias, rtol=1e-4)

    useless = lab.farm("tune", "op.py:matmul_bias", *options, "--template", "others.py", "-o", "others")
    assert useless.returncode == 2, useless.stdout + useless.stderr
    assert "others.py: none of its templates matches an operator of this job: my_matmul." in useless.stderr


def test_a_wrong_kernel_is_caught_and_not_shipped(lab):
    [kernel] = load_operator(lab.folder / "op.py", "matmul_bias", {"N": "64"}).kernels
    # Sums of whole numbers: several times faster than untuned, and not what was asked for.
    schedule = Schedule(kernel.module)
    sums = schedule.get_sblock("c")
    schedule.unsafe_set_dtype(sums, 0, "int32")
    i, j, k = schedule.get_loops(sums)
    j_outer, j_inner = schedule.split(j, [None, 16])
    schedule.reorder(i, j_outer, k, j_inner)
    schedule.vectorize(j_inner)
    schedule.decompose_reduction(sums, k)
    [device] = lab.tracker.devices()
    trace = trace_json(schedule.trace)
    put_on_record(lab.tracker.address, device.target, kernel.module, "wrong sums", trace)
    done = lab.farm("compile", "op.py:matmul_bias", "--pool", "x86_64", "--with", "N=64", "-o", "wrong")
    assert "answers differently" in " ".join(done.stdout.split()), done.stdout + done.stderr
    assert done.returncode == 1
    assert "outputs DIFFER" in done.stdout.splitlines()[-1]
    [record] = [record for record in lab.records() if record.trial_id == "wrong sums"]
    assert (record.measurement.outcome, record.measurement.run_secs) == (Outcome.WRONG_RESULT, ())
    [packaged] = manifest_of(lab.folder / "wrong")["kernels"]
    assert "trace" not in packaged
    random = np.random.default_rng(7)
    a, b, bias = (random.random(shape, dtype=np.float32) for shape in ((64, 96), (96, 96), (96,)))
    np.testing.assert_allclose(call(lab.folder / "wrong", packaged, a, b, bias), a @ b + bias, rtol=1e-4)


def test_a_package_is_timed_again(lab):
    compiled = lab.farm("compile", "op.py:Both", "--pool", "x86_64", "-o", "timed")
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr
    done = lab.farm("bench", "timed", "--pool", "x86_64", "--repeat", "3", "--min-repeat-ms", "1", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["model"] == "Both"
    assert [kernel["model"] for kernel in told["kernels"]] == ["columns", "double"]
    for kernel in told["kernels"]:
        assert (kernel["device"], len(kernel["run_secs"])) == ("board", 3)
        assert 0 < kernel["min_s"] < 1


@pytest.mark.slow
def test_each_class_of_device_gets_a_package_of_its_own(tmp_path):
    (tmp_path / "op.py").write_text(OPERATORS)
    farm = WholeFarm(tmp_path, "full")
    try:
        farm.add_agent("bare", "--mode", "micro", "--threads", "1")
        farm.wait_for_devices(2)
        done = farm.farm(
            "tune", "op.py:matmul_bias", "--pool", "x86_64", "--trials", "16", "--with", "K=32", "-o", "out"
        )
        assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
        for line in done.stdout.strip().splitlines()[-2:]:
            assert re.fullmatch(rf"matmul_bias on \S+: {LATENCY} -> {LATENCY} \([\d.]+x\), outputs equal \(.*\)", line)
        random = np.random.default_rng(6)
        a, b, bias = (random.random(shape, dtype=np.float32) for shape in ((96, 32), (32, 96), (96,)))
        listed = json.loads((tmp_path / "out" / "classes.json").read_text())
        assert [job.device_class for job in reversed(farm.jobs())] == [
            each["device_class"] for each in listed["classes"]
        ]
        for entry in listed["classes"]:
            device = "bare" if "micro-1t" in entry["device_class"] else "full"
            folder = tmp_path / "out" / entry["folder"]
            [kernel] = manifest_of(folder)["kernels"]
            assert kernel["latency"]["device"] == device
            np.testing.assert_allclose(call(folder, kernel, a, b, bias), a @ b + bias, rtol=1e-4)
        second = farm.jobs()[0]
        assert (second.result.taught_tasks, len(second.result.taught_by)) == (1, 1)
    finally:
        farm.close()


def test_a_synthetic_device_compares_nothing_and_says_so(tmp_path):
    (tmp_path / "op.py").write_text(OPERATORS)
    farm = WholeFarm(tmp_path)
    try:
        farm.add_agent("model", "--runner", "synthetic")
        farm.wait_for_devices(1)
        done = farm.farm("tune", "op.py:scaled", "--pool", "synthetic", "--trials", "4", "-o", "out")
        assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
        assert done.stdout.strip().splitlines()[-1].endswith("outputs not compared")
        assert "no device of this class runs kernels, so nothing was compared" in " ".join(done.stdout.split())
        assert (tmp_path / "out" / "scaled.so").exists()
    finally:
        farm.close()
