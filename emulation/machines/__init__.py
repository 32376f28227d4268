"""Whole machines under emulation: a Raspberry Pi that boots Debian's kernel from a card, and what is around it."""

from emulation.machines.card import Boot, make_boot, missing_for_machines
from emulation.machines.installation import INSTALL, InstalledMachine, installed
from emulation.machines.kinds import KINDS, Kind
from emulation.machines.machine import Machine, Snapshot
from emulation.machines.switch import Switch, own_network

__all__ = [
    "INSTALL",
    "KINDS",
    "Boot",
    "InstalledMachine",
    "Kind",
    "Machine",
    "Snapshot",
    "Switch",
    "installed",
    "make_boot",
    "missing_for_machines",
    "own_network",
]
