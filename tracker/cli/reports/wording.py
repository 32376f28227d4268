"""What commands say of one job or of several, in sentences and errors."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from tvm_farm.tracker.cli.terminal.formats import count, duration, plural
from tvm_farm.tracker.domain import JobGroup, JobKind, JobState

__all__ = [
    "announcement",
    "cancelled",
    "come_back",
    "fetch_later",
    "fetched",
    "goes_on",
    "submitted",
    "watch_command",
]


def announcement(group: JobGroup) -> str:
    """Which classes are tuned, in which order, and what each has of the budget; "" of one job."""
    if group.alone:
        return ""
    jobs, spec = group.jobs, group.spec
    trials, seconds = sum(job.spec.max_trials for job in jobs), sum(job.spec.budget_s for job in jobs)
    what = "is tuned and gets" if spec.kind is JobKind.TUNE else "gets"
    lines = [f"Pool {spec.pool} has {len(jobs)} classes of device; each {what} a package of its own."]
    if spec.kind is JobKind.TUNE:
        lines.append("They take turns and share the budget; each begins with what was fast on those before it:")
    for number, job in enumerate(jobs, 1):
        shares = [f"{count(job.spec.max_trials)} of {count(trials)} trials"] if trials else []
        shares += [f"{duration(job.spec.budget_s)} of {duration(seconds)}"] if seconds else []
        share = f": {' or '.join(shares)}" if shares else ""
        lines.append(f"  {number}. {job.device_class} ({plural(job.devices, 'device')}){share}")
    return "\n".join(lines)


def submitted(group: JobGroup) -> str:
    jobs, package = ("Job", "Package: ") if group.alone else ("Jobs", "Packages:")
    ids = ", ".join(job.id for job in group.jobs)
    return f"{jobs} {ids} submitted.\n{come_back(group.id)}\n{package}   farm jobs watch {group.id} -o DIR"


def come_back(job_id: str, options: Sequence[str] = ()) -> str:
    """What a person does about a job that goes on without a watcher. ``options``: how its package was to be written."""
    return f"Watch it:   {watch_command(job_id, options)}\nCancel it:  farm jobs cancel {job_id}"


def watch_command(job_id: str, options: Sequence[str] = ()) -> str:
    return shlex.join(["farm", "jobs", "watch", job_id, *options])


def goes_on(group: JobGroup) -> str:
    return f"job {group.id} goes on" if group.alone else f"the {len(group.jobs)} jobs of {group.id} go on"


def cancelled(group: JobGroup) -> str:
    if group.alone:
        return f"Job {group.id} is cancelled."
    ids = ", ".join(job.id for job in group.jobs if job.state is JobState.CANCELLED)
    return f"Jobs {ids} are cancelled."


def fetched(group: JobGroup, folder: Path | None) -> str:
    """Where the packages are, or how to get them."""
    if folder is None:
        return fetch_later(group)
    return f"Package: {folder}" if group.alone else f"Packages: {folder}, a folder a class"


def fetch_later(group: JobGroup, options: Sequence[str] = ("-o", "DIR")) -> str:
    return f"Fetch the {'package' if group.alone else 'packages'}: {watch_command(group.id, options)}"
