"""One package for several shapes: the smallest that fits answers, padded where the model allows it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("tvm")

from tests.support.whole_farm import WholeFarm
from tvm_farm.tracker.tuning.judging.inputs import random_inputs
from tvm_farm.tracker.tuning.models.importers import TensorInfo

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


WIDTH = 64


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    farm = WholeFarm(tmp_path_factory.mktemp("farm"), "board")
    yield farm
    farm.close()


def dense(path: Path) -> None:
    """Two products over an open batch: rows do not know of each other."""
    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(random.standard_normal((WIDTH, WIDTH)).astype(np.float32), name) for name in "ab"
    ]
    nodes = [helper.make_node("MatMul", ["x", "a"], ["h"]), helper.make_node("Relu", ["h"], ["r"])]
    nodes.append(helper.make_node("MatMul", ["r", "b"], ["y/answer"]))
    save(path, nodes, weights, ["n", WIDTH], ["n", WIDTH], "y/answer")


def convolution(path: Path) -> None:
    """A bias, then a second filter: zeros behind the input are no zeros behind the first."""
    random = np.random.default_rng(1)
    weights = [
        numpy_helper.from_array(random.standard_normal((4, 4, 1, 3)).astype(np.float32), "a"),
        numpy_helper.from_array(random.standard_normal((4,)).astype(np.float32), "b"),
        numpy_helper.from_array(random.standard_normal((4, 4, 1, 3)).astype(np.float32), "c"),
    ]
    pads = {"pads": [0, 1, 0, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "a", "b"], ["h"], **pads),
        helper.make_node("Conv", ["h", "c"], ["y"], **pads),
    ]
    save(path, nodes, weights, [1, 4, 1, "w"], [1, 4, 1, "w"], "y")


def save(path, nodes, weights, inputs, outputs, output) -> None:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, outputs)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def answer(package: Path, x: np.ndarray) -> subprocess.CompletedProcess[str]:
    np.savez(package.parent / "in.npz", x=x)
    command = [sys.executable, "-I", str(package / "run.py"), str(package.parent / "in.npz")]
    return subprocess.run([*command, str(package.parent / "out.npz")], capture_output=True, text=True, timeout=60)


def test_a_batch_between_two_shapes_is_padded_and_its_answers_cropped(farm):
    dense(farm.folder / "dense.onnx")
    done = farm.farm("tune", "dense.onnx", "--pool", "x86_64", "--shape", "n={1,4,8}", "--trials", "9", "-o", "dense")
    assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
    words = [line.split() for line in done.stdout.splitlines() if line.startswith("x=")]
    assert [(line[0], " ".join(line[7:10])) for line in words] == [
        ("x=1,64", "alone"), ("x=4,64", "x=2,64 on, padded"), ("x=8,64", "x=5,64 on, padded")
    ]  # fmt: skip
    assert "equal to ONNX Runtime" in done.stdout.splitlines()[-1]
    package = farm.folder / "dense"
    manifest = json.loads((package / "manifest.json").read_text())
    assert [variant["inputs"][0]["shape"] for variant in manifest["variants"]] == [[1, WIDTH], [4, WIDTH], [8, WIDTH]]
    names = [set(variant["param_names"]) for variant in manifest["variants"]]
    assert len(set.union(*names)) < sum(map(len, names)), "weights that are equal are kept once"
    session = onnxruntime.InferenceSession(farm.folder / "dense.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 3, 4, 5, 8):
        x = np.random.default_rng(batch).random((batch, WIDTH), dtype=np.float32)
        ran = answer(package, x)
        assert ran.returncode == 0, ran.stderr
        with np.load(farm.folder / "out.npz") as found:
            np.testing.assert_allclose(found["y/answer"], session.run(None, {"x": x})[0], rtol=1e-4, atol=1e-4)
    for bucket, batch in zip(farm.jobs()[0].result.buckets[1:], (2, 5), strict=True):
        [x] = random_inputs([TensorInfo("x", (batch, WIDTH), "float32")], 0, {})
        assert answer(package, x).returncode == 0
        with np.load(farm.folder / "out.npz") as found:
            apart = np.abs(found["y/answer"] - session.run(None, {"x": x})[0]).max()
        assert bucket.padded_from == f"x={batch},{WIDTH}"
        assert bucket.padded_max_abs_diff == pytest.approx(apart, abs=1e-5)
        assert bucket.padded_max_abs_diff < 1e-3
    refused = answer(package, np.zeros((9, WIDTH), np.float32))
    assert refused.returncode == 1
    assert refused.stderr.startswith("run.py: inputs have shapes [[9, 64]]; the model takes up to [[1, 64]] or")


def test_where_padding_would_change_the_answers_only_the_shapes_themselves_are_taken(farm):
    convolution(farm.folder / "wide.onnx")
    shape = ("--shape", "x=1,4,1,{8,16}")
    done = farm.farm("tune", "wide.onnx", "--pool", "x86_64", *shape, "--trials", "4", "-o", "wide")
    assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
    assert done.stdout.count("these alone") == 2
    package = farm.folder / "wide"
    session = onnxruntime.InferenceSession(farm.folder / "wide.onnx", providers=["CPUExecutionProvider"])
    for width in (8, 16):
        x = np.random.default_rng(width).random((1, 4, 1, width), dtype=np.float32)
        ran = answer(package, x)
        assert ran.returncode == 0, ran.stderr
        with np.load(farm.folder / "out.npz") as found:
            np.testing.assert_allclose(found["y"], session.run(None, {"x": x})[0], rtol=1e-4, atol=1e-4)
    refused = answer(package, np.zeros((1, 4, 1, 9), np.float32))
    assert refused.returncode == 1
    assert "the model takes [[1, 4, 1, 8]] or [[1, 4, 1, 16]]" in refused.stderr
