"""A job in the hands of a program: waited for, watched, its package fetched."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_farm.tracker.client.asking.names import ARGUMENTS, Names
from tvm_farm.tracker.client.asking.values import MAX_MORE_TRIALS, parse_whole, seconds_of
from tvm_farm.tracker.client.errors import BadInput, FarmError, JobCancelled, JobFailed, JobRefused
from tvm_farm.tracker.client.following import follow
from tvm_farm.tracker.client.link import Stop
from tvm_farm.tracker.client.packages.download import download
from tvm_farm.tracker.client.packages.owned import Owner
from tvm_farm.tracker.client.packages.package import check_destination
from tvm_farm.tracker.domain.errors import sentence
from tvm_farm.tracker.domain.job import Job, JobKind, JobState
from tvm_farm.tracker.domain.job_group import JobGroup
from tvm_farm.tracker.domain.job_result import JobResult

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm

__all__ = ["JobHandle", "JobPackage", "check_done"]

log = logging.getLogger(__name__)


class JobHandle:
    """A job, or the jobs of one request: where the pool has several classes of device, each has a job of its own.

    The job runs on the farm; it goes on when the program ends, and ``Farm.job(id)`` gives its handle again.

        job = farm.tune("resnet50.onnx", pool="arm64", budget="30m")
        for snapshot in job.progress():
            print(snapshot.phase, snapshot.trials)
        print(job.wait().latency.tuned_s)
        job.package.download("resnet50-rpi4")
    """

    def __init__(self, farm: Farm, group: JobGroup) -> None:
        self.farm = farm
        self._group = group

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} {self._group.state.value}>"

    @property
    def id(self) -> str:
        """What names the job, or all jobs of the group: ``Farm.job`` takes it, and every command of `farm jobs`."""
        return self._group.id

    @property
    def group(self) -> JobGroup:
        """The jobs as they were when they were last heard of."""
        return self._group

    def refresh(self) -> JobGroup:
        """The jobs as they are now. Asks the tracker, unless they have ended."""
        if not self._group.state.final:
            self._group = self._asked()
        return self._group

    @property
    def state(self) -> JobState:
        """As ``refresh`` has it: queued, running, done, failed, cancelled or refused. See ``JobGroup.state``."""
        return self.refresh().state

    @property
    def result(self) -> JobResult | None:
        """What came of the job; None before its end, and where it has none. Asks the tracker, see ``refresh``.

        Raises BadInput where there are several jobs: ``results`` has them by class.
        """
        self.check_alone()
        return next(iter(self.results.values()), None)

    @property
    def results(self) -> dict[str, JobResult]:
        """The results that there are, by device class. Asks the tracker, see ``refresh``."""
        return self.refresh().results

    @property
    def package(self) -> JobPackage:
        """The tuned package of the job, or those of its classes."""
        return JobPackage(self)

    def progress(
        self,
        *,
        timeout_s: float | None = None,
        notice: Callable[[str], None] = log.warning,
        stop: Stop | None = None,
    ) -> Iterator[Job]:
        """Snapshots of the job, with its tasks, whenever it changed, up to its end; of several jobs of each of them.

        A tracker that restarts or cannot be reached is waited for, 10 minutes; ``notice`` is told of it. ``stop`` ends
        the iteration from another thread. Raises TrackerUnreachable after these minutes, WaitTimeout after
        ``timeout_s``. The job goes on in both cases, and when the iteration is given up.
        """
        for job, _ in self.followed(timeout_s=timeout_s, notice=notice, stop=stop):
            yield job

    def followed(
        self,
        *,
        timeout_s: float | None = None,
        notice: Callable[[str], None] = log.warning,
        stop: Stop | None = None,
    ) -> Iterator[tuple[Job, JobGroup]]:
        """As ``progress``, each with the jobs as this iteration knows them then: ``group`` may be of another thread's,
        which is behind.
        """
        group = self._group
        for job in follow(self.farm.jobs, group, timeout_s=timeout_s, notice=notice, stop=stop):
            group = replace(group, jobs=tuple(job if each.id == job.id else each for each in group.jobs))
            self._group = group
            yield job, group

    def wait(self, timeout_s: float | None = None) -> JobResult:
        """The job's result, once it has ended.

        Raises JobFailed where it ended without one: JobCancelled, or JobRefused for what cannot be tuned; WaitTimeout
        after ``timeout_s``, and TrackerUnreachable as ``progress`` does: the job goes on in both cases. Raises BadInput
        at once where there are several jobs: ``wait_all`` waits for them.
        """
        self.check_alone()
        [result] = self.wait_all(timeout_s).values()
        return result

    def wait_all(self, timeout_s: float | None = None) -> dict[str, JobResult]:
        """The results by device class, once all jobs have ended. Raises what ``wait`` does, JobFailed where any job has
        no result: ``results`` and ``package`` have those of the others.
        """
        group = self._group
        for _, latest in self.followed(timeout_s=timeout_s) if not group.state.final else ():
            group = latest
        check_done(group)
        return group.results

    def cancel(self) -> None:
        """End the job; what it measured stays in the log. Raises BadInput where it has ended otherwise."""
        self._group = self.farm.jobs.cancel(self.id)

    def resume(self, *, trials: int | str | None = None, budget: float | str | None = None) -> JobHandle:
        """Go on with an ended job, from its records: with so many more trials, so much more time (seconds, or "10m"),
        or to the limits that it had.

        Returns this handle. Raises BadInput where it has not ended, and for several jobs: they go on one by one.
        """
        self.check_alone()
        try:
            more = 0 if trials is None else parse_whole(str(trials), 1, MAX_MORE_TRIALS)
            budget = budget.removeprefix("+") if isinstance(budget, str) else budget
            seconds = 0.0 if budget is None else seconds_of(budget)
        except ValueError as error:
            raise BadInput(f"{error}.") from None
        self._group = JobGroup((self.farm.jobs.resume(self.id, more, seconds),))
        return self

    def _asked(self) -> JobGroup:
        return self.farm.jobs.group(self.id)

    def check_alone(self) -> None:
        """Raises BadInput where there are several jobs."""
        if not self._group.alone:
            classes = ", ".join(job.device_class for job in self._group.jobs)
            raise BadInput(
                f"{self.id} is {len(self._group.jobs)} jobs, one for each class of device ({classes}): results and "
                "wait_all() have all of them, Farm.job(ID) has one."
            )


class JobPackage:
    """The package of a handle's job, or those of its classes."""

    def __init__(self, handle: JobHandle) -> None:
        self._handle = handle

    def check(self, folder: str | os.PathLike[str], *, force: bool = False, names: Names = ARGUMENTS) -> None:
        """Raises BadInput where ``download`` would, without downloading: before anything is spent on a package."""
        group = self._handle.group
        if group.spec.kind.answers_only:
            raise BadInput(f"Job {group.first.id} looked things up and made no package.")
        check_destination(Path(folder), force, Owner(group.spec.model_name, group.spec.model.digest), names)

    def download(self, folder: str | os.PathLike[str], *, force: bool = False, names: Names = ARGUMENTS) -> Path:
        """Write the package into ``folder``, made if need be, whole or not at all; returns the folder. Of several
        classes each has a folder in it, that is named as the class.

        Files of an older package of this model are replaced or removed, other files stay. Raises BadInput where the
        folder holds another model's package, or files and no package, unless ``force``; FarmError where the job has no
        package yet, or it cannot be written.
        """
        self.check(folder, force=force, names=names)
        group = self._handle.refresh()
        if not group.done:
            check_done(group)
            raise FarmError(f"Job {group.id} is {group.state.value}: it has no package yet.")
        download(self._handle.farm, group, Path(folder))
        return Path(folder)


def check_done(group: JobGroup) -> None:
    """Raises JobFailed where any job of ``group`` has ended without a result."""
    missing = [job for job in group.ended if job.result is None or job.state is not JobState.DONE]
    if missing and group.alone:
        raise _failure(group.first)
    if missing:
        reasons = "; ".join(f"{job.id}: {job.error or job.state.value}" for job in missing)
        kind = JobRefused if all(job.input_error for job in group.jobs) else JobFailed
        raise kind(f"{len(missing)} of {len(group.jobs)} classes have no package: {reasons}")


def _failure(job: Job) -> JobFailed:
    """Why an ended job has no result."""
    if job.state is JobState.CANCELLED:
        again = f" Go on with it: farm jobs resume {job.id}" if job.spec.kind is JobKind.TUNE else ""
        return JobCancelled(f"Job {job.id} was cancelled.{again}")
    if job.state is JobState.DONE:
        return JobFailed(f"Job {job.id} is done but names no result: the tracker's log may tell why.")
    kind = JobRefused if job.input_error else JobFailed
    # A model is called what its file is called, also where a sentence begins with it.
    error = (
        job.error if job.error.startswith(tuple(f"{job.spec.model_name}{end}" for end in " :")) else sentence(job.error)
    )
    return kind(error or f"Job {job.id} failed without saying why: the tracker's log may tell.")
