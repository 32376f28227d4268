"""A 64-bit ARM board on an x86 host, for the demo and the tests: a Debian under QEMU's user emulation.

Beside the packages of the wheel, not in it: it needs a checkout, as `make` and the tests do.
"""

from emulation.board import EmulatedBoard
from emulation.host import EmulationError, Missing, missing_here
from emulation.preparation import CONSTRAINTS, prepare

__all__ = ["CONSTRAINTS", "EmulatedBoard", "EmulationError", "Missing", "missing_here", "prepare"]
