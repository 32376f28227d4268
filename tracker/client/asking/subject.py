"""What a job is to tune, as a person names it: a model's file, or an operator in a Python file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tvm_farm.protos.names import parse_given_name
from tvm_farm.tracker.client.asking.names import ARGUMENTS, Names
from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.domain.engine import takes_templates
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.job import Parameter, Shape
from tvm_farm.tracker.domain.operator_file import Definition, definitions, parse_operator

__all__ = ["Subject", "check_file", "check_inputs", "check_templates", "subject_of"]


@dataclass(frozen=True)
class Subject:
    """The file to send, what people call it, and of an operator ``JobSpec.operator``."""

    path: Path
    name: str
    operator: str = ""


def subject_of(
    model: Path,
    shapes: Sequence[Shape],
    parameters: Sequence[Parameter],
    fixed: Sequence[Parameter] = (),
    names: Names = ARGUMENTS,
) -> Subject:
    """Raises BadInput for what can be known without TVM: no such file, no such name in it, a syntax error, an option
    that is for the other kind.
    """
    try:
        _once(names.fix, [parameter.name for parameter in fixed])
        operator = parse_operator(str(model))
        if operator is not None and fixed:
            raise BadInput(
                f"{names.fix} is for a model's inputs; set an operator's parameters with {names.one_parameter}."
            )
        if operator is None:
            return _model(model, shapes, parameters, names)
        path = Path(operator.path)
        check_file(path)
        if shapes:
            raise BadInput(
                f"{names.shapes} fixes a model's inputs; set an operator's parameters with {names.one_parameter}."
            )
        _once(names.parameters, [parameter.name for parameter in parameters])
        found = definitions(path.read_bytes(), str(path))
    except InvalidRequest as error:
        raise BadInput(f"{error}.") from None
    if found is not None and operator.name not in found:
        raise BadInput(f"{path} defines no {operator.name}; it has {_own(found)}.")
    return Subject(path, operator.name, f"{path.name}:{operator.name}")


def check_templates(files: Sequence[Path], engine: str, names: Names = ARGUMENTS) -> None:
    """Raises BadInput where ``engine`` takes none, or one of ``files`` is no Python file that can be read."""
    if files and not takes_templates(engine):
        raise BadInput(
            f"{names.templates} is for auto and the autotvm tuners, and {engine} has no use for it: choose "
            f"autotvm with {names.tuner}."
        )
    _once(names.templates, [file.name for file in files])
    for file in files:
        check_file(file)
        try:
            definitions(file.read_bytes(), str(file))
        except InvalidRequest as error:
            raise BadInput(f"{error}.") from None


def check_inputs(inputs: Path, shapes: Sequence[Shape], names: Names = ARGUMENTS) -> None:
    """Raises BadInput for a file of arrays that cannot be read, or is to fit several shapes."""
    check_file(inputs)
    if any(shape.others for shape in shapes):
        raise BadInput(f"{names.inputs} is for one shape, and {names.shapes} names several: leave one of them out.")


def _model(model: Path, shapes: Sequence[Shape], parameters: Sequence[Parameter], names: Names) -> Subject:
    check_file(model)
    _once(names.shapes, [shape.name for shape in shapes])
    if model.suffix == ".py":
        found = definitions(model.read_bytes(), str(model))
        there = f" It has {_own(found)}." if found is not None else ""
        raise BadInput(f"{model} is a Python file: name the operator in it, {model}:NAME.{there}")
    if parameters:
        raise BadInput(
            f"{names.parameters} sets parameters of an operator, FILE.py:NAME; a model's inputs are fixed with "
            f"{names.shapes}."
        )
    return Subject(model, _named(model))


def _own(found: dict[str, Definition]) -> str:
    """Names that may be operators: NAME_inputs makes the arrays of NAME."""
    own = [name for name, definition in found.items() if not definition.imported]
    makers = {f"{name}_inputs" for name in found}
    return ", ".join(name for name in own if name not in makers) or "nothing of its own"


def check_file(model: Path) -> None:
    """Raises BadInput where there is nothing to read."""
    try:
        if model.is_dir():
            raise BadInput(f"{model} is a folder; name the file in it.")
        if model.exists() and not model.is_file():  # what was read of a pipe is gone
            raise BadInput(f"{model} is no file that can be read twice: copy what it gives into one.")
        with model.open("rb") as file:
            if not file.read(1):
                raise BadInput(f"{model} is empty.")
    except FileNotFoundError:
        raise BadInput(f"There is no file {model}.") from None
    except OSError as error:
        raise BadInput(f"Cannot read {model}: {error.strerror}.") from None


def _named(model: Path) -> str:
    """What people call the model. Raises BadInput."""
    try:
        return parse_given_name(model.stem, "a model's name")
    except ValueError as error:
        raise BadInput(f"{error}: rename {str(model)!r}.") from None


def _once(option: str, given: Sequence[str]) -> None:
    twice = {name for name in given if given.count(name) > 1}
    if twice:
        raise BadInput(f"{option} names {', '.join(sorted(twice))} twice.")
