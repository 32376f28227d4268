"""What is known of a result's answers, in words."""

from __future__ import annotations

from tvm_farm.tracker.domain import JobResult

__all__ = ["NOTHING_COMPARED", "difference", "judge_of", "kernels_verdict", "verified"]

NOTHING_COMPARED = "nothing compared: no value of the answers is finite"


def verified(result: JobResult) -> str:
    """What is known of the answers, and of the latency where it is no measured one."""
    if not result.latency.measured:
        judged = f", untuned equal to {judge_of(result)}" if result.judge else ""
        return f"estimated from its tasks, {kernels_verdict(result) or 'outputs not compared'}{judged}"
    if result.nothing_compared and result.outputs_equal:
        return NOTHING_COMPARED
    if result.judge:
        equal = "equal to" if result.outputs_equal else "DIFFERENT from"
        verdict = f"{equal} {judge_of(result)}"
    else:
        verdict = f"outputs {'equal' if result.outputs_equal else 'DIFFER'}"
    return f"{verdict} (max |diff| {difference(result.max_abs_diff)})"


def judge_of(result: JobResult) -> str:
    """The judge's name without its version."""
    name, _, version = result.judge.rpartition(" ")
    return name if version[:1].isdigit() else result.judge


def kernels_verdict(result: JobResult) -> str:
    """``5 of 5 kernels equal (max |diff| 9e-07)``, "" where none was compared."""
    if not result.kernels_compared:
        return ""
    differ = result.kernels_compared - result.kernels_equal
    others = f", {differ} {'DIFFERS' if differ == 1 else 'DIFFER'}" if differ else ""
    equal = f"{result.kernels_equal} of {result.kernels_compared} kernels equal"
    return f"{equal}{others} (max |diff| {difference(result.max_abs_diff)})"


def difference(value: float) -> str:
    return f"{value:.0e}" if value else "0"
