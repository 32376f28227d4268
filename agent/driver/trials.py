"""The trials of one device: their files brought here, their kernels run, what came of them told."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from tvm_farm.agent.board.telemetry import TelemetryReader
from tvm_farm.agent.driver.disk_watch import DiskWatch
from tvm_farm.agent.driver.trial_files import TrialFiles
from tvm_farm.agent.errors import ArtifactError
from tvm_farm.agent.files.artifacts import ArtifactCache
from tvm_farm.agent.files.disk import DiskError
from tvm_farm.agent.runner import DeviceAwayError, Runner, RunnerError, RunReport
from tvm_farm.agent.session.events import Event, FilesFailed, FilesReady, Finished, RunnerFailed
from tvm_farm.agent.session.state import Session
from tvm_farm.protos import quantities
from tvm_farm.protos.channel import OUTPUTS_BYTES
from tvm_farm.protos.device import Telemetry
from tvm_farm.protos.measurement import Measurement, MeasureRequest, Outcome, Timeline

__all__ = ["Trials"]

#: Trials that the runner is told ahead: see Runner.offer.
_AHEAD = 7


class Trials:
    """Fetches, runs and measures as the session says; ``deliver`` takes the events.

    ``check`` runs after each trial: where it raises RunnerError, what was just measured does not count. ``spawn``
    starts a task whose failure somebody hears of.
    """

    def __init__(
        self,
        runner: Runner,
        cache: ArtifactCache,
        disk: DiskWatch,
        sensors: TelemetryReader,
        check: Callable[[], None],
        deliver: Callable[[Event], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._runner = runner
        self._cache = cache
        self._disk = disk
        self._sensors = sensors
        self._check = check
        self._deliver = deliver
        self._spawn = spawn
        #: Trials that ended here, by outcome.
        self.outcomes: Counter[Outcome] = Counter()
        self._files: dict[str, TrialFiles] = {}
        #: Ids of the trials that the runner was told come next.
        self._ahead: set[str] = set()
        self._failed = False
        self._readings: deque[Telemetry] = deque(maxlen=2 * _AHEAD)

    def fetch(self, request: MeasureRequest) -> None:
        """Bring the trial's files here. FilesReady, FilesFailed or DiskFailed follows."""
        files = TrialFiles(self._cache, request)
        self._files[request.trial_id] = files
        files.fetching = self._spawn(self._bring(files))

    def release(self, trial_id: str) -> None:
        """Let go of the trial's files, and of its place ahead in the runner."""
        files = self._files.pop(trial_id)
        if trial_id in self._ahead:
            self._ahead.remove(trial_id)
            self._spawn(self._runner.withdraw(files.local))
        files.release()

    def start(self, request: MeasureRequest) -> None:
        """Run the trial, whose files are here. Finished or RunnerFailed follows."""
        if request.trial_id in self._ahead:
            self._ahead.remove(request.trial_id)
        else:
            self._readings.append(self._sensors.read())
        self._spawn(self._measure(request))

    def cancel(self) -> None:
        """End the running kernel."""
        self._spawn(self._runner.cancel())

    def look_ahead(self, session: Session) -> None:
        """Tell the runner what comes next while it executes a trial: then no kernel waits for this process."""
        # Where devices take turns, a trial that the runner begins by itself may be in another device's turn.
        if not session.running or session.shares_board:
            return
        for held in session.queue:
            if not held.ready or len(self._ahead) == _AHEAD:
                return  # the turn of a trial that is not ready may come before that of those behind it
            trial = held.request.trial_id
            if trial not in self._ahead:
                self._ahead.add(trial)
                self._spawn(self._runner.offer(self._files[trial].local))

    def runner_failed(self, error: RunnerError) -> None:
        """Deliver RunnerFailed, once, whoever notices first. What a kernel still answers belongs to a trial that is
        given back."""
        if self._failed:
            return
        self._failed = True
        self._deliver(RunnerFailed(str(error), isinstance(error, DeviceAwayError)))

    async def _bring(self, files: TrialFiles) -> None:
        trial = files.request.trial_id
        try:
            await files.bring()
        except DiskError as error:
            self._disk.failed(error, trial)
        except ArtifactError as error:
            self._deliver(FilesFailed(trial, str(error)))
        else:
            self._disk.took()
            self._deliver(FilesReady(trial))

    async def _measure(self, request: MeasureRequest) -> None:
        files = self._files[request.trial_id]
        try:
            report = await self._runner.run(files.local)
            self._check()
        except RunnerError as error:
            self.runner_failed(error)
            return
        if self._failed:
            return
        measurement = _fit_outputs(_measurement(request, report, files.received_s))
        before = self._last_reading(report.started_s)
        self._readings.append(self._sensors.read())
        measurement = replace(measurement, before=before, after=self._readings[-1])
        self.outcomes[measurement.outcome] += 1
        self._deliver(Finished(measurement))

    def _last_reading(self, started_s: float) -> Telemetry:
        """The last reading before a kernel began. A kernel that was offered begins before this process hears of its
        turn."""
        return next((each for each in reversed(self._readings) if each.at_unix_s <= started_s), self._readings[-1])


def _measurement(request: MeasureRequest, report: RunReport, received_s: float) -> Measurement:
    return Measurement(
        trial_id=request.trial_id,
        outcome=report.outcome,
        detail=report.detail,
        signal=report.signal,
        run_secs=report.run_secs,
        outputs=report.outputs,
        cut_short=report.cut_short,
        timeline=Timeline(received_s=received_s, started_s=report.started_s, finished_s=report.finished_s),
    )


def _fit_outputs(measurement: Measurement) -> Measurement:
    """Outputs too large for one message make the trial an error: they would end the stream again at every new try."""
    size = sum(len(output.data) for output in measurement.outputs)
    if size <= OUTPUTS_BYTES:
        return measurement
    detail = f"its outputs are {quantities.size(size)}, a message carries at most {quantities.size(OUTPUTS_BYTES)}"
    return replace(measurement, outcome=Outcome.RUN_ERROR, detail=detail, run_secs=(), outputs=())
