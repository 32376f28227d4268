"""A tune of several classes of device from its submission to its packages, one a class, and the table across them."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from tracker.cli.jobs.group_progress import group_view_for, short_names
from tracker.cli.jobs.results import model_latency, print_result, verified
from tracker.cli.jobs.watching import follow_group, raise_unless_done
from tracker.cli.packages.package import CLASSES, write_package
from tracker.cli.terminal.formats import UNKNOWN, count, duration, latency, plural, short_target, speedup
from tracker.cli.terminal.output import console, jsonable, print_json, table
from tracker.client.errors import BadInput, FarmError, Interrupted
from tracker.domain import DeviceState, Job, JobKind, JobState

if TYPE_CHECKING:
    from tracker.client.farm_client import FarmClient

__all__ = ["across", "announcement", "conclude_group", "devices_by_class", "finish_group"]

#: What classes are made of: see tracker/domain/device_class.py.
_FOLDER = re.compile(r"[\w.-]*\w[\w.-]*")


def announcement(jobs: Sequence[Job]) -> str:
    """Which classes are tuned, in which order, and what each has of the budget."""
    spec = jobs[0].spec
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


def across(jobs: Sequence[Job], devices: Mapping[str, int]) -> Table:
    """The table across classes, a row a job. ``devices``: how many each class has now."""
    names = short_names([job.device_class for job in jobs])
    return table(
        ["class*", ">devices", "target*", ">untuned", ">tuned", ">gain", ">trials", "outputs"],
        [_row(names[job.device_class], job, devices.get(job.device_class, 0)) for job in jobs],
    )


def _row(name: str, job: Job, devices: int) -> Sequence[str]:
    row = (name, count(devices), short_target(job.target))
    if job.result is None:
        return (*row, UNKNOWN, UNKNOWN, UNKNOWN, count(job.trials), job.state.value if job.state else UNKNOWN)
    untuned_s, tuned_s, measured = model_latency(job.result)
    gain = "kept" if job.result.kept_untuned else speedup(untuned_s, tuned_s)
    answers = ("equal" if job.result.outputs_equal else "DIFFERENT") if measured else "estimated"
    if answers == "equal" and job.result.nothing_compared:
        answers = "none finite"
    return (*row, latency(untuned_s), latency(tuned_s), gain, count(job.trials), answers)


def finish_group(client: FarmClient, jobs: Sequence[Job], folder: Path | None, *, as_json: bool) -> list[Job]:
    """Watch the ``jobs`` of a group to their end, fetch their packages into ``folder`` (None: do not) and print what
    came of them.

    Each package goes into a folder named as its class. Returns the jobs as they ended. Raises FarmError where none
    has a result, or a package cannot be written.
    """
    group = jobs[0].group
    screen = console(sys.stderr if as_json else sys.stdout)
    devices = devices_by_class(client, jobs[0].spec.pool)
    jobs = follow_group(client, jobs, group_view_for(screen, jobs))
    done = [job for job in jobs if job.state is JobState.DONE and job.result is not None]
    if not done:
        raise_unless_done(jobs[0])
    if folder is not None:
        _write_packages(client, done, folder)
    if as_json:
        print_json({"group": group, "jobs": list(jobs)})
        return list(jobs)
    for job in done:
        screen.print(Text(job.device_class, "bold"))
        print_result(screen, job)
        screen.print()
    screen.print(across(jobs, devices))
    if not all(model_latency(job.result)[2] for job in done if job.result is not None):
        told = "estimated: the weighted sum of its tasks, since no device of that class runs whole models."
        screen.print(Text(told, "dim"))
    screen.print()
    click.echo(f"Packages: {folder}, a folder a class" if folder is not None else fetch_later(group))
    return list(jobs)


def devices_by_class(client: FarmClient, pool: str) -> Counter[str]:
    """How many of ``pool`` are there, by class."""
    return Counter(d.device_class for d in client.devices(pool) if d.state not in (DeviceState.LOST, None))


def _write_packages(client: FarmClient, jobs: Sequence[Job], folder: Path) -> None:
    group = jobs[0].group
    if odd := [job.device_class for job in jobs if not _FOLDER.fullmatch(job.device_class)]:
        raise FarmError(f"The tracker names a class {odd[0]!r}, which is no name for a folder. Nothing was written.")
    entries = []
    try:
        for job in jobs:
            assert job.result is not None
            write_package(job.result.files, folder / job.device_class, client.get_artifact)
            untuned_s, tuned_s, measured = model_latency(job.result)
            entry = {
                "device_class": job.device_class,
                "folder": job.device_class,
                "job": job.id,
                "target": job.target,
                "untuned_s": untuned_s,
                "tuned_s": tuned_s,
                "measured": measured,
                "trials": job.trials,
                "verified": verified(job.result),
            }
            entries.append(entry)
        content = {"model": jobs[0].spec.model_name, "group": group, "classes": entries}
        whole = folder / f".{CLASSES}.new"
        whole.write_text(json.dumps(jsonable(content), indent=2) + "\n", encoding="utf-8")
        whole.replace(folder / CLASSES)
    except KeyboardInterrupt:
        raise Interrupted(f"\nThe jobs are done, not all packages fetched. {fetch_later(group)}") from None
    except OSError as error:
        raise FarmError(f"Cannot write {folder / CLASSES} ({error.strerror}). {fetch_later(group)}") from error
    except FarmError as error:
        raise type(error)(f"{error.message} The jobs themselves are done. {fetch_later(group)}") from error


def conclude_group(jobs: Sequence[Job], *, as_json: bool = False) -> None:
    """Print the closing lines, one a class; exit with 1 where the outputs of any differ.

    Raises FarmError or BadInput, which name the jobs that have no result.
    """
    from tracker.cli.jobs.conclusion import conclude

    code: str | int | None = 0
    for job in jobs:
        if job.result is None:
            continue
        named = replace(job, spec=replace(job.spec, model_name=f"{job.spec.model_name} on {job.device_class}"))
        try:
            conclude(named, as_json=as_json)
        except SystemExit as differ:
            code = differ.code
    missing = [job for job in jobs if job.result is None]
    if missing:
        reasons = "; ".join(f"{job.id}: {job.error or (job.state and job.state.value)}" for job in missing)
        kind = BadInput if all(job.input_error for job in jobs) else FarmError
        raise kind(f"{len(missing)} of {len(jobs)} classes have no package: {reasons}")
    if code:
        raise SystemExit(code)


def fetch_later(group: str) -> str:
    return f"Fetch the packages: farm jobs watch {group} -o DIR"
