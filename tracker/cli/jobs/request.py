"""What ``farm tune`` and ``farm compile`` are asked alike: a model, for which devices, and where its package goes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tvm_farm.tracker.cli.terminal.completing import class_names, pool_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import OPTIONS, priority_option
from tvm_farm.tracker.cli.terminal.parsing import FIXED, PARAMETER, SEED, SHAPE, TARGET
from tvm_farm.tracker.cli.terminal.waiting import wait_option

if TYPE_CHECKING:
    from tvm_farm.tracker.client.asking.request import JobRequest
    from tvm_farm.tracker.domain import JobKind, Parameter, Shape

__all__ = ["Request", "model_options", "request_options"]

_model = click.argument("model", type=click.Path(path_type=Path), metavar="MODEL")
_pool = click.option(
    "--pool", required=True, shell_complete=pool_names, help="Which devices: a pool's name, see `farm pools`."
)
_class = click.option(
    "--class",
    "device_class",
    shell_complete=class_names,
    default="",
    metavar="CLASS",
    help="Of a pool with unlike devices this class alone, see `farm devices`. [default: each that is there]",
)
_shape = click.option(
    "--shape",
    "shapes",
    type=SHAPE,
    multiple=True,
    help="Fix an input that the file leaves open, data=1,3,224,224, or a dimension that it names, batch=4. Several "
    "sizes in braces and quotes, 'x=1,3,48,{160,320}' or 'batch={1,4}', give one package that takes each.",
)
_with = click.option(
    "--with",
    "parameters",
    type=PARAMETER,
    multiple=True,
    help="Set a parameter of an operator's function: M=1024, dtype=float16. [default: the function's own]",
)
_fix = click.option(
    "--fix",
    "fixed",
    type=FIXED,
    multiple=True,
    help="Fix an input of an ONNX file to one value: sr=16000, flag=true, sizes=[1,2]. The package does not "
    "take it any more, and what depends on it is decided while importing.",
)
_inputs = click.option(
    "--inputs",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Arrays by the names of a model's inputs, on which answers are compared, or of an operator's arguments, on "
    "which all of its kernels run. [default: random ones that suit it]",
)
_seed = click.option("--seed", type=SEED, default=0, show_default=True, help="Of the search and the test input.")
_target = click.option(
    "--target",
    type=TARGET,
    default="",
    metavar="JSON",
    help='Instead of what is derived for the board: {"mcpu": "cortex-a76"} changes that field, null leaves one out; '
    "`farm devices show` prints the whole.",
)
_fresh = click.option(
    "--fresh", is_flag=True, help="Measure also what the log has measured on this class of device before."
)
_output = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the package goes; of several classes of device a folder each. [default: ./<model>-tuned]",
)
_force = click.option(
    "--force", is_flag=True, help="Put the package among other files of DIR, or over another model's."
)
_detach = click.option(
    "--detach", is_flag=True, help="Submit and return; fetch the package with `farm jobs watch ID -o DIR`."
)
_json = click.option(
    "--json", "as_json", is_flag=True, help="The finished job as JSON on standard output, progress on standard error."
)


@dataclass(frozen=True)
class Request:
    """The options that both commands have, by the names of click's parameters; the help texts say what they mean."""

    model: Path
    pool: str
    device_class: str
    shapes: tuple[Shape, ...]
    fixed: tuple[Parameter, ...]
    parameters: tuple[Parameter, ...]
    inputs: Path | None
    seed: int
    target: str
    priority: int
    wait_s: float | None
    output: Path | None
    force: bool
    detach: bool
    as_json: bool
    connection: Connection

    def job(self, kind: JobKind, **more: Any) -> JobRequest:
        """What is asked of the tracker. ``more``: what only one of the commands has. Raises BadInput."""
        from tvm_farm.tracker.client.asking.request import job_request

        return job_request(
            kind,
            self.model,
            pool=self.pool,
            device_class=self.device_class,
            shapes=self.shapes,
            fix=self.fixed,
            parameters=self.parameters,
            inputs=self.inputs,
            target=self.target,
            seed=self.seed,
            priority=self.priority,
            names=OPTIONS,
            **more,
        )


def model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Which model, for which devices: what the help text begins with."""
    return _model(_pool(_class(command)))


def request_options(with_fresh: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """All others, and ``request: Request`` for the command in place of them and of ``model_options``.

    ``with_fresh``: also --fresh, which the command gets by itself.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def gathered(**given: Any) -> None:
            command(request=Request(**{each.name: given.pop(each.name) for each in fields(Request)}), **given)

        fresh = [_fresh] if with_fresh else []
        options = [
            _shape,
            _fix,
            _with,
            _inputs,
            _seed,
            _target,
            *fresh,
            priority_option,
            wait_option,
            _output,
            _force,
            _detach,
            _json,
        ]
        for option in reversed([*options, connection_options()]):
            gathered = option(gathered)
        return gathered

    return decorate
