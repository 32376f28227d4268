"""Whether two agents that say they are one device run on one machine."""

from __future__ import annotations

from tvm_farm.protos.device import Machine

__all__ = ["is_plausible", "is_same_machine", "machine_name"]


#: More than any start, boot, serial or address is long, and any board has adapters.
_LONGEST, _ADAPTERS = 80, 32


def is_plausible(machine: Machine) -> bool:
    """Whether an agent's word for its machine can be kept and shown: short lines of print."""
    words = (machine.start_id, machine.boot_id, machine.serial, *machine.macs)
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
