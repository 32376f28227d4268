"""What a board is told whose runner does not start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.fingerprints import board
from tvm_farm.agent.board.device import Device
from tvm_farm.agent.errors import RunnerUnusableError
from tvm_farm.agent.runner import LocalTransport
from tvm_farm.agent.runtime.starting import start_runner
from tvm_farm.agent.settings import Settings


@pytest.mark.parametrize("mode", ["auto", "full", "micro"])
def test_a_board_that_no_runner_is_built_for_gets_no_remedy_that_is_none(tmp_path: Path, mode: str) -> None:
    pi_zero = Device(board("armv6l", "0x41", "0xb76", {"vfp"}, "ARM1176", 1), LocalTransport(), arch="armv6l")
    with pytest.raises(RunnerUnusableError) as raised:
        asyncio.run(start_runner(Settings(tmp_path, mode=mode), pi_zero))
    said = str(raised.value)
    assert said.startswith("no runner for armv6l: this installation carries one for aarch64, armv7l, ")
    assert said.endswith("boards of another architecture cannot be lent")
    assert "--" not in said
