"""The contract of an engine: it proposes candidates for one task and learns from what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tvm_farm.tracker.tuning.errors import InputError

__all__ = ["Candidate", "Engine", "Known", "Learned", "Maker", "NotSearched", "Setting"]


@dataclass(frozen=True)
class Candidate:
    """One schedule chosen for measurement.

    ``key`` is equal for candidates that compile to the same program; ``trace`` (JSON) replays the
    schedule on the task's module; ``module`` is the scheduled module (``tvm.ir.save_json``).
    """

    key: str
    trace: str = field(repr=False)
    module: str = field(repr=False)
    handle: Any = field(repr=False, compare=False, default=None)


@dataclass(frozen=True)
class Learned:
    """What came of a candidate: seconds a call, one a repeat; empty where it failed.

    ``build_s``: CPU seconds that it cost a builder; 0 where that is unknown.
    """

    candidate: Candidate
    run_secs: tuple[float, ...]
    build_s: float = 0.0


@dataclass(frozen=True)
class Known:
    """A schedule that was measured elsewhere. Seconds are compared within one device class alone."""

    device_class: str
    trace: str = field(repr=False)
    #: Of one call.
    seconds: float
    #: Of the record that says so.
    trial_id: str = ""
    #: The key of another workload of the same kind, "" for the task's own.
    workload: str = ""


class Engine(Protocol):
    """One task's search, driven from outside as ask and tell. Used by one thread at a time.

    What it proposes follows from its seed and the calls before, of all engines that share their experience: a job
    goes on where it ended by making the same calls again.
    """

    def propose(self, count: int) -> list[Candidate]:
        """Up to ``count`` candidates never proposed before; none when the space is exhausted."""
        ...

    def report(self, results: Sequence[Learned]) -> None:
        """Learn. Results may come in any order and in parts, also of candidates proposed long ago."""
        ...

    def replay(self, trace: str, run_secs: tuple[float, ...]) -> bool:
        """Learn from a record of an earlier session, which is not proposed again.

        Returns False where the trace does not apply to this task's module.
        """
        ...

    def begin_with(self, known: Sequence[Known]) -> list[Known]:
        """Let what others measured lead the way: the best is proposed first, to be measured here.

        What is of another workload says what to try here, refitted, where the engine can do that.

        To be called before the first proposal, after what is to be replayed: what this class has measured is not
        proposed again. Returns those whose traces apply to this task's module; the others are left out.
        """
        ...


class NotSearched(InputError):
    """A task is not for this engine: why. Another one searches it."""


@dataclass(frozen=True)
class Setting:
    """What a job gives to the engines of its tasks. ``target``: a tvm.target.Target."""

    target: Any
    seed: int
    #: A person's own, for engines whose family takes them: see autotvm.Template.
    templates: tuple[Any, ...] = ()


class Maker(Protocol):
    """Makes one job's engines of a family, which learn together. A family's module has it as ``Maker``."""

    def __init__(self, setting: Setting, variant: str) -> None:
        """``variant``: one of the family's in the domain's list, "" for the first."""
        ...

    def space(self, module: Any, name: str) -> str:
        """The knobs of the task ``name`` as JSON, see ``Task``; "" where it has none.

        Raises NotSearched, and InputError where what a person sent cannot be used.
        """
        ...

    def new(self, module: Any, name: str, seed: int) -> Engine:
        """The search of the task, which ``space`` did not refuse."""
        ...
