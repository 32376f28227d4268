"""A 64-bit ARM board on an x86 host, for the demo and the tests: a Debian under QEMU's user emulation. No part of the
wheel."""

from emulation.board import EmulatedBoard
from emulation.debian import DebianTree, make_tree
from emulation.host import EmulationError, Missing, missing_here

__all__ = ["DebianTree", "EmulatedBoard", "EmulationError", "Missing", "make_tree", "missing_here"]
