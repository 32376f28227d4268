"""What operators run on, through a real tracker, worker and agent: integers that index or divide, inputs of one's own,
answers that are not finite; and packages run again on what they were judged on. numpy and ONNX Runtime are the judges.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tvm")

import tvm
import tvm_ffi

from tests.support.integer_operators import INTEGER_OPERATORS, line_of
from tests.support.networks import small_network
from tests.support.whole_farm import WholeFarm
from tvm_farm.tracker.domain import Outcome

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeFarm]:
    farm = WholeFarm(tmp_path_factory.mktemp("farm"), "board")
    (farm.folder / "op.py").write_text(INTEGER_OPERATORS)
    yield farm
    farm.close()


def tune(lab: WholeFarm, name: str, *options: str, out: str = "", code: int = 0) -> str:
    """What the command wrote, in one line."""
    done = lab.farm("tune", f"op.py:{name}", "--pool", "x86_64", "--trials", "2", "-o", out or name, *options)
    assert done.returncode == code, done.stdout + done.stderr + lab.worker_log()
    return " ".join((done.stdout + done.stderr).split())


def run(folder: Path, **inputs: np.ndarray) -> np.ndarray:
    """The answer of the one kernel in a package."""
    [kernel] = json.loads((folder / "manifest.json").read_text())["kernels"]
    # What a kernel leaves out would show.
    arrays = [inputs.get(a["name"], np.full(a["shape"], 77, a["dtype"])) for a in kernel["arguments"]]
    tensors = [tvm.runtime.tensor(array) for array in arrays]
    tvm_ffi.load_module(str(folder / kernel["library"]))[kernel["entry"]](*tensors)
    return tensors[-1].numpy()


def outcomes(lab: WholeFarm) -> set[Outcome]:
    """Of the last job's trials, the untuned one included."""
    return {record.measurement.outcome for record in lab.records(job_id=lab.jobs()[0].id)}


def test_indices_stay_within_their_table_and_the_package_keeps_them(lab: WholeFarm) -> None:
    said = tune(lab, "rows", "--with", "V=4")
    assert "ran on board with random inputs (which 0 to 3): outputs equal" in said
    with np.load(lab.folder / "rows" / "inputs.npz") as file:
        which = file["rows.which"]
    assert set(which.tolist()) == {0, 1, 2, 3}
    table = np.arange(64, dtype=np.float32).reshape(4, 16)
    np.testing.assert_array_equal(run(lab.folder / "rows", table=table, which=which), table[which])

    timed = lab.farm("bench", "rows", "--pool", "x86_64", "--repeat", "2", "--min-repeat-ms", "1", "--json")
    assert timed.returncode == 0, timed.stdout + timed.stderr
    (lab.folder / "rows" / "inputs.npz").unlink()
    manifest = json.loads((lab.folder / "rows" / "manifest.json").read_text())
    del manifest["digests"]["inputs.npz"]
    (lab.folder / "rows" / "manifest.json").write_text(json.dumps(manifest))
    refused = lab.farm("bench", "rows", "--pool", "x86_64")
    assert refused.returncode == 2
    assert "lacks the values of which" in refused.stderr


def test_sparse_rows_get_pointers_that_ascend(lab: WholeFarm) -> None:
    said = tune(lab, "sparse")
    assert "(places 0 to 31, pointers 0 to 64): outputs equal" in said
    with np.load(lab.folder / "sparse" / "inputs.npz") as file:
        pointers, places = file["sparse.pointers"], file["sparse.places"]
    random = np.random.default_rng(1)
    values, dense = random.random(64, np.float32), random.random((32, 8), np.float32)
    expected = np.zeros((16, 8), np.float32)
    for i in range(16):
        for r in range(pointers[i], pointers[i + 1]):
            expected[i] += values[r] * dense[places[r]]
    given = {"pointers": pointers, "places": places, "values": values, "dense": dense}
    np.testing.assert_allclose(run(lab.folder / "sparse", **given), expected, rtol=1e-4)


def test_every_run_of_a_job_is_on_the_inputs_given(lab: WholeFarm) -> None:
    """Of the values that boards fill a tenth each is 0 and 1, and the kernel ends by a signal."""
    said = tune(lab, "picky", code=1)
    assert "picky has no kernel to ship: the untuned kernel failed on board: crash" in said
    assert "what b of picky may be could not be derived: its values were 0 to 9: give real ones with --inputs." in said

    # Few enough to travel with each trial, and so many that they go ahead of them.
    for count in (64, 65536):
        random = np.random.default_rng(count)
        a = random.integers(-100, 100, count).astype("int32")
        b = random.integers(2, 9, count).astype("int32")
        np.savez(lab.folder / "mine.npz", a=a, b=b)
        out = f"picky-{count}"  # a library is loaded once by its path
        said = tune(lab, "picky", "--with", f"N={count}", "--inputs", "mine.npz", out=out)
        assert "ran on board with the inputs given: outputs equal" in said
        assert "could not be derived" not in said
        assert outcomes(lab) == {Outcome.OK}
        np.testing.assert_array_equal(run(lab.folder / out, a=a, b=b), np.floor_divide(a, b * (b - 1)))

    before = lab.jobs()[0].recalled
    tune(lab, "picky", "--with", "N=65536", "--inputs", "mine.npz")
    again = lab.jobs()[0].recalled
    np.savez(lab.folder / "mine.npz", a=a, b=b + 1)
    tune(lab, "picky", "--with", "N=65536", "--inputs", "mine.npz")
    assert (before, lab.jobs()[0].recalled) == (0, 0)
    assert again > 0, "the same again is answered from the log"


def test_a_function_in_the_file_makes_them_and_a_file_goes_before_it(lab: WholeFarm) -> None:
    said = tune(lab, "chosen", "--seed", "5")
    assert "ran on board with the inputs of chosen_inputs, seed 5: outputs equal" in said
    with np.load(lab.folder / "chosen" / "inputs.npz") as file:
        np.testing.assert_array_equal(file["chosen.which"], np.random.default_rng(5).integers(0, 100, 8))
    np.savez(lab.folder / "which.npz", which=np.full(8, 42))
    tune(lab, "chosen", "--inputs", "which.npz")
    with np.load(lab.folder / "chosen" / "inputs.npz") as file:
        np.testing.assert_array_equal(file["chosen.which"], np.full(8, 42, np.int32))


def test_inputs_at_fault_end_the_command_with_2_and_a_sentence(lab: WholeFarm) -> None:
    np.savez(lab.folder / "beyond.npz", which=np.full(8, 100))
    assert "which[0] is 100, and it indexes a dimension of 100." in tune(
        lab, "chosen", "--inputs", "beyond.npz", code=2
    )
    (lab.folder / "text.npz").write_text("no arrays")
    assert "The file of --inputs is no NPZ file" in tune(lab, "rows", "--inputs", "text.npz", code=2)
    line = line_of("return 1 // 0")
    assert f"op.py:{line}: ZeroDivisionError: integer division or modulo by zero." in tune(lab, "raises", code=2)


def test_answers_that_are_not_finite_make_no_kernel_wrong(lab: WholeFarm) -> None:
    for count in (256, 65536):
        said = tune(lab, "no_number", "--with", f"N={count}")
        assert "no value of the answers is finite, so nothing was compared" in said
        assert "), nothing compared: no value of the answers is finite" in said
        assert outcomes(lab) == {Outcome.OK}


def test_a_kernel_that_answers_differently_each_time_is_told_from_a_wrong_one(lab: WholeFarm) -> None:
    said = tune(lab, "restless")
    assert (
        "restless could not be compared with its untuned kernel: the untuned kernel itself answers differently each "
        "time on the same input" in said
    )
    assert said.count("outputs not compared") == 1
    assert Outcome.WRONG_RESULT not in outcomes(lab)


def test_a_package_is_run_again_on_what_it_was_judged_on(lab: WholeFarm) -> None:
    (lab.folder / "small.onnx").write_bytes(small_network(seed=3))
    compiled = lab.farm("compile", "small.onnx", "--pool", "x86_64", "-o", "small")
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr + lab.worker_log()
    folder = lab.folder / "small"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["judged"]["by"].startswith("ONNX Runtime ")
    assert (manifest["judged"]["inputs"], manifest["judged"]["rtol"] > 0) == ("random inputs, seed 0", True)
    assert 0 <= manifest["judged"]["max_abs_diff"] < 1e-4

    options = ["--pool", "x86_64", "--repeat", "2", "--min-repeat-ms", "1"]
    equal = lab.farm("bench", "small", *options)
    assert equal.returncode == 0, equal.stdout + equal.stderr
    assert "equal to those of ONNX Runtime" in equal.stdout

    with np.load(folder / "answers.npz") as file:
        answers = dict(file)
    name = next(iter(answers))
    answers[name] = answers[name].copy()
    answers[name].flat[-1] += 1
    np.savez(folder / "answers.npz", **answers)
    manifest["digests"]["answers.npz"] = hashlib.sha256((folder / "answers.npz").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    told = lab.farm("bench", "small", *options, "--json")
    assert told.returncode == 1, told.stdout + told.stderr
    verdict = json.loads(told.stdout)
    assert (verdict["outputs_equal"], round(verdict["max_abs_diff"], 3)) == (False, 1)
    random = lab.farm("bench", "small", *options, "--seed", "0", "--json")
    assert random.returncode == 0, random.stdout + random.stderr
    assert "outputs_equal" not in json.loads(random.stdout)
