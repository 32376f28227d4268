"""Winners beside their untuned kernels on one device, with the same random input: outputs compared, task by task.

For devices that cannot run whole models, where nothing else would tell a fast kernel from a wrong one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import tvm
from tvm.s_tir import Schedule

from tracker.domain import Outcome, TimingPlan
from tracker.tuning.building.batch import build_all
from tracker.tuning.building.builder import for_schedules
from tracker.tuning.building.pool import BuilderPool, BuildRequest
from tracker.tuning.finals import Winner, slowest_s
from tracker.tuning.kernel_requests import kernel_request
from tracker.tuning.measuring import MeasureStream
from tracker.tuning.task_state import TaskState
from tracker.tuning.verification import compare, run_beside

__all__ = ["KernelVerdict", "output_positions", "verify_kernels"]

log = logging.getLogger(__name__)

#: Answers are wanted, not timings.
_ONE_CALL = TimingPlan(number=1, repeat=1)
_NAMES = {"untuned": "the untuned kernel", "tuned": "it"}


@dataclass(frozen=True)
class KernelVerdict:
    """What came of one winner. ``max_abs_diff`` is None where there was nothing to compare, and ``fault`` says why.

    ``failed``: it was the winner that could not be built or run; else it was the untuned kernel.
    """

    winner: Winner
    equal: bool = False
    max_abs_diff: float | None = None
    rtol: float = 0.0
    atol: float = 0.0
    device_name: str = ""
    fault: str = ""
    failed: bool = False

    @property
    def wrong(self) -> bool:
        """Both ran, and their outputs differ."""
        return self.max_abs_diff is not None and not self.equal

    @property
    def difference(self) -> str:
        """How far the outputs are apart, in words."""
        return f"max |diff| {self.max_abs_diff or 0.0:.0e} to the untuned kernel's outputs on {self.device_name}"

    @property
    def shipped(self) -> Winner:
        """What the package gets of this task: the untuned kernel where the winner is wrong or failed."""
        if self.wrong or self.failed:
            return replace(self.winner, trace="", tuned_s=self.winner.untuned_s)
        return self.winner


def verify_kernels(
    winners: Sequence[Winner],
    schedule: Callable[[TaskState, str], str | None],
    builders: BuilderPool,
    find_device: Callable[[], str],
    open_stream: Callable[[Callable[[object], None], str], MeasureStream],
    target: str,
) -> list[KernelVerdict]:
    """A verdict for each of ``winners`` that has a trace, in their order.

    The untuned kernel is what TVM makes of the task for ``target`` without a schedule. ``schedule`` is that of
    ``play_finals``; ``find_device`` and ``open_stream`` are those of ``verification.verify``, which tells what is
    raised as well.
    """
    verdicts = []
    for winner in (winner for winner in winners if winner.trace):
        verdict = _verify(winner, schedule(winner.task, winner.trace), builders, find_device, open_stream, target)
        log.info("%s beside its untuned kernel: %s", winner.task.name, verdict.fault or verdict.difference)
        verdicts.append(verdict)
    return verdicts


def _verify(
    winner: Winner,
    scheduled: str | None,
    builders: BuilderPool,
    find_device: Callable[[], str],
    open_stream: Callable[[Callable[[object], None], str], MeasureStream],
    target: str,
) -> KernelVerdict:
    task = winner.task
    if scheduled is None:
        return KernelVerdict(winner, fault="its schedule does not apply any more", failed=True)
    requests = [
        BuildRequest("untuned", task.module, target),
        BuildRequest("tuned", scheduled, for_schedules(target)),
    ]
    built = build_all(builders, requests)
    for name in _NAMES:
        kernel = built[name]
        if kernel.outcome is not Outcome.OK:
            fault = f"{_NAMES[name]} was not built: {kernel.outcome.value} {kernel.detail}".strip()
            return KernelVerdict(winner, fault=fault, failed=name == "tuned")
    outputs = output_positions(tvm.ir.load_json(task.module))
    untuned, tuned = (
        kernel_request("", built[name].library, task.arguments, _ONE_CALL, slowest_s(task), outputs=outputs)
        for name in _NAMES
    )
    answers = run_beside(untuned, tuned, find_device, open_stream)
    for name, answer in zip(_NAMES, answers, strict=True):
        if answer.outcome is not Outcome.OK:
            outcome = answer.outcome.value if answer.outcome else "no outcome"
            fault = f"{_NAMES[name]} failed on {answer.device_name}: {outcome} {answer.detail}".strip()
            return KernelVerdict(winner, fault=fault, failed=name == "tuned")
    difference, rtol, atol, equal = compare(answers[0].outputs, answers[1].outputs)
    return KernelVerdict(winner, equal, difference, rtol, atol, answers[1].device_name)


def output_positions(module: tvm.ir.IRModule) -> list[int]:
    """Positions of the arguments of ``main`` that it writes to, which are its outputs.

    ``module``: one unscheduled tensor program, as tasks hold it.
    """
    schedule = Schedule(module)
    blocks = [schedule.get(block) for block in schedule.get_output_blocks("root")]
    written = [region.source for block in blocks for region in block.writes]
    return [at for at, param in enumerate(module["main"].params) if any(param.same_as(each) for each in written)]
