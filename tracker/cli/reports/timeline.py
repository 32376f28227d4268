"""Where a job's time went, as tables with bars."""

from __future__ import annotations

from rich.console import Console

from tvm_farm.tracker.cli.terminal.formats import count, duration, figure, latency, percent, plural
from tvm_farm.tracker.cli.terminal.output import facts, table
from tvm_farm.tracker.domain import Job, JobTimeline, Step

__all__ = ["bar", "print_timeline"]

_BAR = (6, 40)
_TABLE_WIDTH = 70
_EIGHTHS = " ▏▎▍▌▋▊▉"
_NAMES = {
    Step.SEARCH: "search",
    Step.AWAIT_BUILDER: "wait: builder",
    Step.BUILD: "build",
    Step.LINK: "link",
    Step.HAND_OVER: "to tracker",
    Step.QUEUE: "queue",
    Step.TRANSFER: "transfer",
    Step.AWAIT_BOARD: "wait: board",
    Step.DEVICE: "device",
    Step.STORE: "store",
}


def bar(share: float, width: int) -> str:
    """``share`` of ``width`` cells, to an eighth of a cell. What is more than nothing shows."""
    eighths = min(8 * width, max(round(share * 8 * width), share > 0))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def print_timeline(screen: Console, job: Job, times: JobTimeline) -> None:
    """Counts, then a table of steps, then how busy devices and builders were."""
    screen.print(facts(_counts(job, times)))
    if not times.steps:
        return
    width = max(_BAR[0], min(_BAR[1], screen.width - _TABLE_WIDTH))
    screen.print()
    screen.print(_steps(times, width))
    screen.print(f"sum: all trials added up; wall, bar: of {duration(times.wall_s)}, while any trial was there")
    screen.print()
    screen.print(_busy(times, width))


def _counts(job: Job, times: JobTimeline) -> list[tuple[str, str]]:
    gone = job.trials - times.trials  # a log that is compacted keeps the best alone
    # Those from the log took no time.
    measured = times.trials - times.recalled
    rate = f": {figure(measured / times.tuning_s)} trials/s" if times.tuning_s > 0 and gone <= 0 else ""
    outcomes = [f"{o.outcome.value} {count(o.trials)}" for o in times.outcomes]
    return [
        ("job", job.id),
        (
            "compacted",
            f"{count(gone)} of its {plural(job.trials, 'trial')} are no more in the log: what follows is of the others"
            if gone > 0
            else "",
        ),
        ("tuning", f"{plural(times.trials, 'trial')} in {duration(times.tuning_s)}{rate}"),
        ("baselines", count(times.baselines) if times.baselines else ""),
        ("outcomes", ", ".join(outcomes)),
        ("from the log", f"{count(times.recalled)} of them: no builder, no board" if times.recalled else ""),
        ("cut short", f"{count(times.cut_short)} of them, as hopeless" if times.cut_short else ""),
    ]


def _steps(times: JobTimeline, width: int) -> object:
    total_s = sum(step.total_s for step in times.steps)
    rows = []
    for step in times.steps:
        wall = step.wall_s / times.wall_s if times.wall_s > 0 else 0.0
        row = (
            _NAMES[step.step],
            latency(step.median_s),
            latency(step.p95_s),
            _seconds(step.total_s),
            percent(step.total_s / total_s if total_s > 0 else 0.0),
            percent(wall),
            bar(wall, width),
        )
        rows.append(row)
    return table(
        ["step", ">median", ">p95", ">total", ">of sum", ">of wall", "bar"],
        rows,
        spare=("bar", "p95", "total", "of sum"),
    )


def _busy(times: JobTimeline, width: int) -> object:
    rows = []
    for device in times.devices:
        share = device.executing_s / times.wall_s if times.wall_s > 0 else 0.0
        row = (device.name, count(device.trials), _seconds(device.executing_s), percent(share), bar(share, width))
        rows.append(row)
    if times.builders:
        share = times.building_s / (times.builders * times.wall_s) if times.wall_s > 0 else 0.0
        built = max((step.trials for step in times.steps if step.step is Step.BUILD), default=0)
        name = plural(times.builders, "builder")
        rows.append((name, count(built), _seconds(times.building_s), percent(share), bar(share, width)))
    return table(["who*", ">trials", ">worked", ">of wall", "bar"], rows, spare=("bar", "trials"))


def _seconds(seconds: float) -> str:
    return latency(seconds) if seconds < 100 else duration(seconds)
