"""Where results lie: results.json, the raw series beside it, the tables in the READMEs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.result import Result

__all__ = ["Results", "as_summary", "as_table", "merged", "quantity", "times", "with_table"]

BEGIN = "<!-- results: written by `make bench` -->"
END = "<!-- end of results -->"


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
    old: Sequence[Result], new: Sequence[Result], *, ran: Collection[str], keep_others: bool, order: Sequence[str]
) -> list[Result]:
    """The results to write after the benchmarks ``ran``, in the ``order`` of benchmarks.

    What a benchmark that ran reported before is gone, also where it failed this time. The results of
    the others stay, with their own dates, only with ``keep_others``: a run of some by name.
    """
    kept = [result for result in old if result.benchmark not in ran] if keep_others else []
    return sorted([*kept, *new], key=lambda result: order.index(result.benchmark) if result.benchmark in order else 99)


def as_table(results: Sequence[Result]) -> str:
    """The results as Markdown: the table between the README's markers."""
    if not results:
        return "No full run yet: `make bench`.\n"
    lines = [
        "| benchmark | metric | stock | farm | ratio | must | date |",
        "|---|---|---:|---:|---:|---|---|",
    ]
    machines = sorted({result.machine for result in results})
    for result in results:
        verdict = "" if result.must is None else {True: "met", False: "**missed**", None: "not compared"}[result.met]
        lines.append(
            f"| {result.benchmark} | {result.metric} | {quantity(result.stock, result.unit)} "
            f"| {quantity(result.farm, result.unit)} | {times(result.ratio)} "
            f"| {f'{result.must}: {verdict}' if result.must else ''} | {result.date} |"
        )
    return "\n".join([*lines, "", *(f"Machine: {machine}." for machine in machines)]) + "\n"


def as_summary(results: Sequence[Result]) -> str:
    """The first result of each benchmark as Markdown: the table of the main README."""
    if not results:
        return "No full run yet: `make bench`.\n"
    first: dict[str, Result] = {}
    for result in results:
        first.setdefault(result.benchmark, result)
    lines = ["| benchmark | | stock TVM | TVM Farm | |", "|---|---|---:|---:|---:|"]
    for name, result in first.items():
        sides = f"{quantity(result.stock, result.unit)} | {quantity(result.farm, result.unit)}"
        lines.append(f"| {name} | {result.metric} | {sides} | {times(result.ratio)} |")
    machines = sorted({result.machine for result in first.values()})
    return "\n".join([*lines, "", *(f"Machine: {machine}." for machine in machines)]) + "\n"


def times(ratio: float | None) -> str:
    """``12.3x``; empty for None."""
    return "" if ratio is None else f"{quantity(ratio, '')}x"


def quantity(value: float | None, unit: str) -> str:
    """``12.3 ms``; empty for None. Three digits that count."""
    if value is None:
        return ""
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}".strip()


def with_table(readme: str, table: str) -> str:
    """``readme`` with ``table`` between its markers. Raises ValueError where it has none."""
    try:
        before, rest = readme.split(BEGIN)
        _, after = rest.split(END)
    except ValueError:
        raise ValueError(f"the README needs one line {BEGIN!r} and one {END!r} after it") from None
    return f"{before}{BEGIN}\n{table}{END}{after}"


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    whole.replace(path)
