from tvm_farm.protos.farm.v1 import job_pb2 as _job_pb2
from tvm_farm.protos.farm.v1 import measurement_pb2 as _measurement_pb2
from tvm_farm.protos.farm.v1 import measuring_pb2 as _measuring_pb2
from tvm_farm.protos.farm.v1 import record_pb2 as _record_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkerMessage(_message.Message):
    __slots__ = ("hello", "progress", "finished", "alive")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    hello: WorkerHello
    progress: JobProgress
    finished: JobFinished
    alive: WorkerAlive
    def __init__(self, hello: _Optional[_Union[WorkerHello, _Mapping]] = ..., progress: _Optional[_Union[JobProgress, _Mapping]] = ..., finished: _Optional[_Union[JobFinished, _Mapping]] = ..., alive: _Optional[_Union[WorkerAlive, _Mapping]] = ...) -> None: ...

class WorkerHello(_message.Message):
    __slots__ = ("worker_id", "host", "pid", "versions", "running_job", "protocol_version")
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_JOB_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    host: str
    pid: int
    versions: _containers.ScalarMap[str, str]
    running_job: str
    protocol_version: int
    def __init__(self, worker_id: _Optional[str] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., versions: _Optional[_Mapping[str, str]] = ..., running_job: _Optional[str] = ..., protocol_version: _Optional[int] = ...) -> None: ...

class WorkerAlive(_message.Message):
    __slots__ = ("warm",)
    WARM_FIELD_NUMBER: _ClassVar[int]
    warm: bool
    def __init__(self, warm: bool = ...) -> None: ...

class JobProgress(_message.Message):
    __slots__ = ("job_id", "phase", "tuned_for_s", "tasks")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    TUNED_FOR_S_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    phase: str
    tuned_for_s: float
    tasks: _containers.RepeatedCompositeFieldContainer[TaskPlan]
    def __init__(self, job_id: _Optional[str] = ..., phase: _Optional[str] = ..., tuned_for_s: _Optional[float] = ..., tasks: _Optional[_Iterable[_Union[TaskPlan, _Mapping]]] = ...) -> None: ...

class TaskPlan(_message.Message):
    __slots__ = ("id", "name", "weight", "workload", "space")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    weight: int
    workload: _record_pb2.Workload
    space: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., weight: _Optional[int] = ..., workload: _Optional[_Union[_record_pb2.Workload, _Mapping]] = ..., space: _Optional[str] = ...) -> None: ...

class JobFinished(_message.Message):
    __slots__ = ("job_id", "result", "failure")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    result: _job_pb2.JobResult
    failure: JobFailure
    def __init__(self, job_id: _Optional[str] = ..., result: _Optional[_Union[_job_pb2.JobResult, _Mapping]] = ..., failure: _Optional[_Union[JobFailure, _Mapping]] = ...) -> None: ...

class JobFailure(_message.Message):
    __slots__ = ("error", "input_error", "detail")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    INPUT_ERROR_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    error: str
    input_error: bool
    detail: str
    def __init__(self, error: _Optional[str] = ..., input_error: bool = ..., detail: _Optional[str] = ...) -> None: ...

class WorkOrder(_message.Message):
    __slots__ = ("start", "cancel", "finished_seen", "refused")
    START_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    FINISHED_SEEN_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    start: _job_pb2.Job
    cancel: str
    finished_seen: str
    refused: str
    def __init__(self, start: _Optional[_Union[_job_pb2.Job, _Mapping]] = ..., cancel: _Optional[str] = ..., finished_seen: _Optional[str] = ..., refused: _Optional[str] = ...) -> None: ...

class RecallRequest(_message.Message):
    __slots__ = ("job_id", "device_class", "plan", "candidates", "hopeless", "step", "user")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    HOPELESS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    device_class: str
    plan: _measurement_pb2.TimingPlan
    candidates: _containers.RepeatedCompositeFieldContainer[RecallCandidate]
    hopeless: float
    step: _job_pb2.SearchStep
    user: str
    def __init__(self, job_id: _Optional[str] = ..., device_class: _Optional[str] = ..., plan: _Optional[_Union[_measurement_pb2.TimingPlan, _Mapping]] = ..., candidates: _Optional[_Iterable[_Union[RecallCandidate, _Mapping]]] = ..., hopeless: _Optional[float] = ..., step: _Optional[_Union[_job_pb2.SearchStep, _Mapping]] = ..., user: _Optional[str] = ...) -> None: ...

class RecallCandidate(_message.Message):
    __slots__ = ("trial_id", "context", "run_timeout_s")
    TRIAL_ID_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    RUN_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    trial_id: str
    context: _measuring_pb2.RecordContext
    run_timeout_s: float
    def __init__(self, trial_id: _Optional[str] = ..., context: _Optional[_Union[_measuring_pb2.RecordContext, _Mapping]] = ..., run_timeout_s: _Optional[float] = ...) -> None: ...

class RecallResponse(_message.Message):
    __slots__ = ("measurements",)
    MEASUREMENTS_FIELD_NUMBER: _ClassVar[int]
    measurements: _containers.RepeatedCompositeFieldContainer[_measurement_pb2.Measurement]
    def __init__(self, measurements: _Optional[_Iterable[_Union[_measurement_pb2.Measurement, _Mapping]]] = ...) -> None: ...

class GetSearchesRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class PastSearch(_message.Message):
    __slots__ = ("job_id", "step", "taught")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TAUGHT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    step: _job_pb2.SearchStep
    taught: _containers.RepeatedCompositeFieldContainer[_record_pb2.Record]
    def __init__(self, job_id: _Optional[str] = ..., step: _Optional[_Union[_job_pb2.SearchStep, _Mapping]] = ..., taught: _Optional[_Iterable[_Union[_record_pb2.Record, _Mapping]]] = ...) -> None: ...
