"""Latency of finished packages, in turn in one process: ``python -m benchmarks.package_timing ANSWER.json FOLDER...``.

Each package runs by the ``run.py`` that ships with it, on the inputs that it holds, its threads bound to a CPU each; a
round calls every package once. The answer maps a folder's name to the seconds of its calls.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

__all__: list[str] = []

ROUNDS, WARM_UP = 200, 10
_ONE_CPU_A_THREAD = -2


def main(answer: Path, folders: list[Path]) -> None:
    calls = {folder.name: _loaded(folder) for folder in folders}
    _bind_threads()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(WARM_UP + ROUNDS):
        for name, (model, inputs) in calls.items():
            begun_s = time.perf_counter()
            model(*inputs)
            if number >= WARM_UP:
                seconds[name].append(time.perf_counter() - begun_s)
    answer.write_text(json.dumps(seconds), encoding="utf-8")


def _loaded(folder: Path) -> tuple[Any, list[Any]]:
    spec = importlib.util.spec_from_file_location(f"run_{folder.name}", folder / "run.py")
    assert spec is not None
    assert spec.loader is not None
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    model = run.Model(folder)
    with np.load(folder / "inputs.npz") as inputs:
        return model, [inputs[info["name"]] for info in model.manifest["inputs"]]


def _bind_threads() -> None:
    import tvm_ffi

    cpus = sorted(os.sched_getaffinity(0))
    tvm_ffi.get_global_func("runtime.config_threadpool")(_ONE_CPU_A_THREAD, len(cpus), [str(cpu) for cpu in cpus])
    os.sched_setaffinity(0, cpus[:1])


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]])
