"""``farm tune`` and ``farm compile``: a model or an operator in, a faster one out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.jobs.conclusion import Folder, conclude, finish
from tvm_farm.tracker.cli.jobs.request import Request, model_options, request_options
from tvm_farm.tracker.cli.jobs.waiting import submit_once_there_is_a_board
from tvm_farm.tracker.cli.terminal.options import OPTIONS
from tvm_farm.tracker.cli.terminal.parsing import COUNT, DURATION
from tvm_farm.tracker.client.errors import BadInput, Interrupted
from tvm_farm.tracker.domain.engine import ABOUT, DEFAULT_TUNER, ENGINES

if TYPE_CHECKING:
    from tvm_farm.tracker.client.asking.request import JobRequest

__all__ = ["compile_model", "tune"]


@click.command()
@model_options
@click.option(
    "--tuner",
    type=click.Choice(ENGINES),
    default=DEFAULT_TUNER,
    show_default=True,
    help=f"What proposes schedules: {ABOUT}, auto for each operator the one that finds more in its share of the "
    "trials.",
)
@click.option(
    "--template",
    "templates",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A Python file with templates of your own, for auto and the autotvm tuners; may be given several times.",
)
@click.option("--trials", type=COUNT, help="Stop after N measured candidates.")
@click.option(
    "--budget",
    type=DURATION,
    help="Stop after this much tuning: 90s, 30m, 2h. Import, untuned timings and proof come on top. "
    "[default: 10m without --trials]",
)
@request_options(with_fresh=True)
def tune(
    request: Request, tuner: str, templates: tuple[Path, ...], trials: int | None, budget: float | None, fresh: bool
) -> None:
    """Tune MODEL, a file or an operator, on the devices of a pool.

    A model is an ONNX or a TFLite file, or a program that torch.export.save wrote (.pt2).

    What is in the file decides, not its name; a .pt2 needs PyTorch on the tuning worker, the
    extra tvm-farm[torch]. The original file, run by ONNX Runtime, LiteRT or PyTorch, judges the answers.

    Ends with a table of what each operator gained and a package: the compiled library, its
    parameters, a manifest and run.py. With both --trials and --budget, whichever is used up first ends it.
    Ctrl-C stops the watching, not the job.

    Timings are compared within one class of device: same board, CPUs, clock policy and runtime. Where
    the pool has several when the job is submitted, each is tuned and gets a package of its own, in a
    folder DIR/CLASS. --trials and --budget are shared equally, trials that are left over go to the
    classes with most devices, and the classes take turns in that order: each begins with what was fast
    on those before it.

    An operator is written FILE.py:NAME, a function that returns its TE tensors, a TVMScript function
    or an IRModule. The package then holds each kernel as a library, its program and its schedule. A function
    NAME_inputs(rng, ...) beside it, which takes numpy's generator and any of NAME's parameters, returns arrays by the
    arguments' names; --inputs goes before it, and what neither has is random, indices within what they index.

    \b
    Examples:
      farm tune resnet50.onnx --pool arm64 --budget 30m -o resnet50-rpi4
      farm tune face.tflite --pool arm64
      farm tune op.py:my_matmul --pool arm64 --trials 200 --with M=1024
    """
    from tvm_farm.tracker.domain import JobKind

    notice = "" if trials or budget else "Tuning for 10 minutes (choose with --budget or --trials)."
    job = request.job(JobKind.TUNE, tuner=tuner, templates=templates, trials=trials, budget=budget, fresh=fresh)
    run(request, job, notice)


@click.command("compile")
@model_options
@request_options()
def compile_model(request: Request) -> None:
    """Compile MODEL with the log's best schedules, without tuning.

    MODEL is a model's file or an operator, FILE.py:NAME, as for `farm tune`.

    \b
    Example:
      farm compile resnet50.onnx --pool arm64 -o resnet50-rpi4
    """
    from tvm_farm.tracker.domain import JobKind

    run(request, request.job(JobKind.COMPILE))


def run(request: Request, asked: JobRequest, notice: str = "") -> None:
    """Submit, say ``notice``, watch, fetch, print. Ends the command with the exit code of what came of it."""
    from tvm_farm.tracker.cli.reports.wording import announcement, submitted
    from tvm_farm.tracker.cli.terminal.output import print_json
    from tvm_farm.tracker.client.packages.package import check_destination
    from tvm_farm.tracker.documents.jobs import group_document

    if request.detach and (request.output is not None or request.force):
        raise BadInput("--detach returns before there is a package: give -o to `farm jobs watch ID -o DIR` later.")
    folder = Folder(request.output or Path(f"{asked.spec.model_name}-tuned"), request.force)
    if not request.detach:
        check_destination(folder.path, folder.force, asked.owner, OPTIONS)
    with request.connection.open() as client:
        try:
            job = submit_once_there_is_a_board(client, asked, request.wait_s)
        except KeyboardInterrupt:
            raise Interrupted("\nInterrupted before the job was submitted; nothing runs.") from None
        if notice:
            click.echo(notice, err=True)
        if told := announcement(job.group):
            click.echo(told, err=True)
        if not request.detach:
            conclude(finish(job, folder, as_json=request.as_json), as_json=request.as_json)
        elif request.as_json:
            print_json(group_document(job.group))
        else:
            click.echo(submitted(job.group))
