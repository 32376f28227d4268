"""``farm records merge``: the log of another tracker.

This command reads the file, which need not lie where the tracker is, and sends what the tracker lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.formats import count, plural
from tvm_farm.tracker.client.errors import BadInput, Interrupted

if TYPE_CHECKING:
    from tvm_farm.tracker.cli.terminal.counting import Counted
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import Job, Record, Workload
    from tvm_farm.tracker.domain.imports import ImportPart
    from tvm_farm.tracker.store import OtherLog

__all__ = ["merge"]

#: Trials that are asked about at once.
_PAGE = 2_000
_JOBS = 1_000


@click.command("merge")
@click.argument("other", type=click.Path(path_type=Path), metavar="OTHER.db")
@connection_options()
def merge(other: Path, connection: Connection) -> None:
    """Take over what another tracker measured and this one lacks.

    OTHER.db is its tracker.db or its state folder; its tracker may be running, and be older. Records come with their
    jobs, workloads and traces, marked with where they are from. Nothing is taken twice: interrupted, run it again.

    \b
    Example: a copy of another farm's log
      farm records merge lab-b/tracker.db
    """
    from tvm_farm.tracker.cli.records.parts import source_of
    from tvm_farm.tracker.cli.terminal.counting import counting
    from tvm_farm.tracker.client.user import user_name
    from tvm_farm.tracker.domain.errors import TrackerError, sentence
    from tvm_farm.tracker.domain.imports import ImportReport
    from tvm_farm.tracker.store import open_other_log, sqlite_url

    total = ImportReport()

    def tell(report: ImportReport) -> None:
        nonlocal total
        total = total.plus(report)

    try:
        with (
            connection.open() as client,
            open_other_log(sqlite_url(other)) as log,
            counting("merging", log.records.count()) as done,
        ):
            source = _Source(log, client, done)
            client.log.import_parts(source_of(other), user_name(), source.parts(), tell)
    except TrackerError as error:
        raise BadInput(sentence(str(error))) from error
    except KeyboardInterrupt:
        raise Interrupted(
            f"Interrupted: {plural(total.records, 'record')} taken over so far; the same command goes on from there."
        ) from None
    lines = f" and {plural(total.history, 'line')} of history" if total.history else ""
    click.echo(
        f"Took over {plural(total.records, 'record')}{lines} from {other}; "
        f"{count(source.seen - total.records)} of its {count(source.seen)} were here already."
    )


class _Source:
    """What the other log has and the tracker lacks, in parts."""

    def __init__(self, log: OtherLog, client: Farm, done: Counted) -> None:
        self._log = log
        self._client = client
        self._done = done
        self._sent: set[str] = set()
        self._jobs: dict[str, Job] = {}
        self.seen = 0

    def parts(self) -> Iterator[ImportPart]:
        from tvm_farm.tracker.cli.records.parts import TOGETHER, batches, workload_parts
        from tvm_farm.tracker.domain.imports import HistoryFilter, ImportPart

        for records in self._unknown():
            jobs = {record.job_id: self._job(record.job_id) for record in records if record.job_id}
            yield from workload_parts(self._workloads(records, list(jobs.values())))
            for some in batches(records):
                named = dict.fromkeys(record.job_id for record in some if record.job_id)
                yield ImportPart(jobs=tuple(jobs[job_id] for job_id in named), records=some)
        before = 0
        while True:
            lines, before = self._log.history.page(HistoryFilter(failed=True), before, TOGETHER)
            if lines:
                yield ImportPart(history=tuple(lines))
            if not before:
                return

    def _unknown(self) -> Iterator[list[Record]]:
        after = 0
        while True:
            trial_ids, following = self._log.records.trial_page(after, _PAGE)
            if unknown := set(self._client.log.unknown_trials(trial_ids)):
                yield list(self._records(after, following, unknown))
            self.seen += len(trial_ids)
            self._done(self.seen)
            if not following:
                return
            after = following

    def _records(self, after: int, until: int, unknown: set[str]) -> Iterator[Record]:
        """Those of ``unknown``, which lie after ``after`` and up to ``until``; 0: to the end."""
        from tvm_farm.tracker.domain import RecordFilter

        while unknown:
            page, after = self._log.records.page(RecordFilter(), None, after, _PAGE)
            for record in page:
                if record.trial_id in unknown:
                    unknown.discard(record.trial_id)
                    yield record
            # One that was compacted away meanwhile is not missed.
            if not after or (until and after >= until):
                return

    def _job(self, job_id: str) -> Job:
        """As it can stand in another farm: ended, and without the files of its package."""
        from tvm_farm.tracker.domain import JobState

        if job_id not in self._jobs:
            job = self._log.jobs.get(job_id)
            assert job is not None, job_id
            if not job.state.final:
                job = replace(job, state=JobState.CANCELLED, error="its records were merged while it went on elsewhere")
            if job.result is not None:
                job = replace(job, result=replace(job.result, files=()))
            if len(self._jobs) >= _JOBS:
                self._jobs.clear()
            self._jobs[job_id] = job
        return self._jobs[job_id]

    def _workloads(self, records: list[Record], jobs: list[Job]) -> Iterator[Workload]:
        keys = [record.workload for record in records] + [task.workload for job in jobs for task in job.tasks]
        for key in dict.fromkeys(keys):
            if key in self._sent:
                continue
            self._sent.add(key)
            if workload := self._log.workloads.get(key):
                yield workload
