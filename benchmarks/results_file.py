"""Where results lie: results.json, the raw series beside it, the tables in the READMEs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.catalog import BY_NAME_ONLY
from benchmarks.result import Result

__all__ = ["Results", "as_summary", "as_table", "merged", "quantity", "times", "with_table"]

BEGIN = "<!-- {}: written by `{}` -->"
END = "<!-- end of {} -->"


class Results:
    """A folder with ``results.json`` and one ``series/<benchmark>.json`` each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "results.json"

    def read(self) -> list[Result]:
        """Nothing where nothing was written yet."""
        if not self.path.exists():
            return []
        return [Result(**row) for row in json.loads(self.path.read_text(encoding="utf-8"))]

    def write(self, results: Iterable[Result]) -> None:
        _write_json(self.path, [asdict(result) for result in results])

    def series(self, benchmark: str) -> Any:
        """The raw numbers behind a benchmark's plot; None where it kept none."""
        path = self.folder / "series" / f"{benchmark}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def write_series(self, benchmark: str, series: Any) -> None:
        """None removes what an earlier run left."""
        path = self.folder / "series" / f"{benchmark}.json"
        if series is None:
            path.unlink(missing_ok=True)
        else:
            _write_json(path, series)


def merged(
    old: Sequence[Result], new: Sequence[Result], *, ran: Collection[str], keep: Collection[str], order: Sequence[str]
) -> list[Result]:
    """The results to write after the benchmarks ``ran``, in the ``order`` of benchmarks.

    What a benchmark that ran reported before is gone, also where it failed this time. Of the others the results of
    those to ``keep`` stay, with their own dates.
    """
    kept = [result for result in old if _name(result) not in ran and _name(result) in keep]
    return sorted([*kept, *new], key=lambda result: order.index(_name(result)) if _name(result) in order else 99)


def _name(result: Result) -> str:
    """Of the benchmark, without the part that the result is of."""
    return result.benchmark.partition("/")[0]


def as_table(results: Sequence[Result]) -> str:
    """The results as Markdown, those of parts of a benchmark left out: the table between the README's markers."""
    results = [result for result in results if "/" not in result.benchmark]
    if not results:
        return "No full run yet: `make bench`.\n"
    lines = [
        "| benchmark | metric | stock | farm | ratio | must | date |",
        "|---|---|---:|---:|---:|---|---|",
    ]
    for result in results:
        verdict = "" if result.must is None else {True: "met", False: "**missed**", None: "not compared"}[result.met]
        lines.append(
            f"| {result.benchmark} | {result.metric} | {quantity(result.stock, result.unit)} "
            f"| {quantity(result.farm, result.unit)} | {times(result.ratio)} "
            f"| {f'{result.must}: {verdict}' if result.must else ''} | {result.date} |"
        )
    return "\n".join([*lines, "", *_machines(results)]) + "\n"


def _machines(results: Sequence[Result]) -> list[str]:
    """A line for each machine that they come from; with the benchmarks where there are several."""
    by_machine: dict[str, dict[str, None]] = {}
    for result in results:
        by_machine.setdefault(result.machine, {})[result.benchmark] = None
    if len(by_machine) == 1:
        return [f"Machine: {machine}." for machine in by_machine]
    return [f"- Machine of {', '.join(names)}: {machine}." for machine, names in by_machine.items()]


def as_summary(results: Sequence[Result]) -> str:
    """The first result of each benchmark of ``make bench`` as Markdown: the table of the main README."""
    results = [r for r in results if "/" not in r.benchmark and r.benchmark not in BY_NAME_ONLY]
    if not results:
        return "No full run yet: `make bench`.\n"
    first: dict[str, Result] = {}
    for result in results:
        first.setdefault(result.benchmark, result)
    lines = ["| benchmark | | stock TVM | TVM Farm | |", "|---|---|---:|---:|---:|"]
    for name, result in first.items():
        sides = f"{quantity(result.stock, result.unit)} | {quantity(result.farm, result.unit)}"
        lines.append(f"| {name} | {result.metric} | {sides} | {times(result.ratio)} |")
    return "\n".join([*lines, "", *_machines(list(first.values()))]) + "\n"


def times(ratio: float | None) -> str:
    """``12.3x``; empty for None."""
    return "" if ratio is None else f"{quantity(ratio, '')}x"


def quantity(value: float | None, unit: str) -> str:
    """``12.3 ms``; empty for None. Three digits that count."""
    if value is None:
        return ""
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}".strip()


def with_table(readme: str, title: str, table: str, command: str = "make bench") -> str:
    """``readme`` with ``table`` between the markers of ``title``, which name the ``command`` that writes it.

    Raises ValueError where it has none.
    """
    begin, end = BEGIN.format(title, command), END.format(title)
    try:
        before, rest = readme.split(begin)
        _, after = rest.split(end)
    except ValueError:
        raise ValueError(f"the README needs one line {begin!r} and one {end!r} after it") from None
    return f"{before}{begin}\n{table}{end}{after}"


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    whole.replace(path)
