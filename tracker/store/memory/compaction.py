"""What a log can do without is found and removed, a little at a time."""

from __future__ import annotations

from array import array
from itertools import islice

from tvm_farm.tracker.domain.imports import Compaction
from tvm_farm.tracker.store.log_survey import LogSurvey
from tvm_farm.tracker.store.memory.jobs import MemoryJobs
from tvm_farm.tracker.store.memory.record_log import RecordLog, beyond

__all__ = ["MemoryCompactor"]

#: Records of one call.
_TOGETHER = 2_000


class MemoryCompactor:
    """See tracker.store.base.Compactor. There is no file that becomes smaller."""

    def __init__(self, log: RecordLog, jobs: MemoryJobs, keep: int) -> None:
        self._log = log
        self._jobs = jobs
        self._survey = LogSurvey(keep)
        self._spare = array("q")
        self._removed = 0
        self._looked_at = 0

    def survey(self) -> Compaction | None:
        unfinished = self._jobs.unfinished()
        numbers = list(islice(beyond(self._log.all(), self._survey.newest, False), _TOGETHER))
        for number in numbers:
            record = self._log.get(number)
            assert record is not None
            measured = record.measurement
            self._survey.weigh(
                number,
                (record.workload, measured.device_class, record.target),
                untuned=record.is_baseline,
                median_s=record.median_s,
                outcome=measured.outcome.value if measured.outcome else "",
                unfinished=record.job_id in unfinished,
                copied=bool(record.copied_from),
            )
        if numbers:
            return None
        self._spare = self._survey.spare()
        return self._progress(done=False)

    def remove(self) -> Compaction:
        # A job may have been taken up again since the survey.
        unfinished = self._jobs.unfinished()
        some = self._spare[self._looked_at : self._looked_at + _TOGETHER]
        gone = [n for n in some if (record := self._log.get(n)) and record.job_id not in unfinished]
        self._log.remove(gone)
        self._removed += len(gone)
        self._looked_at += len(some)
        return self._progress(done=self._looked_at == len(self._spare))

    def _progress(self, *, done: bool) -> Compaction:
        return Compaction(
            records=self._survey.seen, to_remove=len(self._spare), removed=self._removed, shrinks=True, done=done
        )
