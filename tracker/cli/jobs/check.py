"""``farm check``: what a model is and whether it will be tuned, before a board is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.terminal.completing import class_names, pool_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import OPTIONS, json_option
from tvm_farm.tracker.cli.terminal.parsing import FIXED, PARAMETER, SHAPE
from tvm_farm.tracker.cli.terminal.waiting import wait_option
from tvm_farm.tracker.client.errors import BadInput

if TYPE_CHECKING:
    from tvm_farm.tracker.domain import Parameter, Shape

__all__ = ["check"]


@click.command("check")
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL")
@click.option(
    "--pool",
    default="",
    shell_complete=pool_names,
    help="Hold its tasks against what the device classes of this pool can do.",
)
@click.option(
    "--class",
    "device_class",
    default="",
    shell_complete=class_names,
    metavar="CLASS",
    help="Of the pool this class alone.",
)
@click.option(
    "--shape",
    "shapes",
    type=SHAPE,
    multiple=True,
    help="Fix an input that the file leaves open, data=1,3,224,224, or a dimension that it names, batch=4, also to "
    "several sizes, as for `farm tune`.",
)
@click.option(
    "--fix",
    "fixed",
    type=FIXED,
    multiple=True,
    help="Fix an input of an ONNX file to one value, as for `farm tune`: sr=16000, flag=true.",
)
@click.option("--with", "parameters", type=PARAMETER, multiple=True, help="Set a parameter of an operator's function.")
@click.option(
    "--inputs",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Arrays by the inputs' names, on which the import is compared. [default: random ones that suit the model]",
)
@click.option("--fresh", is_flag=True, help="Measure the peaks again; the better ones count.")
@wait_option
@json_option
@connection_options()
def check(
    model: Path,
    pool: str,
    device_class: str,
    shapes: tuple[Shape, ...],
    fixed: tuple[Parameter, ...],
    parameters: tuple[Parameter, ...],
    inputs: Path | None,
    fresh: bool,
    wait_s: float | None,
    as_json: bool,
    connection: Connection,
) -> None:
    """Look at MODEL before a board is asked for: will it be tuned?

    MODEL is a model's file, ONNX, TFLite or .pt2, or an operator, FILE.py:NAME, as for `farm tune`. A tuning worker
    imports it, compares the import with the original and tells what there is: inputs, outputs, operators and who
    converts them, parameters, arithmetic, memory and tasks; or all that is in the way, each node by its name. It needs
    neither a board nor a pool.

    With --pool each task is held against the peaks of each class of device: is it bound by memory or by compute, and
    how long does it take at least? Two small kernels measure the peaks on a device of the class once; after that the
    log knows them, and no board is asked.

    Exits with 0 if it will be tuned, with 2 if something is in the way.

    \b
    Examples:
      farm check resnet50.onnx
      farm check resnet50.onnx --shape data=1,3,224,224 --pool arm64
      farm check face.tflite --json > check.json
    """
    if fresh and not pool:
        raise BadInput("--fresh measures a pool's peaks again: name the pool with --pool as well.")
    if device_class and not pool:
        raise BadInput("--class chooses one of a pool's classes: name the pool with --pool as well.")
    from tvm_farm.tracker.cli.jobs.waiting import submit_once_there_is_a_board
    from tvm_farm.tracker.cli.jobs.watching import watch_estimates
    from tvm_farm.tracker.cli.reports.check_report import print_checks
    from tvm_farm.tracker.client.asking.request import job_request
    from tvm_farm.tracker.domain import JobKind

    asked = job_request(
        JobKind.CHECK,
        model,
        pool=pool,
        device_class=device_class,
        shapes=shapes,
        fix=fixed,
        parameters=parameters,
        inputs=inputs,
        fresh=fresh,
        names=OPTIONS,
    )
    if inputs is not None and asked.spec.operator:
        raise BadInput("--inputs is for a model, whose import is compared with the original: an operator has no other.")
    with connection.open() as client:
        jobs = watch_estimates(submit_once_there_is_a_board(client, asked, wait_s))
    print_checks(jobs, as_json=as_json)
