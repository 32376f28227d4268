"""What a job is to tune, as a person names it: a model's file, or an operator in a Python file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tvm_farm.protos.names import parse_given_name
from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.domain.engine import takes_templates
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.job import Parameter, Shape
from tvm_farm.tracker.domain.operator_file import Definition, definitions, parse_operator

__all__ = ["Subject", "check_model", "check_templates", "subject_of"]


@dataclass(frozen=True)
class Subject:
    """The file to send, what people call it, and of an operator ``JobSpec.operator``."""

    path: Path
    name: str
    operator: str = ""


def subject_of(
    model: Path, shapes: Sequence[Shape], parameters: Sequence[Parameter], fixed: Sequence[Parameter] = ()
) -> Subject:
    """Raises BadInput for what can be known without TVM: no such file, no such name in it, a syntax error, an option
    that is for the other kind.
    """
    try:
        _once("--fix", [parameter.name for parameter in fixed])
        operator = parse_operator(str(model))
        if operator is not None and fixed:
            raise BadInput("--fix is for a model's inputs; set an operator's parameters with --with NAME=VALUE.")
        if operator is None:
            return _model(model, shapes, parameters)
        path = Path(operator.path)
        check_model(path, ())
        if shapes:
            raise BadInput("--shape fixes a model's inputs; set an operator's parameters with --with NAME=VALUE.")
        _once("--with", [parameter.name for parameter in parameters])
        found = definitions(path.read_bytes(), str(path))
    except InvalidRequest as error:
        raise BadInput(f"{error}.") from None
    if found is not None and operator.name not in found:
        raise BadInput(f"{path} defines no {operator.name}; it has {_own(found)}.")
    return Subject(path, operator.name, f"{path.name}:{operator.name}")


def check_templates(files: Sequence[Path], engine: str) -> None:
    """Raises BadInput where ``engine`` takes none, or one of ``files`` is no Python file that can be read."""
    if files and not takes_templates(engine):
        raise BadInput(
            f"--template is for auto and the autotvm tuners, and {engine} has no use for it: add --tuner autotvm."
        )
    _once("--template", [file.name for file in files])
    for file in files:
        check_model(file, ())
        try:
            definitions(file.read_bytes(), str(file))
        except InvalidRequest as error:
            raise BadInput(f"{error}.") from None


def _model(model: Path, shapes: Sequence[Shape], parameters: Sequence[Parameter]) -> Subject:
    check_model(model, shapes)
    if model.suffix == ".py":
        found = definitions(model.read_bytes(), str(model))
        there = f" It has {_own(found)}." if found is not None else ""
        raise BadInput(f"{model} is a Python file: name the operator in it, {model}:NAME.{there}")
    if parameters:
        raise BadInput("--with sets parameters of an operator, FILE.py:NAME; a model's inputs are fixed with --shape.")
    return Subject(model, _named(model))


def _own(found: dict[str, Definition]) -> str:
    return ", ".join(name for name, definition in found.items() if not definition.imported) or "nothing of its own"


def check_model(model: Path, shapes: Sequence[Shape]) -> None:
    """Raises BadInput for what can be known of the file without reading the model in it."""
    try:
        if model.is_dir():
            raise BadInput(f"{model} is a folder; name the file in it.")
        with model.open("rb") as file:
            if not file.read(1):
                raise BadInput(f"{model} is empty.")
    except FileNotFoundError:
        raise BadInput(f"There is no file {model}.") from None
    except OSError as error:
        raise BadInput(f"Cannot read {model}: {error.strerror}.") from None
    _once("--shape", [shape.name for shape in shapes])


def _named(model: Path) -> str:
    """What people call the model. Raises BadInput."""
    try:
        return parse_given_name(model.stem, "a model's name")
    except ValueError as error:
        raise BadInput(f"{error}: rename {str(model)!r}.") from None


def _once(option: str, names: Sequence[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise BadInput(f"{option} names {', '.join(sorted(twice))} twice.")
