"""Values and pure rules of the farm: standard library alone, as are the values of the wire contract."""

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
from tracker.domain.device import Device, DeviceState, Join
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
from tracker.domain.pool import BUILT_IN_POOLS, Pool, matches
from tracker.domain.record import Record, RecordContext, RecordFilter, Workload
from tracker.domain.trial import Capacity, FailedBuild, OpenMeasure, Trial
from tracker.domain.worker import JobFailure, JobProgress, WorkerHello

__all__ = [
    "BUILT_IN_POOLS",
    "Argument",
    "Artifact",
    "Capacity",
    "CpuCluster",
    "Device",
    "DeviceState",
    "FailedBuild",
    "Fingerprint",
    "Job",
    "JobFailure",
    "JobKind",
    "JobProgress",
    "JobResult",
    "JobSpec",
    "JobState",
    "Join",
    "Limits",
    "MeasureRequest",
    "Measurement",
    "OpenMeasure",
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
    "Trial",
    "WorkerHello",
    "Workload",
    "matches",
]
