"""Pipes that nobody reads: what is written to one does not return once it is full, as to a disk that hangs."""

from __future__ import annotations

import fcntl
import os
import sys
import termios
from pathlib import Path

__all__ = ["PIPE_BYTES", "held_by"]

#: What a pipe takes without a reader: pipe(7).
PIPE_BYTES = 1 << 16


def held_by(pipe: Path) -> int:
    """Bytes in a named pipe that wait for a reader."""
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        held = fcntl.ioctl(reader, termios.FIONREAD, bytes(4))
    return int.from_bytes(held, sys.byteorder)
