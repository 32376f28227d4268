"""What came of a job: the closing table and the closing line."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from tvm_farm.tracker.cli.reports.check_report import check_line, print_check
from tvm_farm.tracker.cli.reports.estimates import estimate_line, print_estimate, print_meaning
from tvm_farm.tracker.cli.terminal.formats import UNKNOWN, count, gflops, latency, plural, speedup
from tvm_farm.tracker.cli.terminal.output import table
from tvm_farm.tracker.cli.terminal.tables import Grid
from tvm_farm.tracker.documents.spaces import by_rules
from tvm_farm.tracker.documents.verdict import NOTHING_COMPARED, difference, kernels_verdict, verified
from tvm_farm.tracker.domain import Job, JobKind, JobResult, Task, TaskResult

__all__ = [
    "closing_line",
    "closing_line_of",
    "print_result",
]

#: A model that takes so many times what its kernels take is told about.
_CALLS_TOLD = 1.5
#: Operators without a template that are named.
_NAMED = 3


def closing_line(model_name: str, result: JobResult) -> str:
    """``squeezenet: 241.3 ms -> 12.1 ms (19.9x), equal to ONNX Runtime (max |diff| 3e-07)``."""
    model = result.latency
    if not model.tuned_s:
        return f"{model_name}: latency not measured, outputs not compared"
    gain = speedup(model.untuned_s, model.tuned_s)
    line = f"{model_name}: {latency(model.untuned_s)} -> {latency(model.tuned_s)} ({gain})"
    return f"{line}, {verified(result)}"


def closing_line_of(job: Job, title: str = "") -> str:
    """Of a job with a result. ``title``: in place of its model's name."""
    assert job.result is not None
    if job.spec.kind is JobKind.ESTIMATE:
        return estimate_line(job)
    if job.spec.kind is JobKind.CHECK:
        return check_line(job)
    return closing_line(title or job.spec.model_name, job.result)


def _buckets(result: JobResult) -> Grid:
    """Each shape that the package takes, smallest first, and its worst case: the smallest that is padded to it."""
    rows = [
        [
            bucket.shapes,
            latency(bucket.untuned_s),
            latency(bucket.tuned_s),
            "kept" if bucket.kept_untuned else speedup(bucket.untuned_s, bucket.tuned_s),
            bucket.serves,
            difference(bucket.padded_max_abs_diff) if bucket.padded_from else "",
        ]
        for bucket in result.buckets
    ]
    return table(
        ["shape~", ">untuned", ">tuned", ">speed-up", "answers~", ">max |diff| of these"],
        rows,
        spare=("untuned", "max |diff| of these", "answers"),
    )


def _inputs(result: JobResult) -> str:
    return result.inputs_from or "the same random input"


def _told(result: JobResult, verdict: str) -> str:
    if not result.judge:
        return f"outputs {verdict}"
    preposition = "to" if result.outputs_equal else "from"
    return f"every output {verdict} {preposition} what {result.judge} gives for the original file"


def _calls(result: JobResult) -> str:
    """How much of a small model's time its kernels do not explain, "" of a larger one."""
    kernels_s = result.summed_latency.tuned_s
    if not result.device_name or result.tuned_s < _CALLS_TOLD * kernels_s or not kernels_s:
        return ""
    return (
        f"Of {latency(result.tuned_s)}, {latency(kernels_s)} are the tuned kernels'; the rest is the calls between "
        "them and what is not tuned."
    )


def _names(tasks: Sequence[Task]) -> str:
    names = list(dict.fromkeys(task.name for task in tasks))  # of several shapes each has a task of that name
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _kept(job: Job, result: JobResult) -> str:
    """Why an untuned kernel is in the package, and where the log alone has a faster one."""
    told = "kept: no schedule proved faster beside the untuned one, so that one is in the package."
    kept = {task.name for task in result.tasks if task.kept_untuned and not task.wrong_result}
    faster = [task for task in job.tasks if task.name in kept and 0 < task.best_s < task.untuned_s]
    if result.kept_untuned or not faster:
        return told
    return f"{told} The log has faster timings of {_names(faster)}, which did not hold when they were measured again."


def _task_cells(task: TaskResult) -> list[str]:
    return [
        task.name,
        count(task.weight),
        latency(task.untuned_s),
        latency(task.tuned_s),
        _speedup_of(task),
        gflops(task.flops, task.tuned_s),
        count(task.trials),
    ]


def _speedup_of(task: TaskResult) -> str:
    if task.wrong_result:
        return "wrong"
    return "kept" if task.kept_untuned else speedup(task.untuned_s, task.tuned_s)


def print_result(screen: Console, job: Job) -> None:
    """The table of tasks, most time first, the model's row, then what a reader must know to trust it."""
    result = job.result
    if result is None:
        return
    if job.spec.kind is JobKind.ESTIMATE:
        print_estimate(screen, job)
        print_meaning(screen, [job])
        return
    if job.spec.kind is JobKind.CHECK:
        print_check(screen, [job])
        return
    tasks = sorted(result.tasks, key=lambda t: t.weight * t.tuned_s, reverse=True)
    whole = result.latency
    flops = sum(task.weight * task.flops for task in tasks)
    model = [
        job.spec.model_name + ("" if whole.measured else " (sum of tasks)"),
        "",
        latency(whole.untuned_s),
        latency(whole.tuned_s),
        "kept" if result.kept_untuned else speedup(whole.untuned_s, whole.tuned_s),
        # The tasks are those of all shapes, the latency is that of one.
        UNKNOWN if result.buckets else gflops(flops, whole.tuned_s),
        count(sum(task.trials for task in tasks)),
    ]
    alone = bool(job.spec.operator) and len(tasks) == 1  # and its row is the operator's
    grid = table(
        ["task*", ">weight", ">untuned", ">tuned", ">speed-up", ">GFLOP/s", ">trials"],
        [*map(_task_cells, tasks), *([] if alone else [model])],
        [*("dim" if task.kept_untuned else "" for task in tasks), *([] if alone else ["bold"])],
        spare=("weight", "GFLOP/s", "trials", "untuned"),
    )
    screen.print(grid)
    screen.print()
    if result.buckets:
        screen.print(_buckets(result))
        if any(bucket.padded_from for bucket in result.buckets):
            told = "A smaller input takes as long as the shape that it is padded to. max |diff|: the package's answer "
            screen.print(Text(f"{told}to the smallest, beside {result.judge}'s to it as it is.", "dim"))
        screen.print()
    if result.kept_untuned or any(task.kept_untuned and not task.wrong_result for task in tasks):
        screen.print(Text(_kept(job, result), "dim"))
    strangers, passed_over = by_rules(job)
    if strangers:
        them = "it" if len(strangers) == 1 else "them"
        screen.print(Text(f"No template matched {_names(strangers)}: ansor searched {them}.", "dim"))
    if passed_over:
        names = _names(passed_over)
        screen.print(Text(f"ansor searched {names}: it finds more there than the template that matches.", "dim"))
    if kernels := kernels_verdict(result):
        told = f"Each tuned kernel ran beside its untuned one on one device with {_inputs(result)}: {kernels}, "
        screen.print(Text(f"{told}tolerance: rtol {result.rtol:.2g}, atol {result.atol:.2g}."))
    if whole.measured:
        verdict = "equal" if result.outputs_equal else "DIFFERENT"
        what = "kernel" if job.spec.operator else "model"
        told = f"{_told(result, verdict)}, max |diff| {difference(result.max_abs_diff)} "
        told += f"(tolerance: rtol {result.rtol:.2g}, atol {result.atol:.2g})"
        if result.nothing_compared and result.outputs_equal:
            told = f"{NOTHING_COMPARED}, though each is what it should be"
        screen.print(
            Text(f"Untuned and tuned {what} ran on {result.device_name or UNKNOWN} with {_inputs(result)}: {told}.")
        )
    if calls := _calls(result):
        screen.print(Text(calls, "dim"))
    if job.recalled:
        others = "boards measured the others" if job.recalled < job.trials else "no board measured any"
        told = f"The log answered {count(job.recalled)} of {plural(job.trials, 'trial')}; {others}."
        screen.print(Text(told, "dim"))
    if result.taught_tasks:
        told = f"{result.taught_tasks} of {plural(len(result.tasks), 'task')} began with what was fast on "
        before = ("this class before" if name == job.device_class else name for name in result.taught_by)
        screen.print(Text(told + ", ".join(before) + ".", "dim"))
    elif job.group and job.spec.kind is JobKind.TUNE and job.id != f"{job.group}.1" and not job.recalled:
        # Those of another vector width, say, whose convolutions work on other blocks of channels.
        screen.print(Text("No task began with records of another class: none has measured these operators.", "dim"))
    if result.note:
        screen.print(Text(f"Note: {result.note.rstrip('.')}.", style="yellow"))
