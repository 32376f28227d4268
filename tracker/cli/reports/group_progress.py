"""What the jobs of a group look like while they run: a line a class of device, and the tasks of the one at work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.text import Text

from tvm_farm.tracker.cli.reports.progress import (
    LiveView,
    PlainView,
    Progress,
    View,
    by_time_share,
    estimate,
    task_table,
)
from tvm_farm.tracker.cli.terminal.formats import count, latency, speedup
from tvm_farm.tracker.cli.terminal.output import table
from tvm_farm.tracker.cli.terminal.tables import Grid
from tvm_farm.tracker.domain import Job, JobGroup, JobState

__all__ = ["group_rendering", "group_table", "short_names", "view_for"]

#: Of a class's name, where they tell it apart.
_WORDS = 3


def short_names(classes: Sequence[str]) -> dict[str, str]:
    """What tells ``classes`` apart, in few words: of a Raspberry Pi 4 and an old board "raspberry-pi-4".

    That is, without the words that all of them begin or end with, the first three words, or as many as it takes.
    """
    words = [name.split("-") for name in classes]
    shortest = min(map(len, words), default=0)
    begin = end = 0
    while begin < shortest and len({each[begin] for each in words}) == 1:
        begin += 1
    while end < shortest - begin and len({each[-1 - end] for each in words}) == 1:
        end += 1
    if any(each[begin : begin + 1] and each[begin].isdigit() for each in words):
        begin = max(0, begin - 1)  # a number alone says nothing
    parts = [each[begin : len(each) - end] for each in words]
    for kept in range(_WORDS, max(map(len, parts), default=0) + 1):
        short = ["-".join(part[:kept]) for part in parts]
        if all(short) and len(set(short)) == len(classes):
            return dict(zip(classes, short, strict=True))
    whole = ["-".join(part) for part in parts]
    return dict(zip(classes, whole if all(whole) and len(set(whole)) == len(classes) else classes, strict=True))


def group_table(jobs: Sequence[Job], *, brief: bool = False) -> Grid:
    """One row a class: what its job does, its trials, and the model's latency as far as it is known."""
    names = short_names([job.device_class for job in jobs])
    return table(
        ["class", "job", "state~", ">trials", ">latency", ">speed-up"],
        [(names[job.device_class], job.id, _doing(job), _trials(job), *_latency(job)) for job in jobs],
        ["bold" if job.state is JobState.RUNNING else "" for job in jobs],
        spare=("job", "speed-up", "trials"),
        brief=brief,
    )


def _doing(job: Job) -> str:
    if job.state in (JobState.RUNNING, JobState.QUEUED):
        return job.phase
    return job.error if job.state in (JobState.FAILED, JobState.REFUSED) else job.state.value


def _trials(job: Job) -> str:
    of_all = f" of {count(job.spec.max_trials)}" if job.spec.max_trials else ""
    return f"{count(job.trials)}{of_all}"


def _latency(job: Job) -> tuple[str, str]:
    if job.result is None:
        return latency(estimate(job.tasks).tuned_s), ""
    model = job.result.latency
    return latency(model.tuned_s), speedup(model.untuned_s, model.tuned_s)


class _GroupLiveView(LiveView):
    def __init__(self, screen: Console, group: JobGroup) -> None:
        # Before the display is made, which renders at once.
        self._jobs = {job.id: job for job in group.jobs}
        self._working = {job.id: Progress() for job in group.jobs}
        super().__init__(screen)

    def show(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._working[job.id].update(job, time.monotonic())

    def _render(self) -> RenderableType:
        jobs = list(self._jobs.values())
        running = next((job.id for job in jobs if job.state is JobState.RUNNING), "")
        return group_rendering(jobs, self._working.get(running), time.monotonic(), self._screen.height)


def group_rendering(jobs: Sequence[Job], working: Progress | None, at_s: float, height: int) -> RenderableType:
    """Two lines and one a class, then the job at work with as many of its tasks as ``height`` lines leave room for."""
    spec = jobs[0].spec
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"{spec.kind.value} {spec.model_name}", style="bold")
    head.append(f"  jobs {jobs[0].group}  pool {spec.pool}  {len(jobs)} classes of device")
    lines: list[RenderableType] = [head, group_table(jobs, brief=True)]
    if working is not None and working.job is not None:
        lines.append(Text(" · ".join(working.figures(at_s))))
        ordered = by_time_share(working.job.tasks)
        room = max(1, height - len(jobs) - 12)
        if ordered:
            lines += [Text(), task_table(ordered[:room], brief=True)]
        if len(ordered) > room:
            lines.append(Text(f"+{len(ordered) - room} more", style="dim"))
    return Group(*lines)


class _GroupPlainView:
    """A PlainView a class."""

    def __init__(self, group: JobGroup) -> None:
        names = short_names([job.device_class for job in group.jobs])
        self._views = {job.id: PlainView(name=names[job.device_class]) for job in group.jobs}

    def __enter__(self) -> _GroupPlainView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, job: Job) -> None:
        self._views[job.id].show(job)

    def notice(self, text: str) -> None:
        next(iter(self._views.values())).notice(text)


def view_for(screen: Console, group: JobGroup) -> View:
    """A live display on a terminal, plain lines elsewhere."""
    if screen.is_terminal:
        return LiveView(screen) if group.alone else _GroupLiveView(screen, group)
    return PlainView() if group.alone else _GroupPlainView(group)
