"""One benchmark in this process: ``python -m benchmarks.one NAME FOLDER full|quick alone|beside``.

Writes FOLDER/answer.json: its results and its series. For ``benchmarks.__main__``, which starts it. ``beside``: others
write to the same terminal, so that it says what it does in lines.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.bench import Bench
from benchmarks.catalog import load
from benchmarks.machine import describe_machine
from tracker.cli.signals import raised_as_interrupt

__all__: list[str] = []


def main(name: str, folder: Path, size: str, company: str) -> None:
    benchmark = load(name)
    work = folder / "work"
    work.mkdir()
    bench = Bench(
        name=name,
        quick=size == "quick",
        folder=work,
        metrics=benchmark.METRICS,
        machine=describe_machine(),
        date=time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        console=Console(stderr=True, highlight=False, force_terminal=False if company == "beside" else None),
    )
    results = benchmark.run(bench)
    missing = {metric.name for metric in benchmark.METRICS} - {result.metric for result in results}
    if missing and not bench.quick:
        raise RuntimeError(f"{name} reported nothing for {', '.join(sorted(missing))}")
    answer = {"results": [asdict(result) for result in results], "series": bench.series or None}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    try:
        with raised_as_interrupt(signal.SIGTERM):
            main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4])
    except KeyboardInterrupt:
        sys.exit(130)
