"""Arrays by the names of an operator's arguments: which kernel gets them in which place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.judging.inputs import fitting
from tvm_farm.tracker.tuning.models.operator import Kernel

__all__ = ["arrays_of_kernels"]


def arrays_of_kernels(
    arrays: Mapping[str, np.ndarray], kernels: Sequence[Kernel], label: str
) -> dict[str, dict[int, np.ndarray]]:
    """By kernel and position. An array is called as an argument, ``a``, of whichever kernel has one; or ``double.a``.

    Raises InputError for an array that nobody takes, or of another shape or dtype; ``label`` says whose they are.
    """
    found: dict[str, dict[int, np.ndarray]] = {kernel.name: {} for kernel in kernels}
    taken = set()
    for kernel in kernels:
        for at, info in enumerate(kernel.arguments):
            name = next((n for n in (f"{kernel.name}.{info.name}", info.name) if n in arrays), None)
            if name is not None:
                taken.add(name)
                found[kernel.name][at] = np.ascontiguousarray(fitting(arrays[name], info, label, kernel.name))
    if unknown := sorted(arrays.keys() - taken):
        takers = "; ".join(f"{k.name} takes {', '.join(info.name for info in k.arguments)}" for k in kernels)
        raise InputError(f"{label} has an array {unknown[0]!r} that no argument is called: {takers}.")
    return found
