"""Trials that the log answers: what was measured once on a class of device is not built and not measured again."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from tvm_farm.tracker.domain import (
    Measurement,
    PastSearch,
    RecallCandidate,
    RecallRequest,
    Record,
    RecordContext,
    TimingPlan,
)
from tvm_farm.tracker.domain.errors import InvalidRequest, NotFound, NotPossible
from tvm_farm.tracker.domain.recall import answer_among, copied
from tvm_farm.tracker.domain.record import BASELINE
from tvm_farm.tracker.measuring.request import TrialRequest
from tvm_farm.tracker.measuring.stream import Stream
from tvm_farm.tracker.measuring.trial import check
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.store_thread import StoreThread
from tvm_farm.tracker.store import Store

__all__ = ["Recall"]

#: Steps of a search that the store reads in one call.
_PAGE = 16

#: A candidate, its plan, and the seconds a call above which the rest of that plan is not worth a board's time.
_Asked = tuple[RecallCandidate, TimingPlan, float]


@dataclass(frozen=True)
class _Asker:
    """Whose trials they become, and the class that they would be measured on."""

    job_id: str
    user: str
    device_class: str


class Recall:
    """Used in the event loop alone. ``recorded`` is told the job of new records; ``recalled`` counts answers."""

    def __init__(
        self,
        fleet: Fleet,
        store: StoreThread,
        recorded: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fleet = fleet
        self._thread = store
        self._store = store.store
        self._recorded = recorded
        self._clock = clock
        self.recalled = 0

    async def ask(self, request: RecallRequest) -> list[Measurement]:
        """Those of the request's candidates that the log has, recorded under their own trial ids. Its step is kept.

        Asked twice the same is answered and recorded once. A job that is ``fresh`` is answered none. Raises NotFound
        for an unknown job, NotPossible for one that has ended, InvalidRequest for a request that names neither job
        nor class.
        """
        found = await self._thread.run(_ask, self._store, request, self._clock())
        self._count(request.job_id, found)
        return [record.measurement for record in found]

    async def of_stream(
        self, stream: Stream, trials: Sequence[tuple[TrialRequest, RecordContext | None]]
    ) -> list[Measurement]:
        """What the log has of ``trials``, recorded under their ids. Who asks for no job has not asked before.

        Values that are to come back, a named board, whole models and a pool of several classes take a measurement.
        """
        device_class = self._class_of(stream)
        if not device_class:
            return []
        asked: list[_Asked] = []
        for request, context in trials:
            check(request)
            if context is not None and not request.wants_outputs:
                candidate = RecallCandidate(request.trial_id, context, request.run_timeout_s)
                asked.append((candidate, request.plan, request.hopeless_s))
        if not asked:
            return []
        asker = _Asker("", stream.user, device_class)
        found = await self._thread.insist(_copies, self._store, asker, asked, self._clock())
        self._count("", found)
        return [record.measurement for record in found]

    def _class_of(self, stream: Stream) -> str:
        """The one class that the stream measures on; "" where its trials are to be measured whatever the log has."""
        opened = stream.opened
        if opened.job_id or opened.fresh or opened.device_id or opened.whole_models:
            return ""
        if opened.device_class:
            return opened.device_class
        classes = {device.device_class for device in self._fleet.devices(opened.pool)}
        return classes.pop() if len(classes) == 1 else ""

    def _count(self, job_id: str, found: Sequence[Record]) -> None:
        self.recalled += len(found)
        if found and job_id:
            self._recorded(job_id)

    async def searches(self, job_id: str) -> AsyncIterator[PastSearch]:
        """The steps of the job's search; where it has made none, those of another one that asked for the same.

        Raises NotFound.
        """
        whose = await self._thread.run(_searched, self._store, job_id)
        after = -1
        while whose:
            page = await self._thread.run(_past, self._store, whose, after)
            for past in page:
                yield past
            if len(page) < _PAGE:
                return
            after = page[-1].step.number


def _ask(store: Store, request: RecallRequest, now: float) -> list[Record]:
    asker = _Asker("", request.user, request.device_class)
    fresh = False
    if request.job_id:
        job = store.jobs.get(request.job_id)
        if job is None:
            raise NotFound(f"there is no job '{request.job_id}'")
        if job.state.final:
            raise NotPossible(f"job {job.id} is {job.state.value}: it needs no more trials")
        asker, fresh = _Asker(job.id, job.spec.user, job.device_class), job.spec.fresh
        if request.step is not None:
            store.searches.add(job.id, request.step)
    elif request.step is not None or not request.device_class:
        raise InvalidRequest("the log is asked for candidates of a job, or of a device class and without a search step")
    if fresh:
        return []
    asked = []
    best_s: dict[tuple[str, str], float] = {}
    for candidate in request.candidates:
        key = (candidate.context.workload, candidate.context.target)
        if request.hopeless and key not in best_s:
            best_s[key] = _best_s(store, *key, asker.device_class)
        asked.append((candidate, request.plan, request.hopeless * best_s.get(key, 0.0)))
    return _copies(store, asker, asked, now)


def _best_s(store: Store, workload: str, target: str, device_class: str) -> float:
    """Seconds a call of the fastest that the log has, 0 where it has none."""
    best = store.records.best([workload], {device_class}, target, 1)
    return statistics.median(best[0].measurement.run_secs) if best else 0.0


def _copies(store: Store, asker: _Asker, asked: Sequence[_Asked], now: float) -> list[Record]:
    """The records of those that the log answers, kept from now on."""
    groups: dict[tuple[str, str, TimingPlan], list[_Asked]] = {}
    for one in asked:
        context = one[0].context
        # A program that names no schedule may be any: the untuned kernel alone is known without.
        if context.trace or context.engine == BASELINE:
            groups.setdefault((context.workload, context.target, one[1]), []).append(one)
    copies = []
    for (workload, target, plan), group in groups.items():
        traces = [candidate.context.trace for candidate, _, _ in group]
        known = store.records.alike(workload, asker.device_class, target, plan, traces)
        for (candidate, _, hopeless_s), records in zip(group, known, strict=True):
            context = candidate.context
            source = answer_among(records, context.versions, candidate.run_timeout_s, hopeless_s)
            if source is not None:
                copies.append(copied(source, candidate.trial_id, asker.job_id, asker.user, context, now))
    return store.records.add(copies) if copies else []


def _searched(store: Store, job_id: str) -> str | None:
    job = store.jobs.get(job_id)
    if job is None:
        raise NotFound(f"there is no job '{job_id}'")
    if store.searches.steps(job_id, -1, 1):
        return job_id
    return None if job.spec.fresh else store.searches.alike(job)


def _past(store: Store, job_id: str, after: int) -> list[PastSearch]:
    page = []
    for step in store.searches.steps(job_id, after, _PAGE):
        taught = [record for trial_id in step.taught if (record := store.records.get(trial_id)) is not None]
        page.append(PastSearch(job_id, step, tuple(taught)))
    return page
