"""One benchmark in this process: ``python -m benchmarks.one NAME FOLDER full|quick [SHARED]``.

Writes FOLDER/answer.json: its results and its series. For ``benchmarks.__main__``, which starts it. SHARED: a folder
for what the benchmarks of one run have in common.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.catalog import load
from benchmarks.machine import describe_machine
from tvm_farm.tracker.cli.terminal.signals import raised_as_interrupt

__all__: list[str] = []


def main(name: str, folder: Path, size: str, shared: Path | None) -> None:
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
        shared=shared,
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
            main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]) if sys.argv[4:] else None)
    except KeyboardInterrupt:
        sys.exit(130)
