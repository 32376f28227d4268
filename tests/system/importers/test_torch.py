"""Programs exported by PyTorch through the importer: every operator answers as PyTorch does, or is refused by name."""

from __future__ import annotations

import gc
import logging
import pickle
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tvm")
torch = pytest.importorskip("torch")

from tests.support.run_import import run_import  # noqa: E402
from tests.support.torch_cases import CASES, REFUSED  # noqa: E402
from tvm_farm.tracker.tuning.errors import InputError, JudgeError  # noqa: E402
from tvm_farm.tracker.tuning.models.importers import ImportedModel, load_model  # noqa: E402

#: PyTorch is an extra of its own, and not what CI installs: these are skipped without it, there too.
pytestmark = pytest.mark.torch


class Called(torch.nn.Module):
    def __init__(self, compute: Callable[..., Any]) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, *inputs: Any) -> Any:
        return self.compute(*inputs)


def saved(folder: Path, compute: Any, inputs: Sequence[Any], **options: Any) -> Path:
    """``compute``, a function or a module, exported to a file. PyTorch's own warnings are its own affair."""
    module = compute if isinstance(compute, torch.nn.Module) and options else Called(compute)
    logging.getLogger("torch").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), tuple(inputs), strict=False, **options)
        torch.export.save(program, folder / "model.pt2")
    return folder / "model.pt2"


def imported(path: Path, shapes: dict[str, Sequence[int]] | None = None) -> ImportedModel:
    return load_model(path, shapes or {}, "model.pt2")


def judged(model: ImportedModel, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What PyTorch answers, once the import was found to answer the same."""
    expected = model.judge.answers(inputs, [output.name for output in model.outputs])
    for info, a, b in zip(model.outputs, expected, run_import(model, inputs), strict=True):
        assert (info.shape, info.dtype) == (a.shape, a.dtype.name) == (b.shape, b.dtype.name)
        if a.dtype.kind == "f":
            np.testing.assert_allclose(b, a, rtol=2e-5, atol=1e-5 * max(1.0, float(np.abs(a).max(initial=0))))
        else:
            np.testing.assert_array_equal(b, a)
    return expected


def drawn(shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    torch.manual_seed(4)
    return [torch.randn(shape) for shape in shapes]


@pytest.mark.parametrize("name", CASES)
def test_an_operator_answers_as_pytorch(name, tmp_path):
    compute, shapes = CASES[name]
    inputs = drawn(shapes)
    expected = judged(imported(saved(tmp_path, compute, inputs)), [x.numpy() for x in inputs])
    # The judge itself is held against a plain call of what was exported.
    plain = compute(*inputs)
    for a, b in zip([plain] if isinstance(plain, torch.Tensor) else plain, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(b), a.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_an_operator_that_is_not_right_is_refused_by_name(name, tmp_path):
    compute, shapes, told = REFUSED[name]
    with pytest.raises(InputError) as error:
        imported(saved(tmp_path, compute, drawn(shapes)))
    assert str(error.value).startswith("model.pt2: node ")
    assert told in str(error.value)


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.dense = torch.nn.Linear(8, 4)

    def forward(self, image: Any, weight: Any = None) -> Any:
        inner = torch.relu(self.norm(self.convolution(image))).mean((2, 3))
        return {"logits": self.dense(inner), "inner": (inner, image)}


def network(folder: Path) -> Path:
    torch.manual_seed(1)
    sizes = ({0: torch.export.Dim("batch", max=64)}, None)
    return saved(folder, Network(), (torch.randn(2, 3, 8, 8), None), dynamic_shapes=sizes)


def test_open_dimensions_are_fixed_by_the_input_or_by_their_own_name(tmp_path):
    path = network(tmp_path)
    with pytest.raises(InputError, match=r"input image has open dimensions \((s\d+),3,8,8\)") as error:
        imported(path)
    symbol = str(error.value).partition("(")[2].partition(",")[0]
    for shapes in ({"image": (5, 3, 8, 8)}, {symbol: (5,)}):
        model = imported(path, shapes)
        assert [(info.shape, info.dtype) for info in model.outputs] == [
            ((5, 4), "float32"), ((5, 8), "float32"), ((5, 3, 8, 8), "float32"),
        ]  # fmt: skip
        image = np.random.default_rng(0).random((5, 3, 8, 8), dtype=np.float32)
        assert np.array_equal(judged(model, [image])[2], image)
    with pytest.raises(InputError, match="no input named picture; its inputs are: image"):
        imported(path, {"picture": (1,)})


def test_values_inside_can_be_asked_for(tmp_path):
    model = imported(network(tmp_path), {"image": (2, 3, 8, 8)})
    assert len({name for name, _ in model.values}) == len(model.values) >= 4
    assert model.with_outputs is not None
    inner = model.with_outputs([name for name, _ in model.values])
    judged(inner, [np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)])
    with pytest.raises(JudgeError, match="knows no value nowhere"):
        model.judge.answers([np.zeros((2, 3, 8, 8), np.float32)], ["nowhere"])


def test_inputs_of_other_dtypes_and_what_they_look_up(tmp_path):
    table = torch.nn.Embedding(9, 4)
    rows = torch.tensor([[1, 8, 0]])
    model = imported(saved(tmp_path, lambda at, x: table(at) + x.float(), (rows, torch.ones(4, dtype=torch.bfloat16))))
    assert [info.dtype for info in model.inputs] == ["int64", "bfloat16"]
    assert model.bounds == {model.inputs[0].name: range(9)}
    judged(model, [rows.numpy(), np.ones(4, "bfloat16")])


def test_a_program_with_a_state_is_refused(tmp_path):
    class Counting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x: Any) -> Any:
            self.count += 1
            return x + self.count

    with pytest.raises(InputError, match="changes its own weights or inputs as it runs"):
        imported(saved(tmp_path, Counting(), (torch.ones(3),), dynamic_shapes=None))


def test_sample_inputs_that_would_run_code_are_not_loaded(tmp_path):
    path, proof = saved(tmp_path, torch.relu, drawn([(3,)])), tmp_path / "ran"

    class Planted:
        def __reduce__(self) -> Any:
            return Path.touch, (proof,)

    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, pickle.dumps(Planted()) if name.endswith("sample_inputs/model.pt") else content)
    with pytest.raises(InputError, match=r"sample_inputs/model\.pt in it holds more than tensors, and loading runs it"):
        imported(path)
    assert not proof.exists()


def test_a_refused_import_leaves_nothing_for_tvm_to_complain_of(tmp_path, capfd):
    path = saved(tmp_path, torch.bernoulli, (torch.zeros(4),))
    capfd.readouterr()
    with pytest.raises(InputError, match="draws random numbers"):
        imported(path)
    gc.collect()
    assert capfd.readouterr() == ("", "")
