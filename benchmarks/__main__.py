"""``python -m benchmarks [--quick] [NAME…]``: run them, print the comparison, keep the results.

A full run writes results.json, series/, plots/ and the tables in this folder's README and the
main one; a quick one the same into build/bench. The exit code is 1 when a benchmark broke; a missed bound is told, and
is no failure.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.catalog import BY_NAME_ONLY, NAMES, load
from benchmarks.engines import table as engines_table
from benchmarks.process import BenchmarkFailed, adopt_orphans, run_apart
from benchmarks.result import Bound, Result
from benchmarks.results_file import Results, as_summary, as_table, merged, quantity, times, with_table
from benchmarks.transfer import table as transfer_table
from tvm_farm.tracker.cli.terminal.signals import raised_as_interrupt

__all__ = ["main"]

HERE = Path(__file__).parent
QUICK_FOLDER = Path("build/bench")
LIMIT_S = 900.0
QUICK_LIMIT_S = 600.0
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
    By name only: engines transfer quantized
    """
    wanted = [name for name in NAMES if name in names] or [name for name in NAMES if name not in BY_NAME_ONLY]
    results = Results(QUICK_FOLDER if quick else HERE)
    if only_plots:
        raise SystemExit(1 if _publish(results, wanted, quick) else 0)
    _warn_of_load()
    adopt_orphans()
    old = results.read()
    done: list[Result] = []
    ran: list[str] = []
    failures: list[str] = []
    interrupted = False
    try:
        with raised_as_interrupt(signal.SIGTERM, signal.SIGHUP), _shared(quick) as shared:
            for name in wanted:
                _console.rule(f"{name}{' (quick)' if quick else ''}")
                ran.append(name)
                done += _one(name, quick, shared, results, failures)
    except KeyboardInterrupt:
        interrupted = True
        unfinished = ran.pop()
        _console.print(f"Interrupted while {unfinished} ran; all of it is stopped.")
    if ran:
        keep = NAMES if names or interrupted else BY_NAME_ONLY
        results.write(merged(old, done, ran=ran, keep=keep, order=NAMES))
        failures += _publish(results, ran, quick)
    _report(done, failures, quick)
    raise SystemExit(130 if interrupted else 1 if failures else 0)


@contextmanager
def _shared(quick: bool) -> Iterator[Path | None]:
    """A quick run's folder for what its benchmarks have in common; a full one measures everything for itself."""
    if not quick:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="tvm-farm-bench-") as folder:
        yield Path(folder)


def _one(name: str, quick: bool, shared: Path | None, results: Results, failures: list[str]) -> list[Result]:
    """Run one benchmark; a broken one is one more of ``failures``."""
    try:
        limit_s = QUICK_LIMIT_S if quick else getattr(load(name), "LIMIT_S", LIMIT_S)
        answer = run_apart(name, quick=quick, limit_s=limit_s, shared=shared)
    except BenchmarkFailed as error:
        failures.append(str(error))
    except ImportError as error:
        failures.append(f"{name} cannot be loaded: {error}")
    else:
        results.write_series(name, answer.series)
        _console.print(_table(answer.results))
        return answer.results
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
        mine = [row for row in rows if row.benchmark.partition("/")[0] == name]
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
        readme, main_readme = HERE / "README.md", HERE.parent / "README.md"
        tables = ((readme, "results", as_table(rows)), (main_readme, "results", as_summary(rows)))
        own = ((readme, "engines", engines_table(rows)), (readme, "transfer", transfer_table(rows)))
        for page, title, table in (*tables, *own):
            page.write_text(with_table(page.read_text(encoding="utf-8"), title, table), encoding="utf-8")
    return failures


def _table(results: Sequence[Result]) -> Table:
    table = Table("metric", "stock", "farm", "ratio", "must", "", box=None, pad_edge=False)
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
