"""Values and pure rules of the farm: the standard library, and the values of the wire contract, which are standard library too."""

from protos.device import CpuCluster, Fingerprint, RunnerInfo, RunnerMode, Telemetry
from protos.measurement import (
    Argument,
    Artifact,
    Limits,
    Measurement,
    MeasureRequest,
    Outcome,
    OutputTensor,
    Program,
    ProgramKind,
    Timeline,
    TimingPlan,
)
from tracker.domain.device import Device, DeviceState
from tracker.domain.job import (
    Job,
    JobKind,
    JobResult,
    JobSpec,
    JobState,
    PackageFile,
    Shape,
    Task,
    TaskPlan,
    TaskResult,
)
from tracker.domain.pool import Pool, matches
from tracker.domain.record import Record, RecordContext, RecordFilter, Workload

__all__ = [
    "Argument",
    "Artifact",
    "CpuCluster",
    "Device",
    "DeviceState",
    "Fingerprint",
    "Job",
    "JobKind",
    "JobResult",
    "JobSpec",
    "JobState",
    "Limits",
    "MeasureRequest",
    "Measurement",
    "Outcome",
    "OutputTensor",
    "PackageFile",
    "Pool",
    "Program",
    "ProgramKind",
    "Record",
    "RecordContext",
    "RecordFilter",
    "RunnerInfo",
    "RunnerMode",
    "Shape",
    "Task",
    "TaskPlan",
    "TaskResult",
    "Telemetry",
    "Timeline",
    "TimingPlan",
    "Workload",
    "matches",
]
