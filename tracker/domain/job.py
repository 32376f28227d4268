"""A job: the request of a person, its tasks and its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tvm_farm.protos.measurement import Artifact, TimingPlan
from tvm_farm.tracker.domain.engine import ANSOR
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.job_result import JobResult
from tvm_farm.tracker.domain.record import Workload

__all__ = [
    "MAX_PRIORITY",
    "MAX_SHAPES",
    "MAX_TRIALS",
    "DataFile",
    "Dims",
    "Job",
    "JobKind",
    "JobSpec",
    "JobState",
    "Parameter",
    "Shape",
    "Task",
    "TaskPlan",
    "TemplateFile",
    "check_priority",
    "shape_sets",
]


#: A package takes inputs of so many shapes.
MAX_SHAPES = 16
#: The wire has room for a limit of so many.
MAX_TRIALS = 2**32 - 1
#: Priorities go from minus this to this.
MAX_PRIORITY = 4


def check_priority(priority: int) -> None:
    """Raises InvalidRequest."""
    if abs(priority) > MAX_PRIORITY:
        raise InvalidRequest(f"there is no priority {priority}: it goes from {-MAX_PRIORITY} to {MAX_PRIORITY}")


class JobKind(str, Enum):
    """``ESTIMATE``: what the log says of each task. No trial, no device, no package.

    ``CHECK``: what would be tuned, or what is in the way. The same; it may do without a pool, and with one measures the
    peaks of a device class that the log does not have.
    """

    TUNE = "tune"
    COMPILE = "compile"
    ESTIMATE = "estimate"
    CHECK = "check"

    @property
    def answers_only(self) -> bool:
        """Whether such a job ends with an answer and without a package, in seconds."""
        return self in (JobKind.ESTIMATE, JobKind.CHECK)


class JobState(str, Enum):
    """REFUSED: what was submitted cannot be tuned, which its worker found before there was a task."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"

    @property
    def final(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class Dims:
    """Sizes of the dimensions of one input, or the one size of a dimension that has a name."""

    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Shape:
    """A fixed shape for a model input that the file leaves open, or a size for a dimension that it names.

    ``others``: further shapes, which the package is to take as well.
    """

    name: str
    dims: tuple[int, ...]
    others: tuple[Dims, ...] = ()

    @property
    def alternatives(self) -> tuple[tuple[int, ...], ...]:
        return (self.dims, *(other.sizes for other in self.others))

    def __str__(self) -> str:
        """As a person writes it: ``x=1,3,48,{160,320}``."""
        columns = [dict.fromkeys(column) for column in zip(*self.alternatives, strict=True)]
        told = [str(*sizes) if len(sizes) == 1 else f"{{{','.join(map(str, sizes))}}}" for sizes in columns]
        return f"{self.name}={','.join(told)}"


def shape_sets(shapes: Sequence[Shape]) -> tuple[dict[str, tuple[int, ...]], ...]:
    """Each set of shapes that a package is to take, by name: alternatives of several inputs go together, in order.

    Raises InvalidRequest where inputs have unlike numbers of them.
    """
    counts = {len(shape.alternatives) for shape in shapes} - {1}
    if len(counts) > 1:
        told = " and ".join(f"{len(s.alternatives)} of {s.name}" for s in shapes if s.others)
        raise InvalidRequest(f"shapes in braces go together, one of each: there are {told}")
    number = counts.pop() if counts else 1
    if number > MAX_SHAPES:
        raise InvalidRequest(f"a package takes {MAX_SHAPES} shapes at most, not {number}")
    return tuple({s.name: s.alternatives[at if s.others else 0] for s in shapes} for at in range(number))


@dataclass(frozen=True)
class DataFile:
    """A file that belongs to a model, weights that it keeps outside of itself. ``name``: relative to the model's
    folder, as the model names it.
    """

    name: str
    content: Artifact


@dataclass(frozen=True)
class TemplateFile:
    """A Python file with templates of the person who tunes. ``name``: of the file, without its folder."""

    name: str
    content: Artifact


@dataclass(frozen=True)
class Parameter:
    """``value`` for a parameter of an operator's function: a Python literal; any other text is a string."""

    name: str
    value: str


@dataclass(frozen=True)
class JobSpec:
    """What a person asked for. ``max_trials`` and ``budget_s`` (seconds of tuning): 0 is no limit of that kind.

    ``priority``: each step doubles the part of device time that it gets beside others. ``device_class``: of the pool
    this class alone, "" for each that it has; of a job that is kept always its own, like the limits. ``target``: what
    is different from the device's target, see ``target.overridden``. ``operator``: where ``model`` is a Python file,
    "op.py:my_matmul", see ``operator_file``; ``parameters`` are its function's. ``templates``: see ``takes_templates``.
    ``fresh``: nothing is answered from the log, and nothing that its class has measured leads the search. ``inputs``:
    an NPZ file with the arrays on which answers are compared, None for random ones. ``data``: files beside ``model``.
    ``fixed``: inputs of a model that always have one value, JSON, and that the package does not take.
    """

    kind: JobKind
    model_name: str
    model: Artifact
    pool: str
    engine: str = ANSOR
    max_trials: int = 0
    budget_s: float = 0.0
    shapes: tuple[Shape, ...] = ()
    seed: int = 0
    user: str = ""
    plan: TimingPlan | None = None
    priority: int = 0
    device_class: str = ""
    target: str = ""
    operator: str = ""
    templates: tuple[TemplateFile, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    fresh: bool = False
    inputs: Artifact | None = None
    data: tuple[DataFile, ...] = ()
    fixed: tuple[Parameter, ...] = ()

    @property
    def files(self) -> tuple[Artifact, ...]:
        """All that must have been uploaded before it is submitted."""
        inputs = (self.inputs,) if self.inputs is not None else ()
        templates, data = (file.content for file in self.templates), (file.content for file in self.data)
        return (self.model, *templates, *data, *inputs)


@dataclass(frozen=True)
class TaskPlan:
    """A task as the worker extracted it. ``weight``: how often the model calls it; ``space``: see Task."""

    id: str
    name: str
    weight: int
    workload: Workload
    space: str = ""


@dataclass(frozen=True)
class Task:
    """A task and how far it is. ``untuned_s`` and ``best_s`` are seconds a call, 0 until measured.

    ``space``: JSON of the template that schedules it and its knobs, or of the engine that searches it in place of one
    and why; "" where the engine has no knobs.
    """

    id: str
    name: str
    workload: str
    weight: int
    flops: float = 0.0
    trials: int = 0
    failed: int = 0
    untuned_s: float = 0.0
    best_s: float = 0.0
    space: str = ""


@dataclass(frozen=True)
class Job:
    """One request, or of one for several device classes what it asks of one of them, and its state.

    ``tuned_for_s`` counts against ``spec.budget_s`` over every worker it had. ``group``: equal for the jobs of one
    request, "" where there is but one. They run one after another, in the order in which they were kept. ``recalled``:
    how many of its ``trials`` were answered from the log. ``worked_s``: how long workers have had it, without the one
    that has it since ``working_since_unix_s``, 0 where none has. ``place``: of a queued one, 1 for the next that a
    worker takes; the tracker tells it with its answers and does not keep it.
    """

    id: str
    spec: JobSpec
    state: JobState = JobState.QUEUED
    phase: str = ""
    error: str = ""
    created_unix_s: float = 0.0
    started_unix_s: float = 0.0
    finished_unix_s: float = 0.0
    tuned_for_s: float = 0.0
    tasks: tuple[Task, ...] = ()
    result: JobResult | None = None
    target: str = ""
    device_class: str = ""
    trials: int = 0
    worker_id: str = ""
    devices: int = 0
    utilisation: float = 0.0
    input_error: bool = False
    group: str = ""
    recalled: int = 0
    place: int = 0
    worked_s: float = 0.0
    working_since_unix_s: float = 0.0

    def took_s(self, now: float) -> float:
        """Seconds in which a worker had it, up to ``now``. Waiting for one, and rest between two runs, is no work."""
        if not self.worked_s and not self.working_since_unix_s and self.started_unix_s:
            # Told by a tracker of before 0.2, which counts no rest.
            return max(0.0, (self.finished_unix_s or now) - self.started_unix_s)
        return self.worked_s + (max(0.0, now - self.working_since_unix_s) if self.working_since_unix_s else 0.0)
