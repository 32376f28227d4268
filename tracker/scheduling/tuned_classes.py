"""Which device classes of its pool a job is for, why none is, and what became of the one it was for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tvm_farm.tracker.domain import Device, DeviceState, JobSpec, RunnerMode
from tvm_farm.tracker.domain.errors import NoBoard, NotPossible

__all__ = ["class_is_gone", "tuned_classes"]

#: So many boards are named; of the others their number.
_NAMED = 4


def tuned_classes(spec: JobSpec, devices: Sequence[Device]) -> list[Device]:
    """A device of each class to tune, in the order in which they are tuned.

    The class with most devices that take work comes first: it measures fastest, and the others begin with what it
    found; of equals one in full mode. Raises NoBoard, which says for each device of the farm why it does not fit, and
    NotPossible for a class that no device of the pool is of, lost ones included.
    """
    pool = [d for d in devices if spec.pool in d.pools]
    taking = [d for d in pool if not _obstacle(spec, d)]
    fit = [d for d in taking if spec.device_class in ("", d.device_class)]
    if not fit:
        if spec.device_class and pool and all(d.device_class != spec.device_class for d in pool):
            raise NotPossible(_not_that_class(spec, pool))
        raise NoBoard(_why_none(spec, [d for d in devices if spec.device_class in ("", d.device_class)]))
    count = Counter(device.device_class for device in fit)
    a_device = {device.device_class: device for device in reversed(fit)}
    return sorted(
        a_device.values(),
        key=lambda d: (-count[d.device_class], d.runner.mode is not RunnerMode.FULL, d.device_class),
    )


def class_is_gone(spec: JobSpec, device_class: str, devices: Sequence[Device]) -> str:
    """Why no board will ever work for a job of ``device_class``, and what to do; "" while one of ``devices`` may.

    A board changes its class when it comes back in another mode, with another governor, or with another TVM.
    """
    pool = [d for d in devices if spec.pool in d.pools]
    if any(d.device_class == device_class for d in pool):
        return ""
    there = [
        f"{d.name} is now of class {d.device_class}" + (" (lost)" if d.state is DeviceState.LOST else "") for d in pool
    ]
    more = f", and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
    named = "; ".join(there[:_NAMED]) + more if there else "the pool has no board"
    return (
        f"no board of the pool '{spec.pool}' is of class {device_class} any more: {named}; "
        "cancel this job and tune again"
    )


def _obstacle(spec: JobSpec, device: Device) -> str:
    """Why a device of the job's pool takes no work of it now; "" where it does."""
    if spec.kind.answers_only:
        return ""  # what was measured on it is known also without it
    if device.state in (DeviceState.LOST, None):
        return "stopped" if device.stopped else "lost"
    if device.state is DeviceState.DRAINING:
        return f"draining ({device.drain.reason})" if device.drain and device.drain.reason else "draining"
    return "" if device.open_to(spec.user) else str(device.lease)


def _not_that_class(spec: JobSpec, pool: Sequence[Device]) -> str:
    there = ", ".join(sorted({device.device_class for device in pool}))
    return f"no device of the pool '{spec.pool}' is of class {spec.device_class}: it has {there}"


def _why_none(spec: JobSpec, devices: Sequence[Device]) -> str:
    pool = spec.pool
    of_class = f" of class {spec.device_class}" if spec.device_class else ""
    if not devices:
        return f"the pool '{pool}' has no device{of_class}: none has joined this farm; start one with 'agent start'"
    reasons = []
    for device in devices[:8]:
        if pool not in device.pools:
            there = f"in {', '.join(device.pools)}" if device.pools else "in no pool"
            reasons.append(f"{device.name} is {there}")
        else:
            reasons.append(f"{device.name} is {_obstacle(spec, device)}")
    more = f", and {len(devices) - 8} more" if len(devices) > 8 else ""
    return f"no device{of_class} of the pool '{pool}' can take work: {'; '.join(reasons)}{more}"
