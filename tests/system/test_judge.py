"""An import that is wrong is found by the judge before a board is asked for, and its node is named."""

import json
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("tvm")

from tests.support.whole_farm import WholeFarm
from tvm_farm.protos.farm.v1 import job_pb2
from tvm_farm.tracker.domain import JobState

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

#: Python runs it at the start of each process that finds it: from then on ``HardSwish`` is imported as ``Relu``.
_PLANTED = """
import importlib.abc, importlib.util, sys

class _Alters(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "tvm_farm.tracker.tuning.models.importers.onnx.load":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            from tvm import relax
            from tvm_farm.tracker.tuning.models.importers.onnx.node import CONVERTERS
            CONVERTERS["", "HardSwish"] = lambda node: node.emit(relax.op.nn.relu(node.tensor(0)))
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, _Alters())
"""


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("farm")
    (folder / "planted").mkdir()
    (folder / "planted" / "sitecustomize.py").write_text(_PLANTED)
    farm = WholeFarm(folder, "board", before=str(folder / "planted"))
    yield farm
    farm.close()


def model(*operators: str) -> bytes:
    """A product, then ``operators`` one after another."""
    weights = numpy_helper.from_array(np.random.default_rng(0).standard_normal((16, 16)).astype(np.float32), "w")
    names = ["h", *(f"inner/{number}" for number in range(1, len(operators))), "y"]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], name="/first/MatMul")]
    nodes += [
        helper.make_node(operator, [names[at]], [names[at + 1]], name=f"/part {at}/{operator}")
        for at, operator in enumerate(operators)
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 16])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 16]) for name in ("h", "y")],
        [weights],
    )
    opset = [helper.make_opsetid("", 14)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_a_wrong_import_is_not_tuned_and_its_node_is_named(farm):
    (farm.folder / "planted.onnx").write_bytes(model("Tanh", "HardSwish", "Sigmoid"))
    done = farm.farm("tune", "planted.onnx", "--pool", "x86_64", "--trials", "4", "-o", "planted-tuned")
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "planted is not tuned: TVM's import of it answers differently than ONNX Runtime" in said
    assert "The first value that differs is that of a HardSwish node: inner/2[" in said
    assert "Traceback" not in done.stdout + done.stderr
    [job] = farm.jobs(job_pb2.JOB_STATE_REFUSED)
    assert (job.state, job.input_error) == (JobState.REFUSED, True)
    assert farm.records(job_id=job.id) == [], "no board was asked for"
    assert not (farm.folder / "planted-tuned").exists()


def test_a_check_tells_of_a_wrong_import(farm):
    (farm.folder / "planted.onnx").write_bytes(model("Tanh", "HardSwish", "Sigmoid"))
    told = farm.farm("check", "planted.onnx")
    assert told.returncode == 2, told.stdout + told.stderr
    said = " ".join(told.stdout.split())
    assert "In the way: planted is not tuned: TVM's import of it answers differently than ONNX Runtime" in said
    assert "that of a HardSwish node" in said


def test_a_right_import_beside_it_ends_with_a_package_that_was_proven_as_people_use_it(farm):
    source = model("Tanh", "Sigmoid")
    (farm.folder / "right.onnx").write_bytes(source)
    x = np.random.default_rng(5).standard_normal((4, 16)).astype(np.float32)
    np.savez(farm.folder / "mine.npz", x=x)
    given = ("--inputs", "mine.npz", "--trials", "4", "-o", "right-tuned")
    done = farm.farm("tune", "right.onnx", "--pool", "x86_64", *given)
    assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
    told = " ".join(done.stdout.split())
    assert "with the inputs given: every output equal to what ONNX Runtime" in told
    result = farm.jobs()[0].result
    assert (result.judge, result.inputs_from, result.proven) == (
        f"ONNX Runtime {onnxruntime.__version__}",
        "the inputs given",
        True,
    )
    package = farm.folder / "right-tuned"
    with np.load(package / "inputs.npz") as kept, np.load(package / "answers.npz") as answers:
        np.testing.assert_array_equal(kept["x"], x)
        session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
        for name, expected in zip(("h", "y"), session.run(["h", "y"], {"x": x}), strict=True):
            np.testing.assert_allclose(answers[name], expected, rtol=1e-5, atol=1e-6)
    checked = [sys.executable, "-I", str(package / "run.py"), "--check"]
    assert subprocess.run(checked, capture_output=True, timeout=60).returncode == 0
    manifest = json.loads((package / "manifest.json").read_text())
    assert [output["name"] for output in manifest["outputs"]] == ["h", "y"]
    (package / "params.bin").write_bytes(b"torn")
    torn = subprocess.run(checked, capture_output=True, text=True, timeout=60)
    assert torn.returncode == 1
    assert torn.stderr.startswith("run.py: ")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"z": np.zeros((4, 16), np.float32)}, "has no array 'x'; it has z"),
        ({"x": np.zeros((4, 8), np.float32)}, "x has shape (4, 8); the model takes (4, 16)"),
        (None, "is no NPZ file that numpy reads"),
    ],
)
def test_inputs_that_do_not_fit_are_told_in_a_sentence(farm, arrays, sentence):
    (farm.folder / "right.onnx").write_bytes(model("Tanh"))
    path = farm.folder / "bad.npz"
    if arrays is None:
        path.write_bytes(b"PK\3\4 but no archive")
    else:
        np.savez(path, **arrays)
    done = farm.farm("tune", "right.onnx", "--pool", "x86_64", "--inputs", "bad.npz", "--trials", "1", "-o", "bad")
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in " ".join(done.stderr.split())
