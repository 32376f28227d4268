"""How one budget is shared by the device classes of a pool.

Equally: trials and seconds are divided by the number of classes, and trials that are left over go one
each to the first classes, those with most boards. The classes are tuned one after another, so that
each begins with what the ones before it measured; the shares add up to what was asked for, and so
does the time that it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tvm_farm.tracker.domain import JobSpec
from tvm_farm.tracker.domain.errors import InvalidRequest

__all__ = ["shared"]


def shared(spec: JobSpec, classes: Sequence[str]) -> list[JobSpec]:
    """What is asked of each of ``classes``, in their order. Raises InvalidRequest for fewer trials than classes."""
    if 0 < spec.max_trials < len(classes):
        raise InvalidRequest(
            f"{spec.max_trials} trials cannot be shared by the {len(classes)} device classes of pool {spec.pool}: give "
            f"each at least one, or choose a class: {', '.join(classes)}"
        )
    each, left_over = divmod(spec.max_trials, len(classes))
    return [
        replace(
            spec,
            device_class=device_class,
            max_trials=each + (place < left_over),
            budget_s=spec.budget_s / len(classes),
        )
        for place, device_class in enumerate(classes)
    ]
