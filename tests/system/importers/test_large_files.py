"""Models beyond protobuf's 2 GiB: weights beside the file come in, what cannot is refused in a true sentence."""

import os

import numpy as np
import onnx
import onnx.inliner
import pytest
from onnx import helper, numpy_helper, parser

pytest.importorskip("tvm")

from tests.support.whole_farm import WholeFarm
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.judging.reference import check_import, reference_of
from tvm_farm.tracker.tuning.models.importers import load_model
from tvm_farm.tracker.tuning.models.importers.onnx import cut
from tvm_farm.tracker.tuning.packages.untuned import answers_on_host

pytestmark = pytest.mark.system

GIB = 1 << 30


def test_a_file_of_2_gib_is_refused_without_being_read(tmp_path):
    with (tmp_path / "model.onnx").open("wb") as file:
        file.truncate(2 * GIB)  # a hole: it takes no room
    with pytest.raises(InputError, match=r"^big has 2 GiB or more in one file.*as external data\.$"):
        load_model(tmp_path / "model.onnx", {}, "big")


def test_functions_are_inlined_before_weights_are_read(tmp_path, monkeypatch):
    model = parser.parse_model("""
        <ir_version: 8, opset_import: ["": 17, "local": 1]>
        doubled (float[2,4] x) => (float[2,3] y) { h = MatMul (x, w)  y = local.Double (h) }
        <domain: "local", opset_import: ["": 17]> Double (a) => (b) { b = Add (a, a) }
    """)
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    inlined = onnx.inliner.inline_local_functions

    def inline(model):
        assert not any(tensor.raw_data for tensor in model.graph.initializer)
        return inlined(model)

    monkeypatch.setattr(onnx.inliner, "inline_local_functions", inline)
    found = load_model(tmp_path / "model.onnx", {}, "model")
    x = np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32)
    reference = reference_of(found, [x], "given")
    np.testing.assert_allclose(reference.expected[0], 2 * (x @ weights), rtol=1e-5)
    assert check_import(found, reference, answers_on_host, "model").equal


def test_weights_that_are_missing_or_torn_are_told(tmp_path):
    tensor = numpy_helper.from_array(np.zeros((4, 3), np.float32), "w")
    onnx.external_data_helper.set_external_data(tensor, "w.bin", offset=0, length=48)
    tensor.ClearField("raw_data")
    value = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4, 3])
    graph = helper.make_graph([helper.make_node("Neg", ["w"], ["y"])], "g", [], [value], [tensor])
    (tmp_path / "model.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(InputError, match=r"^model: its external data cannot be read: .*w\.bin"):
        load_model(tmp_path / "model.onnx", {}, "model")


def test_an_end_with_more_weights_than_a_file_holds_is_not_cut_off(tmp_path, monkeypatch):
    model = parser.parse_model("""
        <ir_version: 8, opset_import: ["": 17]>
        found (float[8] x) => (float[n,3] y)
        { r = Relu (x)  at = NonZero (r)  flat = Squeeze (at)  y = Gather (w, flat) }
    """)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((8, 3), np.float32), "w"))
    onnx.save(model, tmp_path / "model.onnx")
    assert load_model(tmp_path / "model.onnx", {}, "model").tail
    monkeypatch.setattr(cut, "_MOST_WEIGHT_BYTES", 95)
    with pytest.raises(InputError, match=r"NonZero.* on, shapes depend .* holds 0 MiB of weights\. A model can be cut"):
        load_model(tmp_path / "model.onnx", {}, "model")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_weights_of_more_than_2_gib_are_tuned(tmp_path):
    """Two tables whose rows are zeros but the last ones: holes on the disk, 2 GiB everywhere else."""
    rows, width, taken = 4_300_000, 64, 32
    last = {name: np.random.default_rng(seed).random((taken, width), np.float32) for seed, name in enumerate("ab")}
    tables = []
    for name, values in last.items():
        with (tmp_path / f"{name}.bin").open("wb") as file:
            file.seek((rows - taken) * width * 4)
            file.write(values.tobytes())
        table = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[rows, width])
        table.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", f"{name}.bin"), ("offset", "0"), ("length", str(rows * width * 4))):
            table.external_data.add(key=key, value=value)
        tables.append(table)
    assert sum(os.path.getsize(tmp_path / f"{name}.bin") for name in last) > 2 * GIB
    model = parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": 17]>
        tables (int64[{taken}] at) => (float[{taken},{taken}] y)
        {{ p = Gather (a, at)  q = Gather (b, at)  t = Transpose <perm = [1, 0]> (q)  y = MatMul (p, t) }}
    """)
    model.graph.initializer.extend(tables)
    (tmp_path / "tables.onnx").write_bytes(model.SerializeToString())
    at = np.random.default_rng(2).permutation(np.arange(rows - taken, rows))
    np.savez(tmp_path / "in.npz", at=at)
    farm = WholeFarm(tmp_path, workers=1)
    try:
        farm.add_agent("board", "--cache-mb", "8000")
        farm.wait_for_devices(1)
        options = ("--pool", "x86_64", "--trials", "4", "--inputs", "in.npz", "-o", "package")
        told = farm.farm("tune", "tables.onnx", *options, timeout_s=1100)
        assert told.returncode == 0, told.stdout + told.stderr + farm.worker_log()
    finally:
        farm.close()
    rows_of = {name: values[at - (rows - taken)] for name, values in last.items()}
    with np.load(tmp_path / "package" / "answers.npz") as answers:
        np.testing.assert_allclose(answers["y"], rows_of["a"] @ rows_of["b"].T, rtol=1e-4)
