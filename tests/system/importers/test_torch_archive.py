"""Archives of PyTorch before PyTorch is there: what they are, and what of them would run its author's code."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tvm")

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers import load_model
from tvm_farm.tracker.tuning.models.importers.pytorch.archive import check_content

pytestmark = pytest.mark.system

EXPORT = "torch.export.save(torch.export.export(model, inputs), 'model.pt2')"
SIZE = "Add(Mul(Integer(2), Symbol('s77', positive=True, integer=True)), Integer(1))"


def archive(folder: Path, files: dict[str, Any]) -> Path:
    path = folder / "model.pt2"
    with zipfile.ZipFile(path, "w") as made:
        for name, content in files.items():
            made.writestr(f"model/{name}", content if isinstance(content, str | bytes) else json.dumps(content))
    return path


def program(**changes: Any) -> dict[str, Any]:
    node = {"target": changes.pop("target", "torch.ops.aten.relu.default"), "inputs": []}
    size = {"as_expr": {"expr_str": changes.pop("size", SIZE)}}
    content = {"graph_module": {"graph": {"nodes": [node], "sizes": [size]}}, "range_constraints": {"s77": {}}}
    weights = {"w": {"path_name": "weight_0", "use_pickle": False} | changes.pop("weight", {})}
    return {
        "archive_format": "pt2",
        "models/model.json": content | changes.pop("program", {}),
        "data/weights/model_weights_config.json": {"config": weights},
    } | changes


def test_without_pytorch_an_exported_program_says_what_it_needs(tmp_path, monkeypatch):
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "torch" else known(name, *more)
    )
    with pytest.raises(InputError) as error:
        load_model(archive(tmp_path, program()), {}, "model.pt2")
    assert str(error.value) == (
        "model.pt2 is an exported program, which needs PyTorch on the tuning worker: pip install 'tvm-farm[torch]'."
    )


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"data.pkl": b"", "code/__torch__.py": ""}, f"holds TorchScript; the farm takes exported programs: {EXPORT}."),
        ({"data.pkl": b""}, f"was written by torch.save: it is no program. Export the model: {EXPORT}."),
        ({"x.npy": b""}, f"is a zip archive that holds no model; of PyTorch the farm takes {EXPORT}."),
        (
            {"serialized_exported_program.json": "{}"},
            f"was exported by PyTorch 2.7 or older; do it again with a newer one: {EXPORT}.",
        ),
    ],
)
def test_another_archive_is_told_what_it_is(files, told, tmp_path):
    with pytest.raises(InputError) as error:
        load_model(archive(tmp_path, files), {}, "model.pt2")
    assert str(error.value) == f"model.pt2 {told}"


def test_a_damaged_archive_is_refused(tmp_path):
    path = archive(tmp_path, program())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"^model\.pt2 is a damaged archive:"):
        load_model(path, {}, "model.pt2")
    with pytest.raises(InputError, match=r"model/models/model\.json cannot be read"):
        check_content(archive(tmp_path, program() | {"models/model.json": "{"}), "model.pt2")


def test_what_pytorch_writes_may_be_loaded(tmp_path):
    for target in ("torch.ops.aten.add.Tensor", "_operator.getitem", "torch.sym_max", "math.ceil"):
        check_content(archive(tmp_path, program(target=target)), "model.pt2")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weight": {"use_pickle": True}}, "w is pickled in it"),
        ({"weight": {"path_name": "opaque_obj_0"}}, "w is pickled in it"),
        ({"weight": {"path_name": "../../weight_0"}}, "w is pickled in it"),
        ({"size": "__import__('os').system('true')"}, "a size in it is no arithmetic"),
        ({"size": "Symbol('s1').__class__"}, "a size in it is no arithmetic"),
        ({"size": ["s1"]}, "a size in it is no arithmetic"),
        ({"program": {"range_constraints": {"open('x')": {}}}}, "a range in it is of no size"),
        ({"program": {"in_spec": '{"default_factory_module": "os"}'}}, "a default of their author's own"),
        ({"target": "torch.os.system"}, "it calls torch.os.system, which is none of PyTorch's own operators"),
        ({"target": "torch.hub.load"}, "it calls torch.hub.load"),
        ({"target": "_operator.methodcaller"}, "it calls _operator.methodcaller"),
        ({"target": "torch.ops.load_library"}, "it calls torch.ops.load_library"),
        ({"target": "torch.ops.aten.relu.default.__class__"}, "it calls torch.ops.aten.relu.default.__class__"),
        ({"data/aotinductor/model/x.so": b""}, "holds a compiled model"),
        ({"models/other.json": "{}"}, "holds several programs"),
    ],
)
def test_what_would_run_its_authors_code_is_refused(changes, told, tmp_path):
    with pytest.raises(InputError) as error:
        check_content(archive(tmp_path, program(**changes)), "model.pt2")
    assert told in str(error.value)
