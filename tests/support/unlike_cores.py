"""The ``agent`` command on this machine, as if its CPUs were those of an RK3399: one a Cortex-A53, one a Cortex-A72.

What the board says of itself comes from files; processes, affinities and kernels are real.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import tvm_farm.agent.board.device
import tvm_farm.agent.cli
from tests.support.board_trees import grow, two_of_an_rk3399
from tvm_farm.agent.board.fingerprint import System, read_fingerprint

__all__ = ["big", "little"]


def little() -> int:
    return sorted(os.sched_getaffinity(0))[0]


def big() -> int:
    return sorted(os.sched_getaffinity(0))[1]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = grow(Path(folder), two_of_an_rk3399(little(), big()))
        system = replace(System.here(), hostname="rock")
        board = read_fingerprint(root=root, affinity=(little(), big()), system=system)
    tvm_farm.agent.board.device.read_fingerprint = lambda: board
    tvm_farm.agent.cli.main()


if __name__ == "__main__":
    main()
