"""What a job looks like while it runs: figures out of its snapshots, and two ways to show them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from tvm_farm.tracker.cli.terminal.formats import (
    UNKNOWN,
    count,
    duration,
    gflops,
    latency,
    percent,
    plural,
    short_target,
)
from tvm_farm.tracker.cli.terminal.output import table
from tvm_farm.tracker.cli.terminal.tables import Grid
from tvm_farm.tracker.domain import Job, JobKind, JobState, Task
from tvm_farm.tracker.domain.job_life import WAITING

__all__ = ["LiveView", "PlainView", "Progress", "View", "estimate"]

_PACE_WINDOW_S = 30.0


@dataclass(frozen=True)
class Estimate:
    """A model's latency as the weighted sum of its tasks. Seconds; 0 until every task is known.

    What the tasks take untuned is no measure of the gain: they stand in the layout that suits tuning, not in the
    model's own. The gain is told when both models were run.
    """

    tuned_s: float
    known: int


def now_s(task: Task) -> float:
    """The latency that this task would have in the package, as known now; 0 when nothing is."""
    known = [seconds for seconds in (task.best_s, task.untuned_s) if seconds > 0]
    return min(known, default=0.0)


def estimate(tasks: Sequence[Task]) -> Estimate:
    """Each task counts as often as the model calls it, at the better of its best and its untuned latency."""
    known = sum(1 for task in tasks if now_s(task) > 0)
    everything = len(tasks) > 0
    return Estimate(
        tuned_s=sum(t.weight * now_s(t) for t in tasks) if everything and known == len(tasks) else 0.0,
        known=known,
    )


def by_time_share(tasks: Sequence[Task]) -> list[Task]:
    """The tasks the model spends most time in first; those not measured yet by their arithmetic, after the others."""
    return sorted(tasks, key=lambda t: (t.weight * now_s(t), t.weight * t.flops), reverse=True)


@dataclass
class Progress:
    """The latest snapshot of a job, and its pace over the last half minute. Times by one monotonic clock."""

    job: Job | None = None
    seen_at_s: float = 0.0
    #: When, how many trials were answered, and how many of them by boards.
    _trials: deque[tuple[float, int, int]] = field(default_factory=deque)

    def update(self, job: Job, at_s: float) -> None:
        self.job, self.seen_at_s = job, at_s
        self._trials.append((at_s, job.trials, job.trials - job.recalled))
        while len(self._trials) > 2 and self._trials[1][0] < at_s - _PACE_WINDOW_S:
            self._trials.popleft()

    def trials_per_s(self, at_s: float) -> float:
        """0 while unknown: a pace needs two snapshots, a second apart."""
        if not self._trials:
            return 0.0
        (since_s, before, on_boards), (_, now, by_now) = self._trials[0], self._trials[-1]
        if at_s - since_s < 1.0:
            return 0.0
        # The log answers at once, and then no more: what boards do tells how it goes on.
        return max(0, by_now - on_boards or now - before) / (at_s - since_s)

    def left_s(self, at_s: float) -> float | None:
        """Seconds until the budget or the trials are used up, whichever comes first; None while unknown."""
        job = self.job
        if job is None or job.state is not JobState.RUNNING or job.phase != "tuning":
            return None
        left = []
        if job.spec.budget_s > 0:
            left.append(job.spec.budget_s - job.tuned_for_s - (at_s - self.seen_at_s))
        pace = self.trials_per_s(at_s)
        if job.spec.max_trials > 0 and pace > 0:
            left.append((job.spec.max_trials - job.trials) / pace)
        return max(0.0, min(left)) if left else None

    def doing(self) -> str:
        """What happens now, in words."""
        job = self.job
        if job is None:
            return "waiting for the tracker"
        if job.state is JobState.QUEUED:
            told = job.phase or WAITING
            return f"{told} (`tracker worker` adds one)" if told == WAITING else told
        return job.phase or job.state.value

    def figures(self, at_s: float) -> list[str]:
        """The line under the header, in parts."""
        job = self.job
        if job is None:
            return []
        parts = [self.doing()]
        if job.spec.kind is JobKind.TUNE and job.tasks:
            told = [f"{count(failed)} failed"] if (failed := sum(task.failed for task in job.tasks)) else []
            told += [f"{count(job.recalled)} from the log"] if job.recalled else []
            pace = self.trials_per_s(at_s)
            of_all = f" of {count(job.spec.max_trials)}" if job.spec.max_trials else ""
            parts.append(f"{count(job.trials)}{of_all} trials" + (f" ({', '.join(told)})" if told else ""))
            if pace:
                parts.append(f"{pace:.1f}/s")
            left = self.left_s(at_s)
            if left is not None:
                parts.append(f"{duration(left)} left" if left else "the budget is used up, it ends")
        if job.state is JobState.RUNNING and not job.spec.kind.answers_only:
            if job.devices:
                parts.append(f"{plural(job.devices, 'device')} {percent(job.utilisation)} busy")
            else:
                parts.append("no device connected")
        return parts

    def estimate_line(self) -> str:
        """The model's latency as far as it is known; "" before there are tasks."""
        if self.job is None or not self.job.tasks:
            return ""
        guess = estimate(self.job.tasks)
        if not guess.tuned_s:
            return (
                f"estimated model latency {UNKNOWN} ({guess.known} of {plural(len(self.job.tasks), 'task')} measured)"
            )
        return f"estimated model latency {latency(guess.tuned_s)}"


class View(Protocol):
    """Somewhere to show a running job. Entered before the first snapshot, left before anything else is printed."""

    def __enter__(self) -> View: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, job: Job) -> None: ...

    def notice(self, text: str) -> None: ...


class LiveView:
    """A table that redraws itself in place, as tall as the terminal allows; gone when the job is."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._progress = Progress()
        self._live = Live(
            console=screen, get_renderable=self._render, refresh_per_second=4, transient=True, redirect_stderr=False
        )

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, job: Job) -> None:
        self._progress.update(job, time.monotonic())

    def notice(self, text: str) -> None:
        self._screen.print(Text(text, style="yellow"))

    def _render(self) -> RenderableType:
        return rendering(self._progress, time.monotonic(), self._screen.height)


def task_table(tasks: Sequence[Task], *, brief: bool = False) -> Grid:
    """``tasks`` as they are, one a row."""
    return table(
        ["task*", ">weight", ">trials", ">failed", ">best", ">GFLOP/s", ">untuned"],
        [
            [
                task.name,
                count(task.weight),
                count(task.trials),
                count(task.failed),
                latency(task.best_s),
                gflops(task.flops, task.best_s),
                latency(task.untuned_s),
            ]
            for task in tasks
        ],
        spare=("weight", "failed", "GFLOP/s", "untuned"),
        brief=brief,
    )


def rendering(progress: Progress, at_s: float, height: int) -> RenderableType:
    """The live display: three lines of header, then as many tasks as ``height`` lines leave room for."""
    job = progress.job
    if job is None:
        return Text("waiting for the tracker …")
    spec = job.spec
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"{spec.kind.value} {spec.model_name}", style="bold")
    head.append(f"  job {job.id}" + (f"  pool {spec.pool}" if spec.pool else ""))
    if job.target:
        head.append(f"  {short_target(job.target)}", style="dim")
    lines: list[RenderableType] = [
        head,
        Text(" · ".join(progress.figures(at_s))),
        Text(progress.estimate_line(), style="bold green", no_wrap=True, overflow="ellipsis"),
    ]
    if job.tasks:
        # Its heading, what it does not show, a blank line, "more", and a line that breaks.
        room = max(1, height - len(lines) - 7)
        ordered = by_time_share(job.tasks)
        lines += [Text(), task_table(ordered[:room], brief=True)]
        if len(ordered) > room:
            lines.append(Text(f"+{len(ordered) - room} more", style="dim"))
    return Group(*lines)


class PlainView:
    """One line every few seconds and at each change of phase: for logs and pipes. Writes to standard error.

    ``name`` begins each line, where there are several jobs.
    """

    def __init__(self, every_s: float = 5.0, name: str = "") -> None:
        self._every_s = every_s
        self._name = f"{name}: " if name else ""
        self._progress = Progress()
        self._started_s = time.monotonic()
        self._said_at_s = float("-inf")
        self._said: str | None = None

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, job: Job) -> None:
        at_s = time.monotonic()
        self._progress.update(job, at_s)
        doing = self._progress.doing()
        if doing == self._said and at_s - self._said_at_s < self._every_s:
            return
        self._said, self._said_at_s = doing, at_s
        parts = self._progress.figures(at_s)
        estimated = self._progress.estimate_line()
        click.echo(
            f"[{duration(at_s - self._started_s)}] {self._name}"
            + ", ".join([*parts, *([estimated] if estimated else [])]),
            err=True,
        )

    def notice(self, text: str) -> None:
        click.echo(text, err=True)
