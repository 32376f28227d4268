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
from protos.runtime import Runtime, RuntimeLibrary, RuntimeOffer, RuntimeRequest
from tracker.domain.desk import Desk, Drain, Lease
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
from tracker.domain.job_timeline import DeviceTime, JobTimeline, OutcomeCount, Step, StepTime, TimelineSums, TrialTimes
from tracker.domain.pool import BUILT_IN_POOLS, Pool, matches
from tracker.domain.recall import RecallCandidate, RecallRequest
from tracker.domain.record import Record, RecordContext, RecordFilter, Workload
from tracker.domain.search import Lesson, PastSearch, SearchStep
from tracker.domain.trial import Capacity, FailedBuild, OpenMeasure, Trial, new_trial_id
from tracker.domain.worker import JobFailure, JobProgress, WorkerHello

__all__ = [
    "BUILT_IN_POOLS",
    "Argument",
    "Artifact",
    "Capacity",
    "CpuCluster",
    "Desk",
    "Device",
    "DeviceState",
    "DeviceTime",
    "Drain",
    "FailedBuild",
    "Fingerprint",
    "Job",
    "JobFailure",
    "JobKind",
    "JobProgress",
    "JobResult",
    "JobSpec",
    "JobState",
    "JobTimeline",
    "Join",
    "Lease",
    "Lesson",
    "Limits",
    "MeasureRequest",
    "Measurement",
    "OpenMeasure",
    "Outcome",
    "OutcomeCount",
    "OutputTensor",
    "PackageFile",
    "PastSearch",
    "Pool",
    "Program",
    "ProgramKind",
    "RecallCandidate",
    "RecallRequest",
    "Record",
    "RecordContext",
    "RecordFilter",
    "RunnerInfo",
    "RunnerMode",
    "Runtime",
    "RuntimeLibrary",
    "RuntimeOffer",
    "RuntimeRequest",
    "SearchStep",
    "Shape",
    "Step",
    "StepTime",
    "Task",
    "TaskPlan",
    "TaskResult",
    "Telemetry",
    "Timeline",
    "TimelineSums",
    "TimingPlan",
    "Trial",
    "TrialTimes",
    "WorkerHello",
    "Workload",
    "matches",
    "new_trial_id",
]
