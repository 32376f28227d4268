"""Records, jobs and pools that go on when a device class has another name: what was measured answers as before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from tvm_farm.tracker.domain import Device
from tvm_farm.tracker.domain.device_class import ClassMove, class_moves, device_class
from tvm_farm.tracker.store import Store

__all__ = ["follow_name", "follow_names"]

log = logging.getLogger(__name__)


def _present(device: Device) -> Device:
    """``device`` as it was kept, in the class that its name is now."""
    now = device_class(device.fingerprint, device.runner)
    labels = {**device.labels, "device_class": now} if "device_class" in device.labels else device.labels
    return replace(device, device_class=now, labels=labels)


def follow_names(store: Store, devices: Sequence[Device]) -> list[Device]:
    """``devices`` as the store has them, in the classes of now, with records, jobs and pools of before.

    To be called once, when the store is taken up: a release may name classes otherwise.
    """
    now = [_present(device) for device in devices]
    if all(same.device_class == device.device_class for same, device in zip(now, devices, strict=True)):
        return now
    pairs = [(device, after.device_class) for device, after in zip(devices, now, strict=True)]
    _move(store, class_moves(pairs, store.records.classes()))
    names = _names(pairs)
    for job in store.jobs.newest():
        if (name := names.get(job.device_class, job.device_class)) != job.device_class:
            store.jobs.change(job.id, lambda job, name=name: replace(job, device_class=name))  # type: ignore[misc]
    for pool in store.pools.all():
        wanted = pool.selector.get("device_class", "")
        if (name := names.get(wanted, wanted)) != wanted:
            store.pools.put(replace(pool, selector={**pool.selector, "device_class": name}))
            log.info("pool %s selects the class %s now, which was %s", pool.name, name, wanted)
    # Last: what was cut off before is done again at the next start.
    for before, after in zip(devices, now, strict=True):
        if before.device_class != after.device_class:
            store.devices.put(after)
    return now


def _names(pairs: Sequence[tuple[Device, str]]) -> dict[str, str]:
    """What each class of before is called now, where all its devices are of one class."""
    found: dict[str, set[str]] = {}
    for device, after in pairs:
        found.setdefault(device.device_class, set()).add(after)
    return {before: after.pop() for before, after in found.items() if len(after) == 1}


def follow_name(store: Store, device: Device, now: str) -> None:
    """Take the records of ``device``, as it was kept, along into its class of ``now``."""
    _move(store, class_moves([(device, now)], store.records.classes(), apart=True))


def _move(store: Store, moves: Sequence[ClassMove]) -> None:
    if moves and (moved := store.records.move(moves)):
        names = sorted({f"{move.before} is {move.after}" for move in moves})
        log.info("classes have other names now, and %d records with them: %s", moved, "; ".join(names))
