"""What came of several jobs, one a class of device: each by itself, and the table across them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tvm_farm.tracker.cli.reports.group_progress import short_names
from tvm_farm.tracker.cli.reports.results import print_result
from tvm_farm.tracker.cli.terminal.formats import UNKNOWN, count, latency, short_target, speedup
from tvm_farm.tracker.cli.terminal.output import table
from tvm_farm.tracker.cli.terminal.tables import Grid
from tvm_farm.tracker.domain import DeviceState, Job, JobGroup

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm

__all__ = ["across", "devices_by_class", "print_results"]


def across(jobs: Sequence[Job], devices: Mapping[str, int]) -> Grid:
    """The table across classes, a row a job. ``devices``: how many each class has now."""
    names = short_names([job.device_class for job in jobs])
    return table(
        ["class", ">devices", "target*", ">untuned", ">tuned", ">gain", ">trials", "outputs"],
        [_row(names[job.device_class], job, devices.get(job.device_class, 0)) for job in jobs],
        spare=("target", "trials", "devices", "untuned"),
    )


def _row(name: str, job: Job, devices: int) -> Sequence[str]:
    row = (name, count(devices), short_target(job.target))
    if job.result is None:
        return (*row, UNKNOWN, UNKNOWN, UNKNOWN, count(job.trials), job.state.value)
    model = job.result.latency
    gain = "kept" if job.result.kept_untuned else speedup(model.untuned_s, model.tuned_s)
    answers = ("equal" if job.result.outputs_equal else "DIFFERENT") if model.measured else "estimated"
    if answers == "equal" and job.result.nothing_compared:
        answers = "none finite"
    return (*row, latency(model.untuned_s), latency(model.tuned_s), gain, count(job.trials), answers)


def print_results(screen: Console, group: JobGroup, devices: Mapping[str, int]) -> None:
    """What came of each job that is done, and of several the table across them. ``devices``: as for ``across``."""
    if group.alone:
        print_result(screen, group.first)
        return
    for job in group.done:
        screen.print(Text(job.device_class, "bold"))
        print_result(screen, job)
        screen.print()
    screen.print(across(group.jobs, devices))
    if not all(job.result.latency.measured for job in group.done if job.result is not None):
        told = "estimated: the weighted sum of its tasks, since no device of that class runs whole models."
        screen.print(Text(told, "dim"))
    screen.print()


def devices_by_class(client: Farm, group: JobGroup) -> Counter[str]:
    """How many devices of its pool are there, by class; empty for one job, which has no table across classes."""
    if group.alone:
        return Counter()
    devices = client.devices.list(group.spec.pool)
    return Counter(d.device_class for d in devices if d.state not in (DeviceState.LOST, None))
