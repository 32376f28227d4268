"""Write records into a store as the tracker does, then die.

``python -m benchmarks.log_writer STORE ANSWER COUNT TRACES``, where TRACES is a file of JSON. In a process of its own,
so that the store is left as kill -9 leaves it. ANSWER becomes a JSON object: seconds of each piece, records in it,
bytes of the store, memory, and what is true of the records.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

from benchmarks.log_records import Truth, make_records
from tvm_farm.tracker.domain import Record
from tvm_farm.tracker.services.store_thread import StoreThread
from tvm_farm.tracker.store import open_store, sqlite_url

__all__: list[str] = []


async def write(path: Path, count: int, traces: list[list[str]]) -> dict[str, object]:
    """Records go to the store's thread as measurements do, and each tells when it is committed."""
    kept = open_store(sqlite_url(path))
    store = StoreThread(kept, asyncio.get_running_loop())
    truth, seconds, sizes = Truth(), [], []
    for jobs, records in make_records(count, traces, truth):
        for job, plans in jobs:
            await store.run(kept.jobs.add, job, "")
            await store.run(kept.jobs.add_tasks, job.id, plans)
        begun = time.perf_counter()
        await _put(store, records)
        seconds.append(time.perf_counter() - begun)
        sizes.append(len(records))
    await store.run(kept.checkpoint)
    return {
        "seconds": seconds,
        "records": sizes,
        "bytes": sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*")),
        "rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "best": [[workload, device_class, s] for (workload, device_class), s in truth.best.items()],
        "jobs": truth.jobs,
    }


async def _put(store: StoreThread, records: list[Record]) -> None:
    left = len(records)
    done = asyncio.get_running_loop().create_future()

    def kept(record: Record) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    for record in records:
        store.put(record, kept)
    await done


def main(store: Path, answer: Path, count: int, traces: Path) -> None:
    given = json.loads(traces.read_text(encoding="utf-8"))
    asyncio.run(_write_and_die(store, answer, count, given))


async def _write_and_die(store: Path, answer: Path, count: int, traces: list[list[str]]) -> None:
    report = json.dumps(await write(store, count, traces))
    with answer.open("w", encoding="utf-8") as file:
        file.write(report)
    # The store's thread is alive and nothing was closed.
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
