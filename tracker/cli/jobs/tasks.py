"""``farm tasks``: what a job searches, and the knobs that it has to turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tvm_farm.tracker.cli.terminal.completing import job_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import json_option
from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.documents.jobs import task_document
from tvm_farm.tracker.documents.spaces import space_of

if TYPE_CHECKING:
    from rich.console import Console

    from tvm_farm.tracker.domain import Job, Task

__all__ = ["tasks"]


@click.group()
def tasks() -> None:
    """Show a job's operators, each with the space of its schedules."""


@tasks.command("show")
@click.argument("name", metavar="JOB[/N]", shell_complete=job_names)
@json_option
@connection_options()
def show_tasks(name: str, as_json: bool, connection: Connection) -> None:
    """Show a job's tasks with their templates, or the knobs of one.

    A space depends on the shapes that the model's operators have once TVM has fused them, and on the target: only a
    tuning worker knows both. So this prints what the job's worker reported, from the moment it has found the tasks.
    Searched by rules (--tuner ansor) a task has no knobs.

    \b
    Examples:
      farm tasks show squeezenet-ab2c
      farm tasks show squeezenet-ab2c/4
    """
    from tvm_farm.tracker.cli.terminal.output import console, print_json

    job_id, _, number = name.partition("/")
    with connection.open() as client:
        job = client.jobs.get(job_id)
    if not number:
        if as_json:
            print_json([task_document(task) for task in job.tasks])
        else:
            _print_all(console(), job)
        return
    if not number.isdecimal() or int(number) >= len(job.tasks):
        last = f"its tasks are {job.id}/0 to {job.id}/{len(job.tasks) - 1}" if job.tasks else "it has no tasks yet"
        raise BadInput(f"Job {job.id} has no task {number}: {last}.")
    task = job.tasks[int(number)]
    if as_json:
        print_json(task_document(task))
    else:
        _print_one(console(), task)


def _print_all(screen: Console, job: Job) -> None:
    from tvm_farm.tracker.cli.terminal.formats import count
    from tvm_farm.tracker.cli.terminal.output import table

    if not job.tasks:
        click.echo(f"Job {job.id} has no tasks yet: its model is not read before a worker takes it up.", err=True)
        return
    rows = []
    for task in job.tasks:
        space = space_of(task)
        template = space.get("template") or f"none, {space.get('engine', job.spec.engine)}"
        if "passed_over" in space:
            template = f"not {space['passed_over']} but {space['engine']}"
        points = _points(space)
        knobs = count(len(space["knobs"])) if "knobs" in space else ""
        rows.append((task.id, task.name, count(task.weight), template, knobs, points, count(task.trials)))
    screen.print(
        table(
            ["task", "name*", ">calls", "template", ">knobs", ">points", ">trials"],
            rows,
            spare=("points", "knobs", "calls"),
        )
    )


def _points(space: dict[str, Any]) -> str:
    """How many points it has, those left out that cannot work; ``<`` where these were too many to count."""
    from tvm_farm.tracker.cli.terminal.formats import count

    if "size" not in space:
        return ""
    return count(space["valid"]) if space["valid"] is not None else f"< {count(space['size'])}"


def _print_one(screen: Console, task: Task) -> None:
    from tvm_farm.tracker.cli.terminal.formats import count
    from tvm_farm.tracker.cli.terminal.output import facts, table

    space = space_of(task)
    rows = [("task", task.id), ("name", task.name)]
    if "template" not in space:
        why = f"{space['note']}, {space['engine']} searches it" if space else "none, its engine goes by rules"
        screen.print(facts([*rows, ("template", why)]))
        return
    valid = space["valid"]
    size = f"{count(space['size'])} points" + (f", {count(valid)} of them valid" if valid is not None else "")
    limits = [("limit" if not number else " ", reason) for number, reason in enumerate(space["limits"])]
    screen.print(facts([*rows, ("template", space["template"]), ("space", size), *limits]))
    screen.print()
    knobs = [(knob["name"], knob["kind"], count(knob["size"]), "  ".join(knob["options"])) for knob in space["knobs"]]
    screen.print(table(["knob", "kind", ">options", "values~"], knobs))
