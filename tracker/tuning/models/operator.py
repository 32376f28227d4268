"""A Python file and a name in it become kernels to tune: a person's own operator, in TE or TVMScript.

The file is executed as it is, in a process that ends with its job. Lines that a sentence names are that file's.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import itertools
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import tvm
from tvm import te
from tvm.s_tir import Schedule, ScheduleError
from tvm.tirx.buffer import BufferType

from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.operator_file import definitions
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.foreign_code import ends_in_time
from tvm_farm.tracker.tuning.models.graph import output_positions
from tvm_farm.tracker.tuning.models.importers import TensorInfo
from tvm_farm.tracker.tuning.models.passes.empty_sums import begin_empty_sums

__all__ = ["Kernel", "Operator", "load_operator"]

#: What the file is called among Python's modules; TVMScript looks its source up there.
_MODULE = "farm_operator"
#: agent/runner/protocol.py fills tensors of these and no others.
_DTYPES = {"bool", "bfloat16", *(f"float{bits}" for bits in (16, 32, 64))}
_DTYPES |= {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
_WANTED = "a function that returns its TE tensors, a TVMScript function or a module of such"
_RETURNED = "return [input, …, output], ([input, …], output), a TVMScript function or an IRModule"


@dataclass(frozen=True)
class Kernel:
    """One tensor program: ``module`` holds it as its one function ``main``, not scheduled yet.

    ``outputs``: positions of the ``arguments`` that it writes to.
    """

    name: str
    module: tvm.ir.IRModule
    arguments: tuple[TensorInfo, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Operator:
    """``left_out``: functions of its module that have no blocks, and so nothing that a schedule could change.

    ``inputs``: from a seed the arrays of ``NAME_inputs`` beside it, by the names of arguments; None where there is no
    such function. ``inputs_label``: the function and its line, for messages.
    """

    kernels: tuple[Kernel, ...]
    left_out: tuple[str, ...] = ()
    inputs: Callable[[int], dict[str, np.ndarray]] | None = field(default=None, repr=False, compare=False)
    inputs_label: str = ""


def load_operator(path: Path, name: str, parameters: Mapping[str, str]) -> Operator:
    """What ``name`` in the Python file at ``path`` is. ``parameters``: values of its function's parameters as text.

    Raises InputError, in one sentence with file and line: a syntax error, an exception while the file or the function
    is executed, no such name, nothing that could be tuned, an open dimension, a parameter that it has not or lacks.
    """
    return _Loader(path, name).load(parameters)


class _Loader:
    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        try:
            self._definitions = definitions(path.read_bytes(), path.name) or {}
        except InvalidRequest as error:
            raise InputError(f"{error}.") from None

    def load(self, parameters: Mapping[str, str]) -> Operator:
        module = self._execute()
        if not hasattr(module, self._name):
            there = ", ".join(_tunable(module)) or "nothing that could be tuned"
            raise InputError(f"{self._path.name} defines no {self._name}; it has {there}.")
        operator = self._operator(getattr(module, self._name), parameters)
        make = getattr(module, self._inputs_name, None)
        if not inspect.isfunction(make):
            return operator
        label = f"{self._where(self._inputs_name)}: {self._inputs_name}"
        return replace(operator, inputs=partial(self._made_inputs, make, parameters, label), inputs_label=label)

    def _operator(self, found: Any, parameters: Mapping[str, str]) -> Operator:
        if inspect.isfunction(found):
            found = self._called(found, parameters)
        elif parameters:
            raise self._error(f"{self._name} is {_kind(found)}, which takes no parameters: leave --with out")
        elif not isinstance(found, tvm.tirx.PrimFunc | tvm.ir.IRModule):
            raise self._error(f"{self._name} is {_kind(found)}: name {_WANTED}")
        if isinstance(found, tvm.ir.IRModule):
            return self._of_module(found)
        if not isinstance(found, tvm.tirx.PrimFunc):
            found = self._of_tensors(found)
            if not _has_blocks(found):
                raise self._error(
                    f"{self._name} is an extern kernel, which runs as its author wrote it: there is nothing to schedule"
                )
        if not _has_blocks(found):
            raise self._error(f"{self._name} has no blocks to schedule: write @T.prim_func(s_tir=True) and T.sblock")
        return Operator((self._kernel(self._name, found),))

    # -- what the person's code does

    def _execute(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location(_MODULE, self._path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[_MODULE] = module
        self._run(lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]  # asserted above
        return module

    def _called(self, function: Callable[..., Any], parameters: Mapping[str, str]) -> Any:
        known = inspect.signature(function).parameters
        anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
        named = {p.name for p in known.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        for name in parameters:
            if name not in named and not anything:
                has = f"its parameters are {', '.join(sorted(named))}" if named else "it takes none"
                raise self._error(f"{self._name} has no parameter {name}: {has}")
        missing = [
            p.name
            for p in known.values()
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in parameters
        ]
        if missing:
            give = " ".join(f"--with {name}=…" for name in missing)
            raise self._error(f"{self._name} has no default for {', '.join(missing)}: give {give}")
        return self._run(lambda: function(**{name: _value(text) for name, text in parameters.items()}))

    @property
    def _inputs_name(self) -> str:
        return f"{self._name}_inputs"

    def _made_inputs(
        self, make: Callable[..., Any], parameters: Mapping[str, str], label: str, seed: int
    ) -> dict[str, np.ndarray]:
        """What the person's generator returns: it is given those of the operator's parameters that it takes."""
        known = inspect.signature(make).parameters
        anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
        given = {name: value for name, value in self._effective(parameters).items() if anything or name in known}
        returned = self._run(lambda: make(np.random.default_rng(seed), **given))
        if not isinstance(returned, Mapping) or not all(isinstance(name, str) for name in returned):
            raise InputError(f"{label} returned {_kind(returned)}: return a dict of arrays by the arguments' names.")
        arrays = {name: np.asarray(value) for name, value in returned.items()}
        for name, array in arrays.items():
            if array.dtype.kind not in "biufcV":
                raise InputError(f"{label} returned {_kind(returned[name])} as {name}, which is no array of numbers.")
        return arrays

    def _effective(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """All parameters of the operator's function, its own defaults included."""
        function = getattr(sys.modules[_MODULE], self._name)
        if not inspect.isfunction(function):
            return {}
        known = inspect.signature(function).parameters.values()
        defaults = {p.name: p.default for p in known if p.default is not p.empty}
        return {**defaults, **{name: _value(text) for name, text in parameters.items()}}

    def _run(self, call: Callable[[], Any]) -> Any:
        try:
            with ends_in_time():
                return call()
        # What a person's code raises may be anything, and sys.exit() must not end the job without a word.
        except (Exception, SystemExit) as error:
            raise InputError(self._told(error)) from error

    def _told(self, error: BaseException) -> str:
        """What happened and on which line, without where TVM or Python were then."""
        file, lines = self._path.name, [line.strip() for line in str(error).splitlines() if line.strip()]
        if script := re.match(rf"error: (.*?)\n\s*--> {re.escape(str(self._path))}:(\d+)", str(error), re.DOTALL):
            return f"{file}:{script[2]}: {' '.join(script[1].split())}."
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(self._path)]
        where = f"{file}:{frames[-1].lineno}" if frames else file
        said = f"{type(error).__name__}: {lines[-1].rstrip('.')}" if lines else type(error).__name__
        alone = " (the file travels alone, to a worker that has TVM and numpy)"
        return f"{where}: {said}{alone if isinstance(error, ImportError) else ''}."

    # -- what it gave

    def _of_module(self, module: tvm.ir.IRModule) -> Operator:
        functions = {str(key.name_hint): function for key, function in module.functions_items()}
        blocks = {
            name: function
            for name, function in functions.items()
            if isinstance(function, tvm.tirx.PrimFunc) and _has_blocks(function)
        }
        if not blocks:
            raise self._error(f"the module {self._name} has no function with blocks that could be scheduled")
        left_out = tuple(sorted(set(functions) - set(blocks)))
        return Operator(tuple(self._kernel(name, blocks[name]) for name in sorted(blocks)), left_out)

    def _of_tensors(self, returned: Any) -> tvm.tirx.PrimFunc:
        tensors = _flat(returned)
        if tensors is None:
            raise self._error(f"{self._name} returned {_kind(returned)}: {_RETURNED}")
        inputs = [tensor for tensor in tensors if isinstance(tensor.op, te.PlaceholderOp)]
        if len(inputs) == len(tensors):
            raise self._error(f"{self._name} returned inputs alone: {_RETURNED}")
        behind = list(_behind(tensors))
        if any(isinstance(tensor.op, te.ScanOp) for tensor in behind):
            raise self._error(f"{self._name} uses te.scan, of which TVM {tvm.__version__} makes no kernel")
        placeholders = [tensor for tensor in behind if isinstance(tensor.op, te.PlaceholderOp)]
        missing = [t for t in placeholders if not any(t.same_as(each) for each in inputs)]
        if missing:
            names = ", ".join(sorted(str(tensor.op.name) for tensor in missing))
            raise self._error(f"{self._name} computes from {names}, which is not among the tensors that it returned")
        try:
            return te.create_prim_func(tensors)
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            said = f"TVM {tvm.__version__} makes no kernel of what {self._name} returned: {''.join(lines[-1:])[:300]}"
            raise self._error(said) from error

    def _kernel(self, name: str, function: tvm.tirx.PrimFunc) -> Kernel:
        arguments = _apart([self._argument(name, parameter) for parameter in function.params])
        # A caller's tensors are as they are: nothing repacks one that a schedule would like to have in another layout.
        function = function.without_attr("layout_free_buffers").with_attr("global_symbol", "main")
        module = self._begun(name, tvm.IRModule({"main": function}))
        outputs = tuple(output_positions(module))
        if not outputs:
            raise self._error(f"{name} writes to none of its arguments")
        return Kernel(name, module, arguments, outputs)

    def _begun(self, name: str, module: tvm.ir.IRModule) -> tvm.ir.IRModule:
        try:
            return begin_empty_sums(module)
        except Exception as error:  # TVM's scheduling raises whatever it meets
            raise self._error(
                f"{name} sums over a range that an input decides, and TVM {tvm.__version__} cannot write what an empty "
                "one gives"
            ) from error

    def _argument(self, name: str, parameter: tvm.ir.Var) -> TensorInfo:
        if not isinstance(parameter.ty, BufferType):
            raise self._error(
                f"{name} takes {parameter.name}, which is no tensor: boards call kernels with tensors alone"
            )
        sizes = [*parameter.shape, *parameter.strides]
        if not all(isinstance(size, tvm.tirx.IntImm) for size in sizes):
            text = ",".join(str(size) for size in parameter.shape)
            raise self._error(f"{name} has a dynamic shape, {parameter.name} is ({text}): a job tunes one shape")
        strides, expected = [int(stride) for stride in parameter.strides], 1
        for size, stride in reversed(list(zip(parameter.shape, strides, strict=False))):
            if int(size) != 1 and stride != expected:
                told = ", ".join(map(str, strides))
                raise self._error(
                    f"{name} takes {parameter.name} with strides ({told}), and boards call kernels with tensors "
                    "without gaps"
                )
            expected *= int(size)
        dtype = str(parameter.dtype)
        if dtype not in _DTYPES:
            raise self._error(f"{name} takes {parameter.name} of {dtype}, which boards cannot fill")
        return TensorInfo(str(parameter.name), tuple(int(size) for size in parameter.shape), dtype)

    def _error(self, said: str) -> InputError:
        return InputError(f"{self._where(self._name)}: {said}.")

    def _where(self, name: str) -> str:
        definition = self._definitions.get(name)
        return f"{self._path.name}{f':{definition.line}' if definition else ''}"


def _apart(arguments: Sequence[TensorInfo]) -> tuple[TensorInfo, ...]:
    """Each by a name of its own: of two called ``A`` the second is ``A_1``, as TVMScript prints it."""
    named: dict[str, TensorInfo] = {}
    for info in arguments:
        more = (f"{info.name}_{number}" for number in itertools.count(1))
        name = next(name for name in itertools.chain([info.name], more) if name not in named)
        named[name] = replace(info, name=name)
    return tuple(named.values())


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _kind(found: Any) -> str:
    """``a list of int``: what it is, in words."""
    if isinstance(found, tvm.tirx.PrimFunc):
        return "a TVMScript function"
    kind = type(found).__name__
    if isinstance(found, list | tuple):
        return f"a {kind} of {', '.join(sorted({type(part).__name__ for part in found})) or 'nothing'}"
    return "None" if found is None else f"{'an' if kind[0] in 'aeioAEIO' else 'a'} {kind}"


def _tunable(module: ModuleType) -> list[str]:
    """Names in a file that may be operators: those of its own functions, of TVMScript functions and modules."""
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, tvm.tirx.PrimFunc | tvm.ir.IRModule)
        or (inspect.isfunction(value) and value.__module__ == _MODULE and not _makes_inputs(name, module))
    ]


def _makes_inputs(name: str, module: ModuleType) -> bool:
    return name.endswith("_inputs") and hasattr(module, name.removesuffix("_inputs"))


def _has_blocks(function: tvm.tirx.PrimFunc) -> bool:
    try:
        schedule = Schedule(tvm.IRModule({"main": function}), error_render_level="none")
        return bool(schedule.get_child_blocks(schedule.get_sblock("root")))
    except ScheduleError:
        return False


def _flat(returned: Any) -> list[te.Tensor] | None:
    """The tensors of ``[a, b, c]``, ``([a, b], c)`` and ``([a, b], [c])``; None of anything else."""
    if not isinstance(returned, list | tuple) or not returned:
        return None
    if len(returned) == 2 and isinstance(returned[0], list | tuple):
        inputs, outputs = returned
        returned = [*inputs, *(outputs if isinstance(outputs, list | tuple) else [outputs])]
    return list(returned) if all(isinstance(tensor, te.Tensor) for tensor in returned) else None


def _behind(tensors: Sequence[te.Tensor]) -> Iterator[te.Tensor]:
    """``tensors`` and all that they are computed from, each once."""
    seen: list[te.Tensor] = []
    waiting = list(tensors)
    while waiting:
        tensor = waiting.pop()
        if any(tensor.same_as(each) for each in seen):
            continue
        seen.append(tensor)
        yield tensor
        waiting.extend(tensor.op.input_tensors)
