"""Tunes several models at once: ``python tune_all.py POOL BUDGET MODEL...``. Each package goes to ``MODEL-tuned``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tvm_farm import AsyncFarm, FarmError


async def tune(farm: AsyncFarm, model: str, pool: str, budget: str) -> str:
    """One line that says what came of it."""
    try:
        job = await farm.tune(model, pool=pool, budget=budget)
        await job.wait_all()
        return f"{model}: {await job.package.download(f'{Path(model).stem}-tuned')}"
    except FarmError as error:
        return f"{model}: {error}"


async def main(pool: str, budget: str, *models: str) -> None:
    async with AsyncFarm() as farm:
        for line in await asyncio.gather(*(tune(farm, model, pool, budget) for model in models)):
            print(line)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except FarmError as error:
        sys.exit(f"tune_all.py: {error}")
