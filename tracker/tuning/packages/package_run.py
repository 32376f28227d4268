"""A package is run as a person will run it: by its own ``run.py``, in a clean process, without TVM's Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tvm_farm.tracker.tuning.errors import TuningError
from tvm_farm.tracker.tuning.models.importers.base import TensorInfo
from tvm_farm.tracker.tuning.packages.shipped.run import save_arrays

__all__ = ["PackageFault", "check_package", "run_package"]

#: Untuned kernels of a large network take half a minute a call.
_TIMEOUT_S = 900.0
_ENVIRONMENT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


class PackageFault(TuningError):
    """The package in a folder does not load, or does not run."""


def run_package(
    folder: Path, inputs: Sequence[np.ndarray], input_names: Sequence[str], outputs: Sequence[TensorInfo]
) -> list[np.ndarray]:
    """Answers of the package in ``folder``, which is for this host. Raises PackageFault."""
    with tempfile.TemporaryDirectory(prefix="tvm-farm-run-") as place:
        source, destination = Path(place, "in.npz"), Path(place, "out.npz")
        save_arrays(source, dict(zip(input_names, inputs, strict=True)))
        _run(folder, str(source), str(destination))
        with np.load(destination, allow_pickle=False) as archive:
            # Dtypes that numpy lacks come as bytes.
            found = [(archive[info.name], np.dtype(info.dtype)) for info in outputs]
            return [array.view(dtype) if array.dtype.kind == "V" else array for array, dtype in found]


def check_package(folder: Path) -> None:
    """The files of a package for another machine are whole, and TVM's own loader takes its parameters.

    Raises PackageFault.
    """
    _run(folder, "--check")


def _run(folder: Path, *arguments: str) -> None:
    # -I: neither this process's folder nor PYTHONPATH nor a user's own packages are seen.
    command = [sys.executable, "-I", str(folder / "run.py"), *arguments]
    clean = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        done = subprocess.run(
            command, env=clean, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise PackageFault(f"the package did not answer within {_TIMEOUT_S:g} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [_died(done.returncode)]
        raise PackageFault(f"the package does not run: {said[-1]}")


def _died(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
