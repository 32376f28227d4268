"""From a checkout to an emulated board that its agent can start on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from emulation.board import EmulatedBoard
from emulation.debian import make_tree
from emulation.host import EmulationError, missing_here

__all__ = ["CONSTRAINTS", "make_wheel", "prepare"]

_ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = _ROOT / "constraints.txt"


def prepare(folder: Path, say: Callable[[str], None]) -> EmulatedBoard:
    """A board under ``folder`` with this checkout's base distribution, whose Debian tree stays in ``build/``.

    ``say`` hears of what takes its time. Raises EmulationError.
    """
    if missing := missing_here():
        raise EmulationError(f"No 64-bit ARM board can be emulated here: {missing}")
    tree = make_tree(_ROOT / "build" / "arm64", say)
    say("Installing the agent and what it needs on the emulated board")
    board = EmulatedBoard(tree, folder / "board")
    board.install(str(make_wheel(folder)), constraints=CONSTRAINTS)
    return board


def make_wheel(folder: Path) -> Path:
    """The wheel of this checkout, in ``folder``. Raises EmulationError."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q", "--no-deps"]
    command += ["--no-build-isolation", "-w", str(folder), str(_ROOT)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EmulationError(f"the wheel of the agent was not made: {done.stderr.strip()}")
    [wheel] = folder.glob("tvm_farm-*.whl")
    return wheel
