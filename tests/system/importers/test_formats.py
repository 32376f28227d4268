"""Which importer takes a file: what is in it decides, not its name. What none takes is told in one sentence."""

from __future__ import annotations

import gc
import gzip
import io
import pickle
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from onnx import TensorProto, helper

pytest.importorskip("tvm")
pytest.importorskip("ai_edge_litert")

import ai_edge_litert.schema_py_generated as schema

from tests.support.networks import dense_network
from tests.support.tflite_models import TfliteModel
from tvm_farm.tracker.client.asking.external_data import external_files
from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers import load_model, survey_model

pytestmark = pytest.mark.system

TAKEN = "(ONNX, TFLite, PyTorch's exported .pt2)"


def negation() -> bytes:
    made = TfliteModel()
    return made.build(made.add("NEG", [made.input("x", (2, 3))]))


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("file", "content", "judge"),
    [
        ("model.tflite", dense_network(1), "ONNX Runtime"),
        ("model.pt2", dense_network(1), "ONNX Runtime"),
        ("model", dense_network(1), "ONNX Runtime"),
        ("model.onnx", negation(), "LiteRT"),
        ("model.zip", negation(), "LiteRT"),
    ],
)
def test_what_is_in_a_file_decides_not_its_name(file, content, judge, tmp_path):
    path = tmp_path / file
    path.write_bytes(content)
    assert load_model(path, {}, file).judge.name.startswith(judge)
    assert external_files(path) == ()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"hello", f"is damaged, or no model that the farm takes {TAKEN}: "),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), f"is damaged, or no model that the farm takes {TAKEN}: "),
        (pickle.dumps({"weight": np.zeros(3)}), f"is damaged, or no model that the farm takes {TAKEN}: "),
        (gzip.compress(dense_network(1)), f"is damaged, or no model that the farm takes {TAKEN}: "),
        (dense_network(1)[:-30], f"is damaged, or no model that the farm takes {TAKEN}: "),
        (b"", f"is no model that the farm takes {TAKEN}: as ONNX it holds no operators."),
        (zipped(), f"is damaged, or no model that the farm takes {TAKEN}: "),
        (
            zipped(model=dense_network(1)),
            "is a zip archive that holds no model; of PyTorch the farm takes torch.export",
        ),
        (zipped(model=dense_network(1))[:-40], "is a damaged archive: "),
        (negation()[:60], "is not a TFLite file that LiteRT reads: "),
    ],
    ids=["text", "HDF5", "pickle", "gzip", "cut ONNX", "nothing", "empty zip", "zip", "cut zip", "cut TFLite"],
)
@pytest.mark.parametrize("asked", [load_model, survey_model])
def test_what_no_importer_takes_is_one_sentence(content, told, asked, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        asked(path, {}, "model")
    assert str(caught.value).startswith(f"model {told}")
    assert "\n" not in str(caught.value)
    if content:
        with suppress(BadInput):  # of most of these the desk says so before anything is sent
            assert external_files(path) == ()


@pytest.mark.parametrize("asked", [load_model, survey_model])
@pytest.mark.parametrize("content", [negation(), zipped(model=b"")], ids=["TFLite", "zip"])
def test_values_are_fixed_in_onnx_alone(content, asked, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        asked(path, {}, "model", {"x": np.float32(1)})
    assert str(caught.value) == "model is no ONNX file, and only inputs of those take --fix: leave it out."


def random_numbers() -> bytes:
    made = TfliteModel()
    drawn = made.add("RANDOM_UNIFORM", [made.constant(np.array([2, 3], np.int32))], schema.RandomOptionsT())
    return made.build(made.add("ADD", [drawn, made.input("x", (2, 3))], schema.AddOptionsT()))


def unknown_operator() -> bytes:
    node = helper.make_node("TfIdfVectorizer", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()


@pytest.mark.parametrize("content", [unknown_operator(), random_numbers()], ids=["ONNX", "TFLite"])
def test_a_refused_import_leaves_nothing_for_tvm_to_complain_of(content, tmp_path, capfd):
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"TfIdfVectorizer|RANDOM_UNIFORM"):
        load_model(path, {}, "model")
    gc.collect()
    assert capfd.readouterr() == ("", "")
