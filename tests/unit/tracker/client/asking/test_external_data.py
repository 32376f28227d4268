"""Which files beside a model hold its weights, read without ``onnx``."""

import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tvm_farm.tracker.client.asking.external_data import external_files
from tvm_farm.tracker.client.errors import BadInput


def save(folder, location: str, *, inner: bool = False) -> None:
    weights = numpy_helper.from_array(np.zeros((8, 8), np.float32), "w")
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 8])
    if inner:
        constant = helper.make_node("Constant", [], ["y"], value=weights)
        branch = helper.make_graph([constant], "branch", [], [value])
        flag = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
        node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
        graph = helper.make_graph([node], "g", [flag], [value])
        tensors = [n.attribute[0].t for a in graph.node[0].attribute for n in a.g.node]
    else:
        graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [value], [weights])
        tensors = list(graph.initializer)
    for tensor in tensors:
        onnx.external_data_helper.set_external_data(tensor, location, offset=0, length=256)
        tensor.ClearField("raw_data")
    (folder / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize("inner", [False, True])
def test_weights_outside_are_named_and_must_be_there(tmp_path, inner):
    save(tmp_path, "sub/weights.bin", inner=inner)
    with pytest.raises(BadInput, match=r"keeps weights in .*sub/weights\.bin, and there is no such file"):
        external_files(tmp_path / "m.onnx")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "weights.bin").write_bytes(bytes(256))
    assert external_files(tmp_path / "m.onnx") == ("sub/weights.bin",)


def outside(location: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros((8, 8), np.float32), "w")
    onnx.external_data_helper.set_external_data(tensor, location, offset=0, length=256)
    tensor.ClearField("raw_data")
    return tensor


def test_weights_of_functions_and_of_attributes_that_are_lists_are_named(tmp_path):
    """As onnx.load_external_data_for_model finds them."""
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 8])
    constant = helper.make_node("Constant", [], ["y"], value=outside("function.bin"))
    function = helper.make_function("own", "Weights", [], ["y"], [constant], versions)
    inner = helper.make_node("Constant", [], ["y"], value=outside("graphs.bin"))
    lists = helper.make_node(
        "Lists",
        [],
        ["z"],
        domain="own",
        tensors=[outside("tensors.bin")],
        graphs=[helper.make_graph([inner], "inner", [], [value])],
    )
    graph = helper.make_graph([helper.make_node("Weights", [], ["y"], domain="own"), lists], "g", [], [value])
    model = helper.make_model(graph, functions=[function], opset_imports=versions)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    names = ("function.bin", "graphs.bin", "tensors.bin")
    for name in names:
        (tmp_path / name).write_bytes(bytes(256))
    assert external_files(tmp_path / "m.onnx") == names
    onnx.load(tmp_path / "m.onnx")


def test_a_name_of_weights_that_are_in_the_file_again_is_none(tmp_path):
    weights = numpy_helper.from_array(np.zeros((8, 8), np.float32), "w")
    onnx.external_data_helper.set_external_data(weights, "gone.bin")
    weights.data_location = TensorProto.DEFAULT
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 8])
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [value], [weights])
    (tmp_path / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    onnx.checker.check_model(tmp_path / "m.onnx")
    assert external_files(tmp_path / "m.onnx") == ()


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a/../../w.bin"])
def test_nothing_outside_of_the_models_folder_is_read(tmp_path, location):
    save(tmp_path, location)
    with pytest.raises(BadInput, match="outside of its folder"):
        external_files(tmp_path / "m.onnx")


def test_a_model_of_another_format_has_none(tmp_path):
    (tmp_path / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(40))
    assert external_files(tmp_path / "m.tflite") == ()
    with zipfile.ZipFile(tmp_path / "m.pt2", "w") as archive:
        archive.writestr("model", b"x")
    assert external_files(tmp_path / "m.pt2") == ()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"hello\n", "is damaged, or no model that the farm takes"),
        (b"\x00" * 100, "is damaged, or no model that the farm takes"),
        (b"\xff" * 100, "is damaged, or no model that the farm takes"),
        (b"PK\x03\x04" + bytes(50), "is damaged: it begins as a zip archive"),
        (onnx.ModelProto(producer_name="me").SerializeToString(), "as ONNX it holds no operators"),
    ],
    ids=["nothing", "text", "zeros", "ones", "cut archive", "no graph"],
)
def test_what_is_no_model_is_told_before_it_is_sent(tmp_path, content, told):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(BadInput, match=told):
        external_files(tmp_path / "m")


def test_a_model_that_is_cut_off_is_told_before_it_is_sent(tmp_path):
    save(tmp_path, "w.bin")
    whole = (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "w.bin").write_bytes(bytes(256))
    for end in range(1, len(whole) - 4):  # its last field is the version of the operators
        (tmp_path / "m.onnx").write_bytes(whole[:end])
        with pytest.raises(BadInput, match=r"damaged|holds no operators"):
            external_files(tmp_path / "m.onnx")


def test_graphs_within_graphs_without_end_are_refused(tmp_path):
    """A field is a tag, a length and its bytes."""

    def field(number: int, content: bytes) -> bytes:
        length, size = b"", len(content)
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    graph = b""
    for _ in range(2000):
        graph = field(1, field(5, field(6, graph)))
    (tmp_path / "deep").write_bytes(field(7, graph))
    with pytest.raises(BadInput, match="damaged"):
        external_files(tmp_path / "deep")


def test_a_name_that_no_file_can_have_is_told(tmp_path):
    save(tmp_path, "w" * 5000)
    with pytest.raises(BadInput, match="there is no such file"):
        external_files(tmp_path / "m.onnx")
