"""``python -m benchmarks [--quick] [NAME…]``: run them, print the comparison, keep the results.

A full run writes results.json, series/, plots/ and the tables in this folder's README and the
main one; a quick one the same into build/bench. The exit code is 1 when a benchmark broke; a missed bound is told, and
is no failure.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.catalog import NAMES, load
from benchmarks.process import Answer, Apart, BenchmarkFailed, adopt_orphans, run_apart, run_beside
from benchmarks.result import Bound, Result
from benchmarks.results_file import Results, as_summary, as_table, merged, quantity, times, with_table
from tracker.cli.signals import raised_as_interrupt

__all__ = ["main"]

HERE = Path(__file__).parent
QUICK_FOLDER = Path("build/bench")
LIMIT_S = 900.0
QUICK_LIMIT_S = 600.0
#: Of a quick run, side by side: each lane about as long as the other.
_LANES = (("anytime", "noise"), ("tune", "first_result", "footprint"))
# A log file is no terminal of 80 columns.
_console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[NAME]…")
@click.option("--quick", is_flag=True, help="Small sizes, to see that all of it works; writes into build/bench.")
@click.option("--plots", "only_plots", is_flag=True, help="Run nothing: draw the plots and the table anew.")
def main(names: tuple[str, ...], quick: bool, only_plots: bool) -> None:
    """Run all benchmarks, or those named: stock TVM and the farm side by side.

    \b
    Names: measure tune anytime first_result footprint noise boards crowd log
    """
    wanted = [name for name in NAMES if name in names] or list(NAMES)
    results = Results(QUICK_FOLDER if quick else HERE)
    if only_plots:
        raise SystemExit(1 if _publish(results, wanted, quick) else 0)
    _warn_of_load()
    adopt_orphans()
    old = results.read()
    done: list[Result] = []
    ran: list[str] = []
    failures: list[str] = []
    running: list[str] = []
    interrupted = False
    try:
        with raised_as_interrupt(signal.SIGTERM, signal.SIGHUP):
            for name, answer in _answers(wanted, quick, running):
                running.remove(name)
                ran.append(name)
                done += _kept(name, answer, results, failures)
    except KeyboardInterrupt:
        interrupted = True
        _console.print(f"Interrupted while {' and '.join(running)} ran; all of it is stopped.")
    if ran:
        keep = bool(names) or interrupted
        results.write(merged(old, done, ran=ran, keep_others=keep, order=NAMES))
        failures += _publish(results, ran, quick)
    _report(done, failures, quick)
    raise SystemExit(130 if interrupted else 1 if failures else 0)


def _answers(
    names: Sequence[str], quick: bool, running: list[str]
) -> Iterator[tuple[str, Answer | BenchmarkFailed | ImportError]]:
    """What comes of each of ``names``, one after another; ``running`` holds those that have begun.

    In a quick run those that mostly wait for stock TVM to start run side by side: nobody goes by its figures.
    """
    lanes = [[name for name in lane if name in names] for lane in _LANES] if quick else []
    beside = [name for lane in lanes for name in lane] if sum(map(bool, lanes)) > 1 else []

    def start(name: str) -> Apart:
        running.append(name)
        return Apart(name, quick=quick, limit_s=QUICK_LIMIT_S, beside=True)

    if beside:
        _console.rule(f"{', '.join(beside)} (quick, side by side)")
        for apart in run_beside(lanes, start):
            yield apart.name, _outcome(apart.answer)
    for name in [name for name in names if name not in beside]:
        _console.rule(f"{name}{' (quick)' if quick else ''}")
        running.append(name)
        yield name, _outcome(partial(_alone, name, quick))


def _alone(name: str, quick: bool) -> Answer:
    limit_s = QUICK_LIMIT_S if quick else getattr(load(name), "LIMIT_S", LIMIT_S)
    return run_apart(name, quick=quick, limit_s=limit_s)


def _outcome(answer: Callable[[], Answer]) -> Answer | BenchmarkFailed | ImportError:
    try:
        return answer()
    except (BenchmarkFailed, ImportError) as error:
        return error


def _kept(
    name: str, answer: Answer | BenchmarkFailed | ImportError, results: Results, failures: list[str]
) -> list[Result]:
    """Keep and show what came of a benchmark; a broken one is one more of ``failures``."""
    if isinstance(answer, Answer):
        results.write_series(name, answer.series)
        _console.print(_table(name, answer.results))
        return answer.results
    failures.append(f"{name} cannot be loaded: {answer}" if isinstance(answer, ImportError) else str(answer))
    _console.print(f"[bold red]broken:[/] {failures[-1]}")
    return []


def _publish(results: Results, names: Sequence[str], quick: bool) -> list[str]:
    """Draw the plots of ``names`` and write the table; returns what could not be drawn."""
    from matplotlib.figure import Figure

    failures = []
    rows = results.read()
    folder = results.folder / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        mine = [row for row in rows if row.benchmark == name]
        if not mine:
            continue
        figure = Figure(figsize=(8.0, 4.0), dpi=120, layout="constrained")
        try:
            benchmark = load(name)
            benchmark.plot(figure, mine, results.series(name))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one plot, the others and the table follow
            failures.append(f"the plot of {name} cannot be drawn: {type(error).__name__}: {error}")
            continue
        figure.suptitle(f"{benchmark.TITLE}{' (quick run)' if quick else ''}", fontsize=11)
        # Without a date in the file, the same numbers give the same bytes.
        figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    if not quick:
        for readme, table in ((HERE / "README.md", as_table(rows)), (HERE.parent / "README.md", as_summary(rows))):
            readme.write_text(with_table(readme.read_text(encoding="utf-8"), table), encoding="utf-8")
    return failures


def _table(name: str, results: Sequence[Result]) -> Table:
    table = Table(name, "stock", "farm", "ratio", "must", "", box=None, pad_edge=False)
    for result in results:
        verdict = {True: "[green]met[/]", False: "[bold red]MISSED[/]", None: ""}[result.met]
        table.add_row(
            result.metric,
            quantity(result.stock, result.unit),
            quantity(result.farm, result.unit),
            times(result.ratio),
            result.must or "",
            verdict,
        )
    return table


def _report(results: Sequence[Result], failures: Sequence[str], quick: bool) -> None:
    missed = [result for result in results if result.met is False]
    _console.rule("summary")
    for result in missed:
        got = result.farm if result.must and Bound.parse(result.must).of == "farm" else result.ratio
        _console.print(
            f"[bold red]MISSED[/] {result.benchmark}: {result.metric}: must {result.must}, is {got:.4g}"
            f"{' (a quick run: no figure to go by)' if quick else ''}"
        )
    for failure in failures:
        _console.print(f"[bold red]BROKEN[/] {failure}")
    bounded = [result for result in results if result.must is not None]
    _console.print(f"{len(bounded) - len(missed)} of {len(bounded)} bounds met, {len(failures)} broken.")


def _warn_of_load() -> None:
    load_1min = os.getloadavg()[0]
    if load_1min > 0.5:
        _console.print(
            f"[yellow]Load average {load_1min:.1f}: a machine that does other work gives no figures to publish.[/]"
        )


if __name__ == "__main__":
    main()
