"""Importing this loads TVM and all else that jobs need, giving way to whatever the host has to do.

The worker's fork server imports it before it forks anything (multiprocessing's preload knows
modules alone). In a thread, since a lower priority of the process would be inherited by the jobs.
"""

from __future__ import annotations

import importlib
import threading

from tvm_farm.tracker.tuning.process.priority import give_way

_MODULES = ("tvm_farm.tracker.tuning.process.job_process", "tvm.relax.frontend.onnx", "xgboost")


def _load() -> None:
    give_way()
    for module in _MODULES:
        importlib.import_module(module)


_thread = threading.Thread(target=_load, name="preload")
_thread.start()
_thread.join()
