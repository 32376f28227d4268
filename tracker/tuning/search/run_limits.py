"""How long a kernel may run on a board before nothing more can be learned of it."""

from __future__ import annotations

from tvm_farm.tracker.domain import TimingPlan
from tvm_farm.tracker.tuning.search.task_state import TaskState

__all__ = ["HOPELESS", "SLOWEST_UNTUNED_S", "UNTUNED_PLAN", "hopeless_s", "slowest_call_s"]

#: The plan of untuned kernels. A convolution of a large network takes seconds a call on a small board: few calls.
UNTUNED_PLAN = TimingPlan(number=1, repeat=2, min_repeat_ms=10)
#: Seconds a call of an untuned kernel may take.
SLOWEST_UNTUNED_S = 60.0
#: Seconds a call of a candidate may take where the untuned kernel could not be measured.
_SLOWEST_UNMEASURED_S = 5.0
#: Times the best so far: a slower candidate is taken for one that hangs.
_OUT_OF_THE_RACE = 20.0
#: Times the best so far: a short timing or two tell enough of a slower candidate.
HOPELESS = 1.06
_INFINITY = float("inf")


def slowest_call_s(task: TaskState) -> float:
    """Seconds of the longest call that could teach something. A candidate far behind the best is as good as failed."""
    best_s = task.history[-1] if task.history else _INFINITY
    return min(task.untuned_s or _SLOWEST_UNMEASURED_S, _OUT_OF_THE_RACE * best_s)


def hopeless_s(task: TaskState) -> float:
    """Seconds a call that no repetition can redeem; 0 while nothing is known."""
    return HOPELESS * task.history[-1] if task.history and task.history[-1] != _INFINITY else 0.0
