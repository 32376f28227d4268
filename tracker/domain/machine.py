"""Whether two agents run on one machine: as one device, or as two that measure on the same CPUs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tvm_farm.protos.device import Machine, RunnerMode
from tvm_farm.tracker.domain.device import Device

__all__ = ["is_plausible", "is_same_machine", "machine_name", "sharing_cpus"]


#: More than any start, boot, serial or address is long, and any board has adapters.
_LONGEST, _ADAPTERS = 80, 32


def is_plausible(machine: Machine) -> bool:
    """Whether an agent's word for its machine can be kept and shown: short lines of print."""
    words = (machine.start_id, machine.boot_id, machine.serial, machine.via or "", *machine.macs)
    return len(machine.macs) <= _ADAPTERS and all(len(word) <= _LONGEST and word.isprintable() for word in words)


def is_same_machine(one: Machine, other: Machine) -> bool:
    """Whether the two are one machine, as far as they tell: at two starts, at two boots, with another adapter.

    Everything on a disk is the same in a clone, and no hardware has all of these: what is known of both decides, the
    surest first. False where nothing is.
    """
    if one.boot_id and one.boot_id == other.boot_id:
        return True
    if one.serial and other.serial:
        return one.serial == other.serial
    return bool(set(one.macs) & set(other.macs))


def machine_name(hostname: str, machine: Machine | None) -> str:
    """For people who have to find it: "pi (serial 10000000a3b1c2d4, MAC b8:27:eb:01:02:03)"."""
    told = [f"serial {machine.serial}"] if machine and machine.serial else []
    told += [f"MAC {mac}" for mac in machine.macs] if machine else []
    return hostname + (f" ({', '.join(told)})" if told else "")


def sharing_cpus(devices: Iterable[Device]) -> dict[str, tuple[str, ...]]:
    """By device id the names of the others of ``devices`` whose agents measure on CPUs of its own; none left out.

    Those are agents of one boot of one kernel, in containers or not, that each time kernels on this machine itself. Not
    told of: a synthetic device, which runs nothing, and one whose agent is too old to tell that no other machine runs
    its kernels.
    """
    of_boot: defaultdict[str, list[Device]] = defaultdict(list)
    for device in devices:
        machine = device.machine
        if machine and machine.boot_id and machine.via == "" and device.runner.mode is not RunnerMode.SYNTHETIC:
            of_boot[machine.boot_id].append(device)
    sharing = {}
    for alike in of_boot.values():
        for device in alike if len(alike) > 1 else ():
            if others := [other.name for other in alike if other is not device and _same_cpus(device, other)]:
                sharing[device.id] = tuple(sorted(others))
    return sharing


def _same_cpus(one: Device, other: Device) -> bool:
    mine, theirs = ({cpu for cluster in device.fingerprint.clusters for cpu in cluster.cpus} for device in (one, other))
    return not mine or not theirs or bool(mine & theirs)  # one that tells none takes all
