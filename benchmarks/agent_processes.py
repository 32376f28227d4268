"""Many agents in one process: the agent's own code, a connection and a synthetic runner each.

    python -m benchmarks.agent_processes TRACKER FIRST COUNT FOLDER

prints ``joined`` when all are in the farm and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tvm_farm.agent.board.fingerprint import read_fingerprint
from tvm_farm.agent.board.telemetry import TelemetryReader
from tvm_farm.agent.driver.session_driver import SessionDriver
from tvm_farm.agent.runner import SyntheticModel, SyntheticRunner
from tvm_farm.agent.session.state import Phase
from tvm_farm.agent.settings import Settings
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.join import Join

__all__: list[str] = []


async def _board(tracker: str, number: int, folder: Path) -> SessionDriver:
    async def locate(farm: str) -> Sequence[str]:
        return [tracker]

    # A trial lasts its min_repeat_ms, whatever the model says of its kernel.
    runner = SyntheticRunner(SyntheticModel(mean_s=1e-6))
    settings = Settings(state_dir=folder, name=f"board-{number:03}")
    fingerprint = replace(read_fingerprint(), hostname=settings.name)
    join = Join(
        protocol_version=PROTOCOL_VERSION,
        device_id=settings.name,
        name=settings.name,
        fingerprint=fingerprint,
        runner=await runner.start(),
        labels={},
        slots=settings.slots,
        short_slots=settings.short_slots,
    )
    telemetry = functools.partial(TelemetryReader, fingerprint.clusters)
    return SessionDriver(join, runner, telemetry, locate, folder / settings.name, settings.cache_bytes)


async def _main(tracker: str, first: int, count: int, folder: Path) -> None:
    boards = [await _board(tracker, number, folder) for number in range(first, first + count)]
    running = [asyncio.ensure_future(board.run()) for board in boards]
    while not all(board.session.phase is Phase.IDLE for board in boards):
        for task in running:
            if task.done():
                raise RuntimeError(f"an agent ended: {task.result()}")
        await asyncio.sleep(0.05)
    print("joined", flush=True)
    ending = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    done, _ = await asyncio.wait([ending, *running], return_when=asyncio.FIRST_COMPLETED)
    if ending not in done:
        raise RuntimeError(f"an agent ended: {done.pop().result()}")
    # Their streams end with the process; a drain of each would tell nothing that is asked here.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
