"""``farm records best``: the fastest known schedules, of all there is or of one model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.records.filters import of_class, of_pool
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import OPTIONS, json_option
from tvm_farm.tracker.cli.terminal.parsing import FIXED, PARAMETER, SHAPE, TARGET, WholeNumber
from tvm_farm.tracker.client.errors import BadInput

if TYPE_CHECKING:
    from tvm_farm.tracker.client.asking.request import JobRequest
    from tvm_farm.tracker.domain import Parameter, Shape

__all__ = ["best"]


@click.command("best")
@click.argument("model", type=click.Path(path_type=Path), metavar="[MODEL]", required=False)
@click.option("--workload", "workloads", multiple=True, metavar="KEY", help="A workload's key; several may be given.")
@of_pool
@of_class
@click.option(
    "--target",
    type=TARGET,
    default="",
    metavar="JSON",
    help="Built for exactly this target; with MODEL what is different from the one derived for the class.",
)
@click.option(
    "-n",
    "--per-workload",
    type=WholeNumber(1),
    metavar="N",
    help="How many of each workload. [default: 1]",
)
@click.option(
    "--shape", "shapes", type=SHAPE, multiple=True, help="Fix an input that MODEL leaves open: data=1,3,224,224."
)
@click.option(
    "--fix",
    "fixed",
    type=FIXED,
    multiple=True,
    help="Fix an input of MODEL to one value, as for `farm tune`: sr=16000.",
)
@click.option("--with", "parameters", type=PARAMETER, multiple=True, help="Set a parameter of an operator's function.")
@json_option
@connection_options()
def best(
    model: Path | None,
    workloads: tuple[str, ...],
    pool: str,
    device_class: str,
    target: str,
    per_workload: int | None,
    shapes: tuple[Shape, ...],
    fixed: tuple[Parameter, ...],
    parameters: tuple[Parameter, ...],
    as_json: bool,
    connection: Connection,
) -> None:
    """Show the fastest known schedules, or a MODEL's gain.

    With MODEL, a model's file or an operator FILE.py:NAME, it is what that would gain now, without tuning:
    a tuning worker looks up each of its operators in the log, for each class of the pool, and stops there.
    No board is used. `farm compile` makes a package of what it finds.

    \b
    Examples:
      farm records best --pool arm64 --json > best.json
      farm records best resnet50.onnx --pool arm64
    """
    if model is not None:
        if workloads or per_workload is not None:
            raise BadInput("Of a MODEL the one fastest of each of its operators is shown: leave out --workload and -n.")
        if not pool:
            raise BadInput("Of a MODEL it must be known for which devices: name a pool with --pool, see `farm pools`.")
        from tvm_farm.tracker.client.asking.request import job_request
        from tvm_farm.tracker.domain import JobKind

        asked = job_request(
            JobKind.ESTIMATE,
            model,
            pool=pool,
            device_class=device_class,
            shapes=shapes,
            fix=fixed,
            parameters=parameters,
            target=target,
            names=OPTIONS,
        )
        _of_model(asked, as_json=as_json, connection=connection)
        return
    if shapes:
        raise BadInput("--shape fixes an input of a MODEL, and none is named; `farm records query` finds by shape.")
    if fixed:
        raise BadInput("--fix fixes an input of a MODEL, and none is named.")
    if parameters:
        raise BadInput("--with sets a parameter of an operator, and none is named: write FILE.py:NAME.")
    from tvm_farm.tracker.cli.records.table import print_records

    with connection.open() as client:
        found = client.log.best(
            workloads, pool=pool, device_class=device_class, target=target, per_workload=per_workload or 1
        )
    print_records(found, client.now_s(), as_json=as_json)


def _of_model(asked: JobRequest, *, as_json: bool, connection: Connection) -> None:
    from tvm_farm.tracker.cli.jobs.watching import watch_estimates
    from tvm_farm.tracker.cli.reports.estimates import print_estimates

    with connection.open() as client:
        jobs = watch_estimates(client.submit(asked))
    print_estimates(jobs, as_json=as_json)
