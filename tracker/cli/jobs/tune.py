"""``farm tune`` and ``farm compile``: a model or an operator in, a faster one out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracker.cli.jobs.conclusion import conclude, finish
from tracker.cli.jobs.submission import check_inputs, submit
from tracker.cli.models.subject import check_templates, subject_of
from tracker.cli.terminal.connection import Connection, connection_options
from tracker.cli.terminal.options import priority_option
from tracker.cli.terminal.parsing import COUNT, DURATION, FIXED, PARAMETER, SEED, SHAPE, TARGET
from tracker.client.errors import BadInput, Interrupted
from tracker.client.user import user_name
from tracker.domain.engine import ENGINES

if TYPE_CHECKING:
    from tracker.client.farm_client import FarmClient
    from tracker.domain import JobSpec, Parameter, Shape

__all__ = ["compile_model", "tune"]

DEFAULT_BUDGET_S = 600.0

_model = click.argument("model", type=click.Path(path_type=Path), metavar="MODEL")
_pool = click.option("--pool", required=True, help="Which devices: a pool's name, see `farm pools`.")
_class = click.option(
    "--class",
    "device_class",
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


@click.command()
@_model
@_pool
@_class
@click.option(
    "--tuner",
    type=click.Choice(ENGINES),
    default="ansor",
    show_default=True,
    help="What proposes schedules: ansor by rules, autotvm by templates with knobs, auto for each operator the one "
    "that finds more in its share of the trials.",
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
@_shape
@_fix
@_with
@_inputs
@_seed
@_target
@_fresh
@priority_option
@_output
@_force
@_detach
@_json
@connection_options()
def tune(
    model: Path,
    pool: str,
    device_class: str,
    tuner: str,
    templates: tuple[Path, ...],
    trials: int | None,
    budget: float | None,
    shapes: tuple[Shape, ...],
    fixed: tuple[Parameter, ...],
    parameters: tuple[Parameter, ...],
    inputs: Path | None,
    seed: int,
    target: str,
    fresh: bool,
    priority: int,
    output: Path | None,
    force: bool,
    detach: bool,
    as_json: bool,
    connection: Connection,
) -> None:
    """Tune MODEL on the devices of a pool: a model, or an operator in a Python file.

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
    from tracker.domain import Artifact, JobKind, JobSpec

    subject = subject_of(model, shapes, parameters, fixed)
    check_templates(templates, tuner)
    notice = ""
    if trials is None and budget is None:
        budget, notice = DEFAULT_BUDGET_S, "Tuning for 10 minutes (choose with --budget or --trials)."
    spec = JobSpec(
        kind=JobKind.TUNE,
        model_name=subject.name,
        model=Artifact("", 0),
        pool=pool,
        engine=tuner,
        max_trials=trials or 0,
        budget_s=budget or 0.0,
        shapes=shapes,
        fixed=fixed,
        operator=subject.operator,
        parameters=parameters,
        seed=seed,
        user=user_name(),
        priority=priority,
        device_class=device_class,
        target=target,
        fresh=fresh,
    )
    run(
        connection,
        subject.path,
        spec,
        output,
        force=force,
        detach=detach,
        as_json=as_json,
        notice=notice,
        templates=templates,
        inputs=inputs,
    )


@click.command("compile")
@_model
@_pool
@_class
@_shape
@_fix
@_with
@_inputs
@_seed
@_target
@priority_option
@_output
@_force
@_detach
@_json
@connection_options()
def compile_model(
    model: Path,
    pool: str,
    device_class: str,
    shapes: tuple[Shape, ...],
    fixed: tuple[Parameter, ...],
    parameters: tuple[Parameter, ...],
    inputs: Path | None,
    seed: int,
    target: str,
    priority: int,
    output: Path | None,
    force: bool,
    detach: bool,
    as_json: bool,
    connection: Connection,
) -> None:
    """Compile MODEL with the best schedules the farm already knows; no tuning.

    MODEL is a model's file or an operator, FILE.py:NAME, as for `farm tune`.

    \b
    Example:
      farm compile resnet50.onnx --pool arm64 -o resnet50-rpi4
    """
    from tracker.domain import Artifact, JobKind, JobSpec

    subject = subject_of(model, shapes, parameters, fixed)
    spec = JobSpec(
        kind=JobKind.COMPILE,
        model_name=subject.name,
        model=Artifact("", 0),
        pool=pool,
        shapes=shapes,
        fixed=fixed,
        operator=subject.operator,
        parameters=parameters,
        seed=seed,
        user=user_name(),
        priority=priority,
        device_class=device_class,
        target=target,
    )
    run(connection, subject.path, spec, output, force=force, detach=detach, as_json=as_json, inputs=inputs)


def run(
    connection: Connection,
    model: Path,
    spec: JobSpec,
    output: Path | None,
    *,
    force: bool,
    detach: bool,
    as_json: bool,
    notice: str = "",
    templates: Sequence[Path] = (),
    inputs: Path | None = None,
) -> None:
    """Submit, say ``notice``, watch, fetch, print. Ends the command with the job's exit code."""
    if detach and (output is not None or force):
        raise BadInput("--detach returns before there is a package: give -o to `farm jobs watch ID -o DIR` later.")
    folder = output or Path(f"{spec.model_name}-tuned")
    if not detach:
        check(folder, force, spec.model_name)
    check_inputs(inputs, spec.shapes)
    with connection.open() as client:
        try:
            job = submit(client, model, spec, templates, inputs)
        except KeyboardInterrupt:
            raise Interrupted("\nInterrupted before the job was submitted; nothing runs.") from None
        if notice:
            click.echo(notice, err=True)
        if job.group:
            run_group(client, job.group, folder, detach=detach, as_json=as_json)
        elif detach:
            from tracker.cli.jobs.watching import come_back
            from tracker.cli.terminal.output import print_json

            if as_json:
                print_json(job)
            else:
                click.echo(f"Job {job.id} submitted.\n{come_back(job.id)}")
                click.echo(f"Package:    farm jobs watch {job.id} -o DIR")
        else:
            conclude(finish(client, job.id, folder, force=force, as_json=as_json), as_json=as_json)


def run_group(client: FarmClient, group: str, folder: Path, *, detach: bool, as_json: bool) -> None:
    """The same from the submission on, for the jobs that became of it."""
    from tracker.cli.jobs.group_results import announcement, conclude_group, finish_group
    from tracker.cli.jobs.watching import come_back
    from tracker.cli.terminal.output import print_json

    jobs = client.group(group)
    click.echo(announcement(jobs), err=True)
    if not detach:
        conclude_group(finish_group(client, jobs, folder, as_json=as_json), as_json=as_json)
    elif as_json:
        print_json({"group": group, "jobs": jobs})
    else:
        click.echo(f"Jobs {', '.join(job.id for job in jobs)} submitted.\n{come_back(group)}")
        click.echo(f"Packages:   farm jobs watch {group} -o DIR")


def check(folder: Path, force: bool, model: str) -> None:
    from tracker.cli.packages.package import check_destination

    check_destination(folder, force, model)
