"""An exported program as the farm needs it: flat, with static shapes, in PyTorch's core operators."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind, TensorArgument

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.base import TensorInfo
from tvm_farm.tracker.tuning.models.importers.pytorch.archive import check_content, tensor_files
from tvm_farm.tracker.tuning.models.importers.shapes import fixed_shape
from tvm_farm.tracker.tuning.models.importers.wording import sentence

__all__ = ["Flat", "Program", "as_array", "as_tensor", "read_program"]


@dataclass(frozen=True)
class Program:
    """``original`` is the file's, ``static`` the same, decomposed, for the shapes of ``inputs`` in order."""

    original: Any
    static: Any
    inputs: tuple[TensorInfo, ...]
    #: Names of the outputs.
    outputs: tuple[str, ...]


def read_program(path: Path, shapes: Mapping[str, Sequence[int]], name: str) -> Program:
    """Raises InputError: what cannot be loaded safely, an open dimension, a program with a state or without tensors."""
    check_content(path, name)
    _check_tensors(path, name)
    original = _quietly(lambda: torch.export.load(path), f"{name} cannot be loaded by PyTorch {torch.__version__}")
    outputs = _outputs(original, name)
    inputs = _inputs(original, shapes, name)
    example = tuple(torch.zeros(info.shape, dtype=getattr(torch, info.dtype)) for info in inputs)
    static = _quietly(
        lambda: torch.export.export(Flat(original), example, strict=False).run_decompositions(_decompositions()),
        f"{name} is no program for these shapes",
    )
    _check_stateless(static, name)  # here what is changed in place has become an output
    return Program(original, static, inputs, outputs)


class Flat(torch.nn.Module):  # type: ignore[misc]
    """A program as a module whose inputs are its tensors, one after the other."""

    def __init__(self, program: Any, interpreter: type[torch.fx.Interpreter] = torch.fx.Interpreter) -> None:
        super().__init__()
        self._interpreter = [interpreter(program.graph_module)]  # in a list, so as not to be a submodule
        self._placeholders: list[tuple[str, Any]] = []
        for number, spec in enumerate(program.graph_signature.input_specs):
            if spec.kind != InputKind.USER_INPUT:
                self.register_buffer(f"w{number}", _bound(program, spec.target).detach())
                self._placeholders.append(("weight", f"w{number}"))
            elif isinstance(spec.arg, ConstantArgument):
                self._placeholders.append(("constant", spec.arg.value))
            else:
                self._placeholders.append(("input", None))

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = iter(inputs)
        values = [
            getattr(self, value) if kind == "weight" else value if kind == "constant" else next(given)
            for kind, value in self._placeholders
        ]
        with torch.no_grad():
            return tuple(self._interpreter[0].run(*values))


def _decompositions() -> Any:
    """PyTorch's own into core operators, and of those that TVM's importer gets wrong."""
    table = torch.export.default_decompositions()
    aten = torch.ops.aten
    table.update(
        torch._decomp.get_decompositions(
            [aten.grid_sampler_2d, aten.selu, aten.upsample_bilinear2d, aten.upsample_nearest2d, aten.logaddexp]
        )
    )
    return table


def _bound(program: Any, target: str) -> torch.Tensor:
    return program.state_dict[target] if target in program.state_dict else program.constants[target]


def _check_tensors(path: Path, name: str) -> None:
    for member, content in tensor_files(path, name):
        try:
            torch.load(io.BytesIO(content), weights_only=True)
        except Exception as error:  # whatever a foreign pickle makes PyTorch raise
            raise InputError(f"{name}: {member} in it holds more than tensors, and loading runs it.") from error


def _quietly(work: Any, wrong: str) -> Any:
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()
    except Exception as error:  # PyTorch raises dozens of kinds of its own
        raise InputError(f"{wrong}: {sentence(error)}.") from error
    finally:
        logger.setLevel(level)


def _check_stateless(program: Any, name: str) -> None:
    kinds = {spec.kind for spec in program.graph_signature.output_specs}
    if kinds - {OutputKind.USER_OUTPUT, OutputKind.LOSS_OUTPUT}:
        raise InputError(f"{name} changes its own weights or inputs as it runs, and a tuned model keeps no state.")


def _outputs(program: Any, name: str) -> tuple[str, ...]:
    _check_stateless(program, name)
    specs = program.graph_signature.output_specs
    if other := next((spec for spec in specs if not isinstance(spec.arg, TensorArgument)), None):
        raise InputError(f"{name}: its output {getattr(other.arg, 'name', '')} is no tensor.")
    if not specs:
        raise InputError(f"{name} has no outputs.")
    return tuple(str(spec.arg.name) for spec in specs)


def _inputs(program: Any, shapes: Mapping[str, Sequence[int]], name: str) -> tuple[TensorInfo, ...]:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    names: list[str] = []
    symbols: set[str] = set()
    for spec in program.graph_signature.input_specs:
        if spec.kind == InputKind.USER_INPUT and not isinstance(spec.arg, ConstantArgument):
            value = values[spec.arg.name]
            if not isinstance(value, torch.Tensor):
                raise InputError(f"{name}: input {spec.arg.name} is no tensor.")
            names.append(spec.arg.name)
            symbols.update(size for size in _sizes(value) if isinstance(size, str))
        elif spec.kind not in (InputKind.USER_INPUT, InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            raise InputError(f"{name}: {spec.arg.name} of it is an object, and no tensor.")
    if unknown := sorted(set(shapes) - set(names) - symbols):
        raise InputError(f"{name} has no input named {unknown[0]}; its inputs are: {', '.join(names) or 'none'}.")
    return tuple(
        TensorInfo(
            each, fixed_shape(name, each, _sizes(values[each]), shapes), str(values[each].dtype)[len("torch.") :]
        )
        for each in names
    )


def _sizes(value: torch.Tensor) -> list[int | str]:
    """Numbers, or what a size that is open is called in the program."""
    return [int(size) if isinstance(size, int) else str(size) for size in value.shape]


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """``array`` for PyTorch, which shares no bfloat16 with numpy."""
    array = np.array(array, order="C")
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def as_array(tensor: torch.Tensor) -> np.ndarray:
    """``tensor`` for numpy."""
    import ml_dtypes

    plain = tensor.detach().resolve_conj().contiguous()
    if plain.dtype == torch.bfloat16:
        return np.array(plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16))
    return np.array(plain.numpy())
