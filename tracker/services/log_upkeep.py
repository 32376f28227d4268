"""The log's way in for what others measured, and what keeps it small."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tvm_farm.protos.measurement import Measurement
from tvm_farm.tracker.domain.errors import InvalidRequest, NotPossible
from tvm_farm.tracker.domain.imports import Compaction, HistoryFilter, HistoryLine, ImportPart, ImportReport
from tvm_farm.tracker.measuring.trial import sound
from tvm_farm.tracker.services.store_thread import StoreThread

__all__ = ["LogUpkeep"]

log = logging.getLogger(__name__)
R = TypeVar("R")

_PAGE = 500
#: Records and lines of one part: it is stored in some fifty milliseconds, between which measurements are.
PART_LIMIT = 1_000


class LogUpkeep:
    def __init__(self, store: StoreThread, class_named: Callable[[str], str] = str) -> None:
        """``class_named``: what a device class is called here, which another farm may call otherwise."""
        self._class_named = class_named
        self._thread = store
        self._store = store.store
        self._compacting = False

    async def take(self, parts: AsyncIterator[ImportPart]) -> ImportReport:
        """Keep what comes. The first part names the source alone. Raises InvalidRequest for a part that makes no sense.

        Parts before one that is refused stay kept.
        """
        now, source, user, report = 0.0, "", "", ImportReport()
        class_named = functools.cache(self._class_named)
        async for part in parts:
            if not source:
                source, user, now = part.source, part.user, part.imported_unix_s or time.time()
                if not source:
                    raise InvalidRequest("an import begins with its source")
                continue
            _check(part)
            records = tuple(replace(r, measurement=_ours(r.measurement, class_named)) for r in part.records)
            named = ImportPart(source, user, part.workloads, part.jobs, records, part.history)
            report = report.plus(await self._thread.run(self._store.imports.take, named, now))
        log.info("imported from %s by %s: %d records, %d lines", source, user, report.records, report.history)
        return report.plus(ImportReport(imported_unix_s=now))

    async def unknown_trials(self, trial_ids: Sequence[str]) -> list[str]:
        return await self._thread.run(self._store.records.unknown_trials, trial_ids)

    async def history(self, query: HistoryFilter) -> AsyncIterator[HistoryLine]:
        """Lines, the one that was imported last first."""
        before, left = 0, query.limit or None
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            page, before = await self._thread.run(self._store.history.page, query, before, size)
            for line in page:
                yield line
            if not before:
                return
            left = None if left is None else left - len(page)

    async def compact(self, keep: int, dry_run: bool) -> AsyncGenerator[Compaction, None]:
        """How far it is: first what it comes to. Raises NotPossible while another one runs."""
        if keep < 1:
            raise InvalidRequest(f"a compaction keeps at least the best one of a task, not {keep}")
        if self._compacting:
            raise NotPossible("the log is being compacted already: wait for its end")
        self._compacting = True
        try:
            compactor = await self._thread.run(self._store.records.compactor, keep)
            plan = None
            while plan is None:
                plan = await self._unhurried(compactor.survey)
            yield plan
            if dry_run:
                return
            progress = plan
            while not progress.done:
                progress = await self._unhurried(compactor.remove)
                yield progress
            log.info("compacted to the best %d of each task: %s", keep, progress)
        finally:
            self._compacting = False

    async def _unhurried(self, step: Callable[[], R]) -> R:
        """One step, and as long a pause: the store's thread has half of its time for what is measured."""
        began = time.monotonic()
        done = await self._thread.run(step)
        await asyncio.sleep(time.monotonic() - began)
        return done


def _ours(measurement: Measurement, class_named: Callable[[str], str]) -> Measurement:
    return replace(sound(measurement), device_class=class_named(measurement.device_class))


def _check(part: ImportPart) -> None:
    if len(part.records) + len(part.history) > PART_LIMIT:
        raise InvalidRequest(f"a part of an import has at most {PART_LIMIT} records")
    for job in part.jobs:
        if not job.state.final:
            raise InvalidRequest(f"job {job.id} has not ended: nothing would end it here")
    for record in part.records:
        if not record.trial_id or not record.workload:
            raise InvalidRequest(f"the record '{record.trial_id}' lacks its trial or its workload")
