"""Winners beside their untuned kernels on one device, with the same random input: outputs compared, task by task.

For devices that cannot run whole models, where nothing else would tell a fast kernel from a wrong one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import tvm

from tvm_farm.tracker.client.measure_stream import MeasureStream
from tvm_farm.tracker.domain import Artifact, Measurement, Outcome, TimingPlan
from tvm_farm.tracker.tuning.building.base import Builders, BuildRequest
from tvm_farm.tracker.tuning.building.batch import build_all
from tvm_farm.tracker.tuning.building.builder import for_schedules
from tvm_farm.tracker.tuning.building.kernel_requests import kernel_request
from tvm_farm.tracker.tuning.judging.comparison import arrays_of, compare
from tvm_farm.tracker.tuning.judging.finals import Winner, slowest_s
from tvm_farm.tracker.tuning.judging.model_verification import run_beside
from tvm_farm.tracker.tuning.models.graph import output_positions
from tvm_farm.tracker.tuning.search.task_state import TaskState, median

__all__ = [
    "BuiltKernels",
    "KernelVerdict",
    "build_beside",
    "compare_beside",
    "verify_kernels",
]

log = logging.getLogger(__name__)

#: Answers are wanted, not timings.
_ONE_CALL = TimingPlan(number=1, repeat=1)
_NAMES = {"untuned": "the untuned kernel", "tuned": "it"}


@dataclass(frozen=True)
class BuiltKernels:
    """Shared libraries of a winner and of its untuned kernel, None where one was not built: ``fault`` says why, and
    ``failed`` that it is the winner's.
    """

    untuned: Artifact | None = None
    tuned: Artifact | None = None
    fault: str = ""
    failed: bool = False


@dataclass(frozen=True)
class KernelVerdict:
    """What came of one winner. ``max_abs_diff`` is None where there was nothing to compare, and ``fault`` says why.

    ``failed``: it was the winner that could not be built or run; else it was the untuned kernel. ``untuned_s`` and
    ``tuned_s``: seconds a call beside each other, 0 where they were not timed. ``compared``: some value was finite.
    """

    winner: Winner
    equal: bool = False
    max_abs_diff: float | None = None
    rtol: float = 0.0
    atol: float = 0.0
    device_name: str = ""
    fault: str = ""
    failed: bool = False
    untuned_s: float = 0.0
    tuned_s: float = 0.0
    compared: bool = True

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
        """What the package gets of this task: the untuned kernel where the winner is wrong or failed, or was slower
        where both were timed beside each other.
        """
        winner = self.winner
        if self.untuned_s and self.tuned_s:
            winner = replace(winner, untuned_s=self.untuned_s, tuned_s=self.tuned_s)
        if self.wrong or self.failed or not winner.trace or self.tuned_s > self.untuned_s:
            return replace(winner, trace="", tuned_s=winner.untuned_s)
        return winner


def verify_kernels(
    winners: Sequence[Winner],
    schedule: Callable[[TaskState, str], str | None],
    builders: Builders,
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
        built = build_beside(winner, schedule(winner.task, winner.trace), builders, target)
        verdict = compare_beside(winner, built, find_device, open_stream)
        log.info("%s beside its untuned kernel: %s", winner.task.name, verdict.fault or verdict.difference)
        verdicts.append(verdict)
    return verdicts


def build_beside(winner: Winner, scheduled: str | None, builders: Builders, target: str) -> BuiltKernels:
    """The libraries of a winner and of its untuned kernel, which is all that a winner without a trace has.

    ``scheduled``: the winner's module, None where its trace does not apply any more.
    """
    requests = [BuildRequest("untuned", winner.task.module, target)]
    if winner.trace and scheduled is not None:
        requests.append(BuildRequest("tuned", scheduled, for_schedules(target)))
    built = build_all(builders, requests)
    libraries = {name: each.library for name, each in built.items()}
    if not winner.trace:
        libraries["tuned"] = libraries["untuned"]
    fault, failed = "", False
    if winner.trace and scheduled is None:
        fault, failed = "its schedule does not apply any more", True
    for name, kernel in built.items():
        if kernel.outcome is not Outcome.OK and not fault:
            fault, failed = (
                f"{_NAMES[name]} was not built: {kernel.outcome.value} {kernel.detail}".strip(),
                name == "tuned",
            )
    return BuiltKernels(**libraries, fault=fault, failed=failed)


def compare_beside(
    winner: Winner,
    built: BuiltKernels,
    find_device: Callable[[], str],
    open_stream: Callable[[Callable[[object], None], str], MeasureStream],
    plan: TimingPlan | None = None,
) -> KernelVerdict:
    """Both on one device with the same random input, timed where there is a ``plan``; else as ``verify_kernels``."""
    if built.fault:
        return KernelVerdict(winner, fault=built.fault, failed=built.failed)
    task = winner.task
    outputs = output_positions(tvm.ir.load_json(task.module))
    untuned, tuned = (
        kernel_request(
            "", library, task.arguments, plan or _ONE_CALL, slowest_s(task), outputs=outputs, params=task.params
        )
        for library in (built.untuned, built.tuned)
        if library is not None
    )
    answers = run_beside(untuned, tuned, find_device, open_stream)
    verdict = _verdict(winner, answers, timed=plan is not None)
    if not verdict.wrong:
        return verdict
    same = run_beside(untuned, untuned, find_device, open_stream) if winner.trace else answers
    if _verdict(winner, same, timed=False).wrong:
        restless = "the untuned kernel itself answers differently each time on the same input"
        return replace(verdict, max_abs_diff=None, fault=restless)
    return verdict


def _verdict(winner: Winner, answers: Sequence[Measurement], timed: bool) -> KernelVerdict:
    """Of the answers of an untuned kernel and another."""
    for name, answer in zip(_NAMES, answers, strict=True):
        if answer.outcome is not Outcome.OK:
            outcome = answer.outcome.value
            fault = f"{_NAMES[name]} failed on {answer.device_name}: {outcome} {answer.detail}".strip()
            return KernelVerdict(winner, fault=fault, failed=name == "tuned" and bool(winner.trace))
    found = compare(arrays_of(answers[0].outputs), arrays_of(answers[1].outputs))
    untuned_s, tuned_s = (median(answer.run_secs) if timed else 0.0 for answer in answers)
    return KernelVerdict(
        winner=winner,
        equal=found.equal,
        max_abs_diff=found.max_abs_diff,
        rtol=found.rtol,
        atol=found.atol,
        device_name=answers[1].device_name,
        untuned_s=untuned_s,
        tuned_s=tuned_s,
        compared=found.finite,
    )
