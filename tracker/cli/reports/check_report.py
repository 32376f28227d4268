"""What a check found: facts, operators, tasks against the peaks of each class, and what is in the way."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import Console
from rich.text import Text

from tvm_farm.tracker.cli.terminal.formats import amount, count, latency, plural, short_target, size
from tvm_farm.tracker.cli.terminal.output import console, facts, print_json, table
from tvm_farm.tracker.documents.check import check_document, check_of
from tvm_farm.tracker.domain import CheckReport, Job, JobGroup, Obstacle, OperatorUse, TaskOutlook, TensorOutline
from tvm_farm.tracker.domain.roofline import Bound, attainable_s, bound, model_attainable_s

__all__ = ["check_line", "print_check", "print_checks"]

#: What may become of a node, as a column's name; those behind the first three only where there are any.
_FATES = {
    "folded": "folded",
    "by_farm": "farm",
    "by_tvm": "TVM",
    "expanded": "expanded",
    "cut": "cut",
    "refused": "refused",
    "unknown": "unknown",
}
_ALWAYS = ("folded", "by_farm", "by_tvm")
_MEANT = {
    "folded": "folded: computed while importing",
    "by_farm": "farm, TVM: whose converter imports it",
    "expanded": "expanded: as the function that ONNX writes it as",
    "cut": "cut: left to ONNX Runtime at the model's end",
    "unknown": "unknown: not looked at, as the shape of an input is not known",
}
_FLOAT32 = "float32"


def print_checks(jobs: Sequence[Job], *, as_json: bool) -> None:
    """Each of ``jobs`` that is done: tables and closing lines, or one JSON object.

    Raises what a failed one means; exits with 2 where something is in the way of one.
    """
    from tvm_farm.tracker.client.handle import check_done

    done = [job for job in jobs if check_of(job) is not None]
    if as_json:
        print_json(check_document(jobs))
    elif done:
        print_check(console(), done)
        for job in done:
            click.echo(check_line(job))
    for job in jobs:
        check_done(JobGroup((job,)))
    if any(report.obstacles for job in done if (report := check_of(job))):
        raise SystemExit(2)


def check_line(job: Job) -> str:
    """``resnet50: will be tuned, 26 tasks, 8.21 GFLOP, 412.3 ms at least``."""
    report = check_of(job)
    assert report is not None
    name = job.spec.model_name + (f" on {job.device_class}" if job.group else "")
    if report.obstacles:
        number = len(report.obstacles)
        return f"{name}: will not be tuned, {plural(number, 'thing')} {'is' if number == 1 else 'are'} in the way"
    line = f"{name}: will be tuned, {plural(len(report.tasks), 'task')}"
    if report.flops:
        line += f", {_flops(report.flops)}"
    if report.peaks is None:
        return line
    return f"{line}, {latency(model_attainable_s(report.tasks, report.peaks))} at least"


def print_check(screen: Console, jobs: Sequence[Job]) -> None:
    """``jobs``: those of one submission that have a report. What is of the file is told once, the rest by class."""
    reports = [(job, report) for job in jobs if (report := check_of(job)) is not None]
    whole = next((report for _, report in reports if not report.obstacles), reports[0][1])
    screen.print(facts([("inputs", _tensors(whole.inputs)), ("outputs", _tensors(whole.outputs))]))
    screen.print()
    if whole.operators:
        _print_operators(screen, whole.operators)
    for job, report in reports:
        if job.device_class:
            screen.print(Text(job.device_class, "bold"))
        screen.print(facts(_figures(job, report)))
        screen.print()
        if report.tasks:
            _print_tasks(screen, job, report)
        for obstacle in report.obstacles:
            screen.print(Text(f"In the way: {_sentence(obstacle)}", "red"))
        for note in report.notes:
            screen.print(Text(note, "yellow"))
        if report.obstacles or report.notes:
            screen.print()
    if meaning := _meaning([report for _, report in reports]):
        screen.print(Text(meaning, "dim"))
        screen.print()


def _sentence(obstacle: Obstacle) -> str:
    where = f"{obstacle.node}: " if obstacle.node else ""
    return f"{where}{obstacle.reason}."


def _tensors(tensors: Sequence[TensorOutline]) -> str:
    return "\n".join(
        f"{tensor.name}  {','.join(tensor.dims) or 'scalar'}  {tensor.dtype}".rstrip() for tensor in tensors
    )


def _figures(job: Job, report: CheckReport) -> list[tuple[str, str]]:
    where = " in the file" if report.in_file else ""
    at = f" at most, in {report.activation_at}" if report.activation_at else ""
    parameters = f"{count(report.parameters)}{where}, {size(report.parameter_bytes)}"
    rows = [
        ("parameters", parameters if report.parameters else ""),
        ("arithmetic", _flops(report.flops) if report.flops else ""),
        ("activations", f"{size(report.activation_bytes)}{at}" if report.activation_bytes else ""),
        ("import", f"answers as {report.judge} does on the original" if report.judge else ""),
        ("tasks for", "" if job.device_class or not report.tasks else f"any CPU ({short_target(job.target)})"),
    ]
    if report.peaks is not None:
        peaks = report.peaks
        figures = f"{_flops(peaks.flops_per_s)}/s of {_FLOAT32}, {amount(peaks.bytes_per_s)}B/s of memory"
        rows.append(("peaks", f"{figures}, measured on {peaks.device_name}{' before' if peaks.from_log else ''}"))
    return rows


def _flops(number: float) -> str:
    """ "8.21 GFLOP"."""
    figure = amount(number)
    return f"{figure}FLOP" if figure[-1].isalpha() else f"{figure} FLOP"


def _print_operators(screen: Console, operators: Sequence[OperatorUse]) -> None:
    fates = [fate for fate in _FATES if fate in _ALWAYS or any(getattr(use, fate) for use in operators)]
    ordered = sorted(operators, key=lambda use: (-use.refused, -use.unknown, -use.nodes, use.name))
    rows = [[use.name, count(use.nodes), *(_cell(getattr(use, fate)) for fate in fates)] for use in ordered]
    nodes = sum(use.nodes for use in operators)
    sums = [count(sum(getattr(use, fate) for use in operators)) for fate in fates]
    columns = ["operator~", ">nodes", *(f">{_FATES[fate]}" for fate in fates)]
    screen.print(
        table(
            columns,
            [*rows, ["all", count(nodes), *sums]],
            [*map(_style, ordered), "bold"],
            spare=[_FATES[fate] for fate in fates],
        )
    )
    screen.print(Text("; ".join(text for fate, text in _MEANT.items() if fate in fates) + ".", "dim"))
    screen.print()


def _style(use: OperatorUse) -> str:
    return "red" if use.refused else "yellow" if use.unknown else ""


def _cell(number: int) -> str:
    return count(number) if number else ""


def _print_tasks(screen: Console, job: Job, report: CheckReport) -> None:
    peaks, tasks = report.peaks, report.tasks
    columns = ["task*", ">calls", ">FLOP", ">bytes"]
    spare = ("FLOP", "bytes", "calls")
    if peaks is None:
        ordered = sorted(tasks, key=lambda task: -task.weight * task.flops)
        screen.print(table(columns, [_figures_of(task) for task in ordered], spare=spare))
    else:
        ordered = sorted(tasks, key=lambda task: -task.weight * attainable_s(task, peaks))
        rows = [[*_figures_of(t), _bound(t, bound(t, peaks)), latency(attainable_s(t, peaks))] for t in ordered]
        whole = [f"{job.spec.model_name} (all calls)", "", amount(report.flops), "", ""]
        whole.append(latency(model_attainable_s(tasks, peaks)))
        styles = [*([""] * len(rows)), "bold"]
        screen.print(table([*columns, "bound by", ">at least"], [*rows, whole], styles, spare=spare))
    screen.print()


def _meaning(reports: Sequence[CheckReport]) -> str:
    """What the figures of the tasks are, "" where there are none."""
    if not any(report.tasks for report in reports):
        return ""
    told = ["FLOP and bytes are of one call. Bytes: what it reads and writes of its arguments, each part counted once."]
    held = [(task, report.peaks) for report in reports if report.peaks for task in report.tasks]
    if held:
        told.append("At least: with all bytes from memory; what a cache still holds comes faster.")
    if any(_odd(task) and bound(task, peaks) is Bound.COMPUTE for task, peaks in held):
        told.append(f"*: the peak is of {_FLOAT32}; in numbers of another type it may be higher.")
    return " ".join(told)


def _figures_of(task: TaskOutlook) -> list[str]:
    return [task.name, count(task.weight), amount(task.flops), size(task.bytes_touched)]


def _odd(task: TaskOutlook) -> bool:
    return task.dtype not in ("", _FLOAT32)


def _bound(task: TaskOutlook, by: Bound) -> str:
    return by.value + ("*" if by is Bound.COMPUTE and _odd(task) else "")
