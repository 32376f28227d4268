"""MetaSchedule's runner on boards of the farm."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import tvm
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms

from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.domain import Argument, Artifact, Measurement, OpenMeasure, Outcome, TimingPlan, new_trial_id
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.fast_replace import fast_replace
from tvm_farm.tracker.domain.job import check_priority
from tvm_farm.tracker.script.artifact import library_of
from tvm_farm.tracker.script.chosen_class import ChosenClass
from tvm_farm.tracker.script.ledger import LEDGER, Entry, Kernel
from tvm_farm.tracker.script.trials import Trials
from tvm_farm.tracker.tuning.building.kernel_requests import kernel_request

__all__ = ["FarmRunner", "said_of"]

#: Twice that is read and written before each repeat where caches are to be flushed: more than a board's last one holds.
_FLUSHED_BYTES = 32 << 20


@derived_object
class FarmRunner(ms.runner.PyRunner):  # type: ignore[misc]
    """Measures candidates on the boards of one class in ``pool``, as many at once as there are.

    ``tracker``: ``HOST:PORT`` or the name of a farm that is heard by mDNS; by default what ``farm`` would use.
    ``device_class`` is needed where the pool has several. ``timeout_sec`` of execution on a board for one candidate,
    never of waiting. ``cooldown_sec`` between repeats. ``user``: whose boards under lease it may use, whose share of
    the others it takes, at ``priority``.

    A failed candidate is a result with its outcome in words. A tracker or a board that is lost is waited for; what the
    tracker refuses raises FarmError. Takes FarmBuilder's artifacts and those of LocalBuilder's default export.

    By itself it records nothing: the farm's log is FarmDatabase. Raises BadInput for an option that cannot be, and
    TrackerUnreachable.
    """

    def __init__(
        self,
        tracker: str | None = None,
        *,
        pool: str,
        device_class: str = "",
        evaluator_config: ms.runner.EvaluatorConfig | None = None,
        timeout_sec: float = 30.0,
        cooldown_sec: float = 0.0,
        user: str = "",
        priority: int = 0,
    ) -> None:
        super().__init__()
        self._plan = _plan_of(evaluator_config or ms.runner.EvaluatorConfig(), cooldown_sec)
        if timeout_sec <= 0:
            raise BadInput("FarmRunner: timeout_sec must be above 0.")
        self._timeout_s = timeout_sec
        _check_priority(priority)
        chosen = ChosenClass.open(tracker, pool, device_class, user)
        self._class = chosen
        script = f"a MetaSchedule script of {chosen.user or 'someone'}"
        opening = OpenMeasure(script, "", pool, chosen.device_class, user=chosen.user, priority=priority)
        self._trials = Trials(chosen.client.measuring, opening)
        # At the end of the script too: no board goes on with what nobody waits for.
        self._end = weakref.finalize(self, _close, self._trials, chosen.client)

    @property
    def device_class(self) -> str:
        """Of the boards that it measures on."""
        return self._class.device_class

    @property
    def target(self) -> tvm.target.Target:
        """What to tune for: the target of its boards. Raises InputError for one that this TVM does not know."""
        return self._class.tvm_target()

    def run(self, runner_inputs: Sequence[ms.runner.RunnerInput]) -> list[ms.runner.RunnerFuture]:
        """A future for each, whose ``result`` waits. Raises BadInput for an artifact that no board can run."""
        return [self._begin(runner_input) for runner_input in runner_inputs]

    def close(self) -> None:
        """Give up what is under way and leave the tracker. May be called again."""
        self._end()

    def _begin(self, runner_input: ms.runner.RunnerInput) -> ms.runner.RunnerFuture:
        path = str(runner_input.artifact_path)
        if str(runner_input.device_type) != "cpu":
            raise BadInput(
                f"FarmRunner times kernels of CPUs: {path} is for a device of type {runner_input.device_type}."
            )
        request = kernel_request(
            new_trial_id(time.time()),
            Artifact.of(library_of(path)),
            _arguments(runner_input.args_info),
            self._plan,
            self._timeout_s,
        )
        request = replace(request, limits=replace(request.limits, run_timeout_s=self._timeout_s))
        self._trials.begin(request)
        return _Future(self._trials, request.trial_id, LEDGER.kernel(path), self._plan, self._class.user)


@derived_object
class _Future(ms.runner.PyRunnerFuture):  # type: ignore[misc]
    """One trial. Where nobody waits for it any more, it is given up."""

    def __init__(self, trials: Trials, trial_id: str, kernel: Kernel | None, plan: TimingPlan, user: str) -> None:
        super().__init__()
        self._trials = trials
        self._trial_id = trial_id
        self._kernel = kernel
        self._plan = plan
        self._user = user
        self._result: ms.runner.RunnerResult | None = None
        self._drop = weakref.finalize(self, trials.give_up, trial_id)
        self._drop.atexit = False  # the runner's own end does that for all

    def done(self) -> bool:
        return self._result is not None or self._trials.done(self._trial_id)

    def result(self) -> ms.runner.RunnerResult:
        if self._result is None:
            try:
                measurement = self._trials.result(self._trial_id)
            except KeyboardInterrupt:
                # A notebook lives on after Ctrl-C, and what TVM holds may live on with it.
                self._trials.give_up()
                raise
            if self._kernel is not None:
                LEDGER.enter(self._kernel.key, Entry(_with_steps(measurement, self._kernel), self._plan, self._user))
            if measurement.outcome is Outcome.OK:
                self._result = ms.runner.RunnerResult(list(measurement.run_secs), None)
            else:
                self._result = ms.runner.RunnerResult(None, said_of(measurement))
        return self._result


def said_of(measurement: Measurement) -> str:
    """What became of a candidate that has no timings, in words."""
    outcome = measurement.outcome.value
    where = f" on {measurement.device_name}" if measurement.device_name else ""
    detail = f": {measurement.detail}" if measurement.detail else ""
    return f"{outcome}{where}{detail}"


def _close(trials: Trials, client: Farm) -> None:
    trials.close()
    client.close()


def _with_steps(measurement: Measurement, kernel: Kernel) -> Measurement:
    return fast_replace(measurement, timeline=fast_replace(measurement.timeline, **kernel.steps.prepared()))


def _plan_of(config: ms.runner.EvaluatorConfig, cooldown_s: float) -> TimingPlan:
    if config.number < 1 or config.repeat < 1 or config.min_repeat_ms < 0 or cooldown_s < 0:
        raise BadInput(
            "FarmRunner: number and repeat of its evaluator_config must be at least 1, min_repeat_ms and cooldown_sec "
            "not below 0."
        )
    return TimingPlan(
        number=int(config.number),
        repeat=int(config.repeat),
        min_repeat_ms=int(config.min_repeat_ms),
        cooldown_ms=round(1e3 * cooldown_s),
        cache_flush_bytes=_FLUSHED_BYTES if config.enable_cpu_cache_flush else 0,
    )


def _check_priority(priority: int) -> None:
    try:
        check_priority(priority)
    except InvalidRequest as error:
        raise BadInput(f"FarmRunner: {error}.") from None


def _arguments(infos: Sequence[Any]) -> list[Argument]:
    """Inputs and outputs, filled at random on the board."""
    return [
        Argument(tuple(int(size) for size in info.shape), str(info.dtype), fill_seed=number)
        for number, info in enumerate(infos)
    ]
