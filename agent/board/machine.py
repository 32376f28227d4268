"""The marks that tell this machine from one with the same files: none is read from a disk."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from tvm_farm.protos.device import Machine

__all__ = ["read_machine"]

_START_ID = secrets.token_hex(8)
#: The kind of an address that the adapter was made with: Linux's include/uapi/linux/netdevice.h.
_NET_ADDR_PERM = "0"
#: The tracker takes no longer word of a machine.
_LONGEST = 80


def read_machine(via: str = "", *, root: Path = Path("/")) -> Machine:
    """The marks of this start of the agent, this boot, this hardware. A file that cannot be read gives none.

    ``via``: how the device that runs kernels is reached from here; "": it is this machine.
    """
    return Machine(
        start_id=_START_ID,
        boot_id=_text(root / "proc/sys/kernel/random/boot_id"),
        serial=_serial(root),
        macs=_macs(root / "sys/class/net"),
        via=via[:_LONGEST],
    )


def _serial(root: Path) -> str:
    """The serial number in the device tree or /proc/cpuinfo; DMI keeps its own for root.

    A number of one digit, as zeros are, is none and gives "": the maker gives none, or this is an emulator.
    """
    found = re.search(r"^Serial\s*:\s*(\S+)", _text(root / "proc/cpuinfo"), re.MULTILINE)
    for serial in (_text(root / "proc/device-tree/serial-number"), found[1] if found else ""):
        if len(set(serial)) > 1 and serial.isprintable():
            return serial[:64]
    return ""


def _macs(net: Path) -> tuple[str, ...]:
    """The addresses that adapters were made with: none of bridges and the like, none that a system makes up."""
    adapters = [path for path in net.glob("*") if (path / "device").exists()]
    macs = {_text(path / "address") for path in adapters if _text(path / "addr_assign_type") == _NET_ADDR_PERM}
    return tuple(sorted(mac for mac in macs if len(set(mac)) > 2))[:8]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip("\0\n\t ")
    except OSError:
        return ""
