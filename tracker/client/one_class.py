"""Which boards of a pool a script measures on: timings are compared within one class of device."""

from __future__ import annotations

from collections.abc import Sequence

from tvm_farm.tracker.client.errors import BadInput, NoBoard
from tvm_farm.tracker.domain import Device

__all__ = ["one_class"]


def one_class(devices: Sequence[Device], pool: str, device_class: str, user: str) -> Device:
    """A device of the one class of ``pool`` to measure on; ``devices`` are those of the pool.

    Where ``device_class`` names none, it is that of the devices that take work of ``user`` now, or else of all. Raises
    BadInput, which lists the classes, where that is not one, and NoBoard where the pool has no device.
    """
    if not devices:
        raise NoBoard(f"Pool {pool} has no device: none that fits its selector has joined this farm.")
    taking = [d for d in devices if d.takes_trials and d.open_to(user)]
    classes = {device.device_class: device for device in [*devices, *taking]}
    if device_class:
        if device_class in classes:
            return classes[device_class]
        raise BadInput(f"Pool {pool} has no device of class {device_class}: it has {', '.join(sorted(classes))}.")
    there = {device.device_class: device for device in taking or devices}
    if len(there) > 1:
        raise BadInput(
            f"Pool {pool} has {len(there)} classes of device, whose timings cannot be compared: "
            f"choose one with device_class=, of {', '.join(sorted(there))}."
        )
    return next(iter(there.values()))
