"""Questions to the tuning log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from tvm_farm.tracker.domain import (
    JobTimeline,
    Outcome,
    Record,
    RecordFilter,
    RecordOrder,
    SqlAnswer,
    TimelineSums,
    Workload,
)
from tvm_farm.tracker.domain.errors import InvalidRequest, NotFound
from tvm_farm.tracker.services.added_records import completed
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.questions import Questions
from tvm_farm.tracker.services.store_thread import StoreThread
from tvm_farm.tracker.store import Store

__all__ = ["Records"]

log = logging.getLogger(__name__)

#: One call of the store is over in some ten milliseconds, so that measurements are stored meanwhile.
_PAGE = 500
_WORKLOADS = 50
#: Workloads that are near to another.
_NEAR = 8


class Records:
    def __init__(self, fleet: Fleet, store: StoreThread, questions: Questions) -> None:
        self._fleet = fleet
        self._thread = store
        self._store = store.store
        self._questions = questions

    def _classes(self, pool: str) -> set[str] | None:
        return {device.device_class for device in self._fleet.devices(pool)} if pool else None

    async def query(self, query: RecordFilter) -> AsyncIterator[Record]:
        """Records in the order that ``query`` asks for.

        Raises NotFound for an unknown pool, InvalidRequest for an order that contradicts the rest.
        """
        query = replace(query, device_class=self._fleet.class_named(query.device_class))
        if query.order or query.reverse:
            async for record in self._ordered(query):
                yield record
            return
        classes, after, left = self._classes(query.pool), 0, query.limit or None
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            page, after = await self._thread.run(self._store.records.page, query, classes, after, size)
            for record in page:
                yield record
            if not after:
                return
            left = None if left is None else left - len(page)

    async def _ordered(self, query: RecordFilter) -> AsyncIterator[Record]:
        if query.order is None or query.newest_first:
            raise InvalidRequest(
                "as they were stored, newest_first turns records round; in another order, reverse does"
            )
        timed = query.order in (RecordOrder.LATENCY, RecordOrder.THROUGHPUT)
        if timed and query.outcome not in (None, Outcome.OK):
            raise InvalidRequest(f"what ended as '{query.outcome.value}' has no {query.order.value} to be ordered by")
        numbers = await self._questions.numbers(query, self._classes(query.pool))
        for start in range(0, len(numbers), _PAGE):
            some = numbers[start : start + _PAGE]
            for record in await self._thread.run(self._store.records.numbered, some):
                yield record

    async def sql(self, sql: str, limit: int) -> SqlAnswer:
        """What a person's SELECT says. Raises InvalidRequest."""
        return await self._questions.answer(sql, limit)

    async def record(self, start: str) -> Record:
        """The record of the trial with this id, or of the only one whose id starts with it. Raises NotFound."""
        if not start:
            raise InvalidRequest("no trial was given")
        ids = await self._thread.run(self._store.records.trial_ids, start)
        if len(ids) > 1:
            raise NotFound(f"'{start}' is the start of several trials: {', '.join(ids)}")
        record = await self._thread.run(self._store.records.get, ids[0]) if ids else None
        if record is None:
            raise NotFound(f"there is no record of a trial '{start}'")
        return record

    async def workload(self, key: str) -> Workload:
        """Raises NotFound."""
        workload = await self._thread.run(self._store.workloads.get, key)
        if workload is None:
            raise NotFound(f"there is no workload '{key}'")
        return workload

    async def refute(self, trial_id: str, detail: str) -> int:
        """What was measured of this trial's kernel is a wrong result from now on; see store.base.Records.refute.

        How many records that were. Raises NotFound where no candidate of that trial was recorded.
        """
        refuted = await self._thread.run(self._store.records.refute, trial_id, detail)
        if refuted is None:
            raise NotFound(f"there is no record of a candidate '{trial_id}'")
        log.warning("%d records of trial %s's kernel are wrong results: %s", refuted, trial_id, detail)
        return refuted

    async def add(self, workloads: Sequence[Workload], records: Sequence[Record], farm_version: str) -> None:
        """Keep what a program had measured outside a job. Returns when it is stored.

        Raises InvalidRequest for a record that is none of a candidate which boards of this farm measured or could not.
        """
        whole = [completed(record, self._fleet, farm_version, time.time()) for record in records]
        await self._thread.run(_add, self._store, workloads, whole)

    async def timeline(self, job_id: str) -> JobTimeline:
        """Where the time of the job's trials went, so far."""
        sums, after = TimelineSums(), 0
        while True:
            after = await self._thread.run(_add_page, sums, self._store, job_id, after)
            if not after:
                # Sorting a hundred thousand spans takes a second: the loop goes on meanwhile.
                return await asyncio.to_thread(sums.result)

    async def best(
        self,
        workloads: Sequence[str],
        pool: str,
        device_class: str,
        target: str,
        per_workload: int,
        apart_from: str = "",
        near: str = "",
    ) -> list[Record]:
        """The fastest OK records of each workload, tuned and untuned alike, fastest first within a workload.

        Without ``workloads``: of all that were ever measured.

        ``pool`` and ``device_class`` narrow to classes, both together to what they share. With ``apart_from`` instead
        of ``device_class``: ``per_workload`` of each class but that one, those of one class together. Raises NotFound
        for an unknown pool, InvalidRequest for both of a class and another one to leave out. ``near``: instead of
        ``workloads`` the few that are nearest to this one, see store.base.Workloads.near.
        """
        classes = self._classes(pool)
        if near:
            if workloads:
                raise InvalidRequest("workloads and what is near to one are asked for: ask for either")
            workloads = await self._thread.run(self._store.workloads.near, near, _NEAR)
            if not workloads:
                return []
        if apart_from:
            if device_class:
                raise InvalidRequest("records of one class are asked for, and of every class but one: ask for either")
            return await self._of_others(workloads, classes, target, per_workload or 1, apart_from)
        if device_class := self._fleet.class_named(device_class):
            classes = {device_class} if classes is None else classes & {device_class}
        keys = workloads or await self._thread.run(self._store.records.measured_workloads)
        best: list[Record] = []
        for start in range(0, len(keys), _WORKLOADS):
            some = keys[start : start + _WORKLOADS]
            best += await self._thread.run(self._store.records.best, some, classes, target, per_workload or 1)
        return best

    async def _of_others(
        self, workloads: Sequence[str], classes: set[str] | None, target: str, per_workload: int, apart_from: str
    ) -> list[Record]:
        best: list[Record] = []
        for key in workloads or await self._thread.run(self._store.records.measured_workloads):
            for other in await self._thread.run(self._store.records.measured_classes, key):
                if other != apart_from and (classes is None or other in classes):
                    best += await self._thread.run(self._store.records.best, [key], [other], target, per_workload)
        return best


def _add(store: Store, workloads: Sequence[Workload], records: Sequence[Record]) -> None:
    unknown = {r.workload for r in records} - {w.key for w in workloads}
    if missing := sorted(key for key in unknown if store.workloads.get(key) is None):
        raise InvalidRequest(f"a record is of the workload '{missing[0]}', which is not known here: send it along")
    # A workload without records harms nobody; the other way round nobody could replay them.
    store.workloads.add(workloads)
    store.records.add(records)


def _add_page(sums: TimelineSums, store: Store, job_id: str, after: int) -> int:
    page, after = store.records.times(job_id, after, _PAGE)
    sums.add(page)
    return after
