"""Questions that take seconds, in threads of their own: neither event loop nor the store's thread waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from tvm_farm.tracker.domain import RecordFilter, SqlAnswer
from tvm_farm.tracker.domain.errors import NotPossible
from tvm_farm.tracker.store import LogReader

__all__ = ["Questions"]

#: Each takes a core at most, and no more than a few seconds: the next one waits.
_AT_ONCE = 2


class Questions:
    """See LogReader, which is closed by ``stop``."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._threads = ThreadPoolExecutor(_AT_ONCE, "question")

    async def numbers(self, query: RecordFilter, classes: Collection[str] | None) -> list[int]:
        """Numbers of records in the order that ``query`` asks for. Raises InvalidRequest."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._reader.numbers, query, classes)

    async def answer(self, sql: str, limit: int) -> SqlAnswer:
        """Raises InvalidRequest, NotPossible where the store understands no SQL."""
        if self._reader.sql is None:
            raise NotPossible("this tracker's store understands no SQL: ask by job, workload or class instead")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._reader.sql.answer, sql, limit)

    def stop(self) -> None:
        self._reader.close()
        self._threads.shutdown(cancel_futures=True)
