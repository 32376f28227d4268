"""What the log says of a model: a table and a line for each class of device."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import Console
from rich.text import Text

from tvm_farm.tracker.cli.terminal.formats import count, gflops, latency, plural, speedup
from tvm_farm.tracker.cli.terminal.output import console, print_json, table
from tvm_farm.tracker.documents.estimate import Sums, estimate_document, sums
from tvm_farm.tracker.domain import Job, JobGroup, TaskResult

__all__ = ["estimate_line", "print_estimate", "print_estimates", "print_meaning"]

_NAMED = 4
_KEPT = "kept: nothing in the log is faster than the untuned one."
_MEANT = (
    "untuned: each task by itself, in the layout that suits tuning. What TVM makes of the whole model untuned takes "
    "other time: `farm compile` measures it beside the tuned one."
)
_BEST = (
    "best known: the fastest timing in the log, and a fast one is partly luck. `farm compile` measures the fastest "
    "schedules of each task again beside the untuned one, but for tasks that make next to nothing of the model, and "
    "packs what is faster then: its figures may be higher."
)


def estimate_line(job: Job) -> str:
    """``squeezenet: 241.3 ms -> 12.1 ms (19.9x), from the log of 28 of 30 tasks``."""
    tasks = job.result.tasks if job.result else ()
    told = sums(tasks)
    name = job.spec.model_name + (f" on {job.device_class}" if job.group else "")
    if not told.known:
        return f"{name}: nothing is known of its {plural(len(tasks), 'task')} yet; `farm tune` finds out"
    if not told.compared:
        best = latency(told.known_s)
        return (
            f"{name}: {best} known for {told.known} of {plural(len(tasks), 'task')}, no untuned latency to compare with"
        )
    gain = speedup(told.untuned_s, told.best_s)
    figures = f"{latency(told.untuned_s)} -> {latency(told.best_s)} ({gain})"
    return f"{name}: {figures}, from the log of {told.compared} of {plural(len(tasks), 'task')}"


def print_estimate(screen: Console, job: Job) -> None:
    """The tasks, most time first and unknown ones last, their sums, and what these leave out."""
    tasks = job.result.tasks if job.result else ()
    told = sums(tasks)
    ordered = sorted(tasks, key=lambda task: (task.tuned_s > 0, task.weight * task.tuned_s), reverse=True)
    sum_of = f"{job.spec.model_name} (sum of {told.compared} of {plural(len(tasks), 'task')})"
    rows = [[*map(str, _cells(task))] for task in ordered]
    whole = [sum_of, "", latency(told.untuned_s), latency(told.best_s), speedup(told.untuned_s, told.best_s), ""]
    columns = ["task*", ">weight", ">untuned", ">best known", ">gain", ">GFLOP/s"]
    styles = ["" if task.tuned_s > 0 else "dim" for task in ordered] + ["bold"]
    screen.print(table(columns, [*rows, whole], styles, spare=("GFLOP/s", "weight", "untuned")))
    screen.print()
    notes = _notes(told)
    for note in notes:
        screen.print(Text(note, "yellow"))
    if notes:
        screen.print()


def _cells(task: TaskResult) -> Sequence[str]:
    gain = "kept" if task.kept_untuned else speedup(task.untuned_s, task.tuned_s)
    best = (latency(task.tuned_s), gain, gflops(task.flops, task.tuned_s))
    return (task.name, count(task.weight), latency(task.untuned_s), *best)


def _notes(told: Sums) -> list[str]:
    notes = []
    if told.unknown:
        more = f" and {len(told.unknown) - _NAMED} more" if len(told.unknown) > _NAMED else ""
        names = ", ".join(told.unknown[:_NAMED])
        were = "was" if len(told.unknown) == 1 else "were"
        notes.append(f"{plural(len(told.unknown), 'task')} {were} never measured on this class: {names}{more}.")
    if told.known > told.compared:
        alone = told.known - told.compared
        notes.append(
            f"{plural(alone, 'task')} without an untuned latency {'stays' if alone == 1 else 'stay'} out of the sums; "
            f"the best known of all {told.known} add up to {latency(told.known_s)}."
        )
    return notes


def print_meaning(screen: Console, jobs: Sequence[Job]) -> None:
    """What the figures of ``jobs`` are, and what they do not promise."""
    told = [_MEANT, _BEST]
    if any(task.kept_untuned for job in jobs if job.result for task in job.result.tasks):
        told.append(_KEPT)
    for sentence in told:
        screen.print(Text(sentence, "dim"))


def print_estimates(jobs: Sequence[Job], *, as_json: bool) -> None:
    """Each of ``jobs`` that is done: tables and closing lines, or one JSON object. Raises what a failed one means."""
    from tvm_farm.tracker.client.handle import check_done

    done = [job for job in jobs if job.result is not None]
    if as_json:
        print_json(estimate_document(jobs))
    else:
        screen = console()
        for job in done:
            screen.print(Text(job.device_class, "bold"))
            print_estimate(screen, job)
        print_meaning(screen, done)
        for job in done:
            click.echo(estimate_line(job))
    for job in jobs:
        check_done(JobGroup((job,)))
