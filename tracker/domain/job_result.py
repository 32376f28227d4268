"""The result of a job: what was measured, and the files of its package."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_farm.protos.measurement import Artifact
from tvm_farm.tracker.domain.check import CheckReport

__all__ = ["BucketResult", "JobResult", "Latency", "PackageFile", "TaskResult"]


@dataclass(frozen=True)
class TaskResult:
    """A row of the closing table. Latencies are in seconds a call."""

    name: str
    #: How often the model calls the task.
    weight: int
    flops: float
    trials: int
    untuned_s: float
    #: Equals ``untuned_s`` where the untuned schedule was kept.
    tuned_s: float
    kept_untuned: bool = False
    #: Of the winner against the untuned kernel, None where the two were not compared by themselves.
    max_abs_diff: float | None = None
    #: The winner and the untuned kernel differed, and the untuned kernel is in the package.
    wrong_result: bool = False


@dataclass(frozen=True)
class PackageFile:
    name: str
    content: Artifact


@dataclass(frozen=True)
class BucketResult:
    """One of several shapes that a package takes. Latencies are in seconds, 0 where no device ran the shape whole."""

    #: In words: "x=1,3,48,160".
    shapes: str
    #: The inputs that the shape answers, in words.
    serves: str
    untuned_s: float = 0.0
    tuned_s: float = 0.0
    max_abs_diff: float = 0.0
    outputs_equal: bool = False
    kept_untuned: bool = False
    #: The smallest inputs that are padded to the shape, "" where none are.
    padded_from: str = ""
    #: The largest difference of the package's answers to padded inputs from the judge's.
    padded_max_abs_diff: float = 0.0


@dataclass(frozen=True)
class Latency:
    """Of a whole model, in seconds a call."""

    untuned_s: float
    tuned_s: float
    #: A device ran the whole model; else these are weighted sums over its tasks.
    measured: bool


@dataclass(frozen=True)
class JobResult:
    """What came of a job. Latencies are in seconds.

    Of a package that takes several shapes, ``buckets`` has the figures of each, smallest first; the other figures are
    those of the largest. Where no device could run whole models, latencies are the weighted sum of the tasks, ``note``
    says why, and ``max_abs_diff``, the tolerances and ``outputs_equal`` are of the kernels that were compared.
    """

    files: tuple[PackageFile, ...] = ()
    tasks: tuple[TaskResult, ...] = ()
    untuned_s: float = 0.0
    tuned_s: float = 0.0
    max_abs_diff: float = 0.0
    rtol: float = 0.0
    atol: float = 0.0
    outputs_equal: bool = False
    #: The device that ran the whole model, "" where none did.
    device_name: str = ""
    #: What a person must know besides, in words.
    note: str = ""
    kept_untuned: bool = False
    #: The device classes whose records the search of ``taught_tasks`` tasks began with.
    taught_by: tuple[str, ...] = ()
    taught_tasks: int = 0
    #: Winners that were compared with their untuned kernels.
    kernels_compared: int = 0
    kernels_equal: int = 0
    #: Who ran the original file and gave the answers to compare with, "" where nobody did.
    judge: str = ""
    #: The inputs of that comparison, in words.
    inputs_from: str = ""
    #: The finished package was loaded by its own ``run.py`` in a clean process.
    proven: bool = False
    buckets: tuple[BucketResult, ...] = ()
    #: Of a job that checks a model. Such a job has nothing else.
    check: CheckReport | None = None
    #: No value of the answers is finite: ``outputs_equal`` says only that they are so in the same places.
    nothing_compared: bool = False

    @property
    def latency(self) -> Latency:
        """The model's: measured where a device ran it, else summed over its tasks."""
        if self.device_name and self.untuned_s > 0 and self.tuned_s > 0:
            return Latency(self.untuned_s, self.tuned_s, True)
        return self.summed_latency

    @property
    def summed_latency(self) -> Latency:
        """What its tasks take, each as often as the model calls it."""
        return Latency(
            sum(task.weight * task.untuned_s for task in self.tasks),
            sum(task.weight * task.tuned_s for task in self.tasks),
            False,
        )

    @property
    def outputs_differ(self) -> bool:
        """Whether answers, of the model or of kernels one by one, were compared and are not equal."""
        return not self.outputs_equal and (self.latency.measured or self.kernels_compared > 0)
