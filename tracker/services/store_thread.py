"""The one thread that touches the store, so that the event loop never waits for the disk.

Records are committed in groups: while one group is being written the next one gathers. A full disk is told once and
tried again until there is room; what waits is not answered, so nothing counts as stored that is not.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar

from tvm_farm.tracker.domain import Record
from tvm_farm.tracker.domain.errors import StoreFull
from tvm_farm.tracker.domain.fast_replace import fast_replace
from tvm_farm.tracker.store import Store

__all__ = ["StoreThread", "WriteTimes"]

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
Kept = Callable[[Record], None]

_CHECKPOINT_S = 5.0
_RETRY_S = (0.2, 5.0)
#: A group of so many records takes a tenth of a second; one twice as large dirties few more pages of the indexes.
_GROUP = 1024
#: Under load a group gathers this long: a transaction, and the word of it to the event loop, cost as much as a record.
#: A record that comes after a pause is written at once.
_GATHER_S = 0.005


@dataclass(frozen=True)
class WriteTimes:
    """Committed groups of records: how many, how many records in them, and the seconds they took in all."""

    groups: int = 0
    records: int = 0
    seconds: float = 0.0


@dataclass
class _Call(Generic[R]):
    work: Callable[[], R]
    answer: asyncio.Future[R]
    insist: bool


@dataclass
class _Put:
    record: Record
    kept: Kept


class StoreThread:
    """Owns ``store``: opened by the caller, used by this thread alone, closed by ``stop``."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        #: Its methods are given to ``run`` and ``insist``; nobody else calls them.
        self.store = store
        self._loop = loop
        self._inbox: queue.SimpleQueue[_Call[Any] | _Put | None] = queue.SimpleQueue()
        self._puts: list[_Put] = []
        #: What the store refused, and when they are tried again: nobody else waits for them.
        self._refused: list[_Put] = []
        self._refused_again_at = 0.0
        self._insisting: list[_Call[Any]] = []
        self._retry_s = 0.0
        self._retry_at = 0.0
        self._dirty_since: float | None = None
        self._wrote_at = 0.0
        self.write_times = WriteTimes()
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """``work``, a method of the store or what calls several, after all that was asked before.

        Raises what it raises, StoreFull when there is no room.
        """
        return await self._ask(_Call(partial(work, *args, **kwargs), self._loop.create_future(), insist=False))

    async def insist(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As ``run``, but a full disk is waited out."""
        return await self._ask(_Call(partial(work, *args, **kwargs), self._loop.create_future(), insist=True))

    async def _ask(self, call: _Call[R]) -> R:
        self._inbox.put(call)
        return await call.answer

    def put(self, record: Record, kept: Kept) -> None:
        """Store a record with the next group, then call ``kept`` in the event loop with the record as stored."""
        self._inbox.put(_Put(record, kept))

    async def stop(self) -> None:
        """Writes what was put, as far as there is room, and closes the store."""
        self._inbox.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def _run(self) -> None:
        running = True
        while running:
            running = self._step(self._next(self._wait_s()))
        # The last chance does not wait for its turn.
        self._retry_at = self._refused_again_at = 0.0
        self._write()
        lost = len(self._puts) + len(self._refused) + len(self._insisting)
        if lost:
            log.error("stopped with %d unwritten changes, see above; their senders send them again", lost)
        self._checkpoint()
        self.store.close()

    def _wait_s(self) -> float | None:
        waits = []
        if self._puts or self._insisting:
            waits.append(self._retry_at)
        if self._refused:
            waits.append(self._refused_again_at)
        if self._dirty_since is not None:
            waits.append(self._dirty_since + _CHECKPOINT_S)
        return max(0.0, min(waits) - time.monotonic()) if waits else None

    def _next(self, wait_s: float | None) -> list[_Call[Any] | _Put | None]:
        items: list[_Call[Any] | _Put | None] = []
        try:
            items.append(self._inbox.get(timeout=wait_s))
            gather_s = self._wrote_at + _GATHER_S - time.monotonic()
            if gather_s > 0 and isinstance(items[0], _Put):
                time.sleep(gather_s)
            while len(items) < _GROUP:
                items.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return items

    def _step(self, items: list[_Call[Any] | _Put | None]) -> bool:
        for item in items:
            if isinstance(item, _Put):
                self._puts.append(item)
            elif isinstance(item, _Call):
                self._write()
                self._answer(item)
        self._write()
        if self._dirty_since is not None and time.monotonic() >= self._dirty_since + _CHECKPOINT_S:
            self._checkpoint()
        return None not in items

    def _write(self) -> None:
        if self._refused and time.monotonic() >= self._refused_again_at:
            self._puts, self._refused = self._refused + self._puts, []
        if not (self._puts or self._insisting) or time.monotonic() < self._retry_at:
            return
        try:
            self._write_puts()
            self._write_insisting()
        except StoreFull as e:
            self._delay(e)
        else:
            if self._retry_s:
                log.warning("the store can be written again")
            self._retry_s = self._retry_at = 0.0

    def _write_insisting(self) -> None:
        while self._insisting:
            call = self._insisting[0]
            try:
                result = call.work()
            except StoreFull:
                raise
            except Exception as e:  # noqa: BLE001 - raised where it was asked
                self._refuse(call, e)
            else:
                self._touched()
                self._finish(call, result)
            self._insisting.pop(0)

    def _write_puts(self) -> None:
        puts = self._puts
        if not puts:
            return
        try:
            self._write_group(puts)
            self._puts = []
        except StoreFull:
            raise
        except Exception:  # noqa: BLE001 - told of each that is refused alone
            # One refused record does not hold up the others. What could not be written stays unanswered.
            self._puts = []
            if not self._refused:
                self._refused_again_at = time.monotonic() + _RETRY_S[1]
            self._refused += [put for put in puts if not self._wrote_alone(put)]

    def _wrote_alone(self, put: _Put) -> bool:
        try:
            self._write_group([put])
        except StoreFull:
            return False  # no fault of the record
        except Exception:
            log.exception(
                "the record of trial %s was refused by the store",
                put.record.trial_id,
                extra={"trial": put.record.trial_id},
            )
            return False
        return True

    def _write_group(self, puts: list[_Put]) -> None:
        began, stored_s = time.monotonic(), time.time()
        kept = self.store.records.add([_stamped(put.record, stored_s) for put in puts])
        self._touched()
        self._wrote_at = time.monotonic()
        t = self.write_times
        self.write_times = WriteTimes(t.groups + 1, t.records + len(kept), t.seconds + time.monotonic() - began)

        def tell() -> None:
            for put, record in zip(puts, kept, strict=True):
                put.kept(record)

        self._tell(tell)

    def _delay(self, error: StoreFull) -> None:
        if not self._retry_s:
            log.error("%s; measurements wait and are stored as soon as there is room", error)
        self._retry_s = min(_RETRY_S[1], max(_RETRY_S[0], 2 * self._retry_s))
        self._retry_at = time.monotonic() + self._retry_s

    def _answer(self, call: _Call[Any]) -> None:
        if call.insist and self._insisting:
            self._insisting.append(call)
            return
        try:
            result = call.work()
        except StoreFull as e:
            if call.insist:
                self._insisting.append(call)
                self._delay(e)
            else:
                self._refuse(call, e)
        except Exception as e:  # noqa: BLE001 - raised where it was asked
            self._refuse(call, e)
        else:
            self._touched()
            self._finish(call, result)

    def _finish(self, call: _Call[Any], result: Any) -> None:
        self._tell(lambda: None if call.answer.done() else call.answer.set_result(result))

    def _refuse(self, call: _Call[Any], error: Exception) -> None:
        self._tell(lambda: None if call.answer.done() else call.answer.set_exception(error))

    def _tell(self, callback: Callable[[], Any]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _touched(self) -> None:
        if self._dirty_since is None:
            self._dirty_since = time.monotonic()

    def _checkpoint(self) -> None:
        try:
            self.store.checkpoint()
        except Exception as e:
            # What is not on the disk yet is tried again.
            self._dirty_since = time.monotonic()
            if isinstance(e, StoreFull):
                self._delay(e)
            else:
                log.exception("the store could not be brought to the disk")
        else:
            self._dirty_since = None


def _stamped(record: Record, stored_s: float) -> Record:
    measurement = record.measurement
    timeline = fast_replace(measurement.timeline, stored_s=stored_s)
    return fast_replace(record, measurement=fast_replace(measurement, timeline=timeline))
