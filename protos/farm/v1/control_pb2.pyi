from tvm_farm.protos.farm.v1 import device_pb2 as _device_pb2
from tvm_farm.protos.farm.v1 import job_pb2 as _job_pb2
from tvm_farm.protos.farm.v1 import measurement_pb2 as _measurement_pb2
from tvm_farm.protos.farm.v1 import record_pb2 as _record_pb2
from tvm_farm.protos.farm.v1 import runtime_pb2 as _runtime_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Status(_message.Message):
    __slots__ = ("farm", "version", "protocol_version", "devices_connected", "workers_connected", "jobs_running", "jobs_queued", "workers_warm", "now_unix_s")
    FARM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEVICES_CONNECTED_FIELD_NUMBER: _ClassVar[int]
    WORKERS_CONNECTED_FIELD_NUMBER: _ClassVar[int]
    JOBS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    JOBS_QUEUED_FIELD_NUMBER: _ClassVar[int]
    WORKERS_WARM_FIELD_NUMBER: _ClassVar[int]
    NOW_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    farm: str
    version: str
    protocol_version: int
    devices_connected: int
    workers_connected: int
    jobs_running: int
    jobs_queued: int
    workers_warm: int
    now_unix_s: float
    def __init__(self, farm: _Optional[str] = ..., version: _Optional[str] = ..., protocol_version: _Optional[int] = ..., devices_connected: _Optional[int] = ..., workers_connected: _Optional[int] = ..., jobs_running: _Optional[int] = ..., jobs_queued: _Optional[int] = ..., workers_warm: _Optional[int] = ..., now_unix_s: _Optional[float] = ...) -> None: ...

class ListDevicesRequest(_message.Message):
    __slots__ = ("pool",)
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: str
    def __init__(self, pool: _Optional[str] = ...) -> None: ...

class ListDevicesResponse(_message.Message):
    __slots__ = ("devices",)
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[_device_pb2.Device]
    def __init__(self, devices: _Optional[_Iterable[_Union[_device_pb2.Device, _Mapping]]] = ...) -> None: ...

class ListPoolsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListPoolsResponse(_message.Message):
    __slots__ = ("pools",)
    POOLS_FIELD_NUMBER: _ClassVar[int]
    pools: _containers.RepeatedCompositeFieldContainer[_device_pb2.Pool]
    def __init__(self, pools: _Optional[_Iterable[_Union[_device_pb2.Pool, _Mapping]]] = ...) -> None: ...

class PutPoolRequest(_message.Message):
    __slots__ = ("name", "selector")
    class SelectorEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    selector: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., selector: _Optional[_Mapping[str, str]] = ...) -> None: ...

class DeletePoolRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeletePoolResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LeaseDeviceRequest(_message.Message):
    __slots__ = ("device", "user", "for_s")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    device: str
    user: str
    for_s: float
    def __init__(self, device: _Optional[str] = ..., user: _Optional[str] = ..., for_s: _Optional[float] = ...) -> None: ...

class ReleaseDeviceRequest(_message.Message):
    __slots__ = ("device", "user")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    device: str
    user: str
    def __init__(self, device: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class DrainDeviceRequest(_message.Message):
    __slots__ = ("device", "user", "reason")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    device: str
    user: str
    reason: str
    def __init__(self, device: _Optional[str] = ..., user: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ResumeDeviceRequest(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: str
    def __init__(self, device: _Optional[str] = ...) -> None: ...

class LabelDeviceRequest(_message.Message):
    __slots__ = ("device", "put", "remove")
    class PutEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    device: str
    put: _containers.ScalarMap[str, str]
    remove: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, device: _Optional[str] = ..., put: _Optional[_Mapping[str, str]] = ..., remove: _Optional[_Iterable[str]] = ...) -> None: ...

class UpgradeDeviceRequest(_message.Message):
    __slots__ = ("device", "user", "digest")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    device: str
    user: str
    digest: str
    def __init__(self, device: _Optional[str] = ..., user: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class SubmitJobRequest(_message.Message):
    __slots__ = ("spec", "request_id")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    spec: _job_pb2.JobSpec
    request_id: str
    def __init__(self, spec: _Optional[_Union[_job_pb2.JobSpec, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("state", "limit", "group")
    STATE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    state: _job_pb2.JobState
    limit: int
    group: str
    def __init__(self, state: _Optional[_Union[_job_pb2.JobState, str]] = ..., limit: _Optional[int] = ..., group: _Optional[str] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[_job_pb2.Job]
    def __init__(self, jobs: _Optional[_Iterable[_Union[_job_pb2.Job, _Mapping]]] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ResumeJobRequest(_message.Message):
    __slots__ = ("id", "trials", "budget_s")
    ID_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_S_FIELD_NUMBER: _ClassVar[int]
    id: str
    trials: int
    budget_s: float
    def __init__(self, id: _Optional[str] = ..., trials: _Optional[int] = ..., budget_s: _Optional[float] = ...) -> None: ...

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
    context: RecordContext
    run_timeout_s: float
    def __init__(self, trial_id: _Optional[str] = ..., context: _Optional[_Union[RecordContext, _Mapping]] = ..., run_timeout_s: _Optional[float] = ...) -> None: ...

class RecallResponse(_message.Message):
    __slots__ = ("measurements",)
    MEASUREMENTS_FIELD_NUMBER: _ClassVar[int]
    measurements: _containers.RepeatedCompositeFieldContainer[_measurement_pb2.Measurement]
    def __init__(self, measurements: _Optional[_Iterable[_Union[_measurement_pb2.Measurement, _Mapping]]] = ...) -> None: ...

class PastSearch(_message.Message):
    __slots__ = ("job_id", "step", "taught")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TAUGHT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    step: _job_pb2.SearchStep
    taught: _containers.RepeatedCompositeFieldContainer[_record_pb2.Record]
    def __init__(self, job_id: _Optional[str] = ..., step: _Optional[_Union[_job_pb2.SearchStep, _Mapping]] = ..., taught: _Optional[_Iterable[_Union[_record_pb2.Record, _Mapping]]] = ...) -> None: ...

class BestRecordsRequest(_message.Message):
    __slots__ = ("workloads", "pool", "device_class", "target", "per_workload", "apart_from", "near")
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PER_WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    APART_FROM_FIELD_NUMBER: _ClassVar[int]
    NEAR_FIELD_NUMBER: _ClassVar[int]
    workloads: _containers.RepeatedScalarFieldContainer[str]
    pool: str
    device_class: str
    target: str
    per_workload: int
    apart_from: str
    near: str
    def __init__(self, workloads: _Optional[_Iterable[str]] = ..., pool: _Optional[str] = ..., device_class: _Optional[str] = ..., target: _Optional[str] = ..., per_workload: _Optional[int] = ..., apart_from: _Optional[str] = ..., near: _Optional[str] = ...) -> None: ...

class BestRecordsResponse(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[_record_pb2.Record]
    def __init__(self, records: _Optional[_Iterable[_Union[_record_pb2.Record, _Mapping]]] = ...) -> None: ...

class RefuteRecordsRequest(_message.Message):
    __slots__ = ("trial_id", "detail")
    TRIAL_ID_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    trial_id: str
    detail: str
    def __init__(self, trial_id: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class RefuteRecordsResponse(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: int
    def __init__(self, records: _Optional[int] = ...) -> None: ...

class GetWorkloadRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class AddRecordsRequest(_message.Message):
    __slots__ = ("workloads", "records")
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    workloads: _containers.RepeatedCompositeFieldContainer[_record_pb2.Workload]
    records: _containers.RepeatedCompositeFieldContainer[_record_pb2.Record]
    def __init__(self, workloads: _Optional[_Iterable[_Union[_record_pb2.Workload, _Mapping]]] = ..., records: _Optional[_Iterable[_Union[_record_pb2.Record, _Mapping]]] = ...) -> None: ...

class AddRecordsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRecordRequest(_message.Message):
    __slots__ = ("trial_id",)
    TRIAL_ID_FIELD_NUMBER: _ClassVar[int]
    trial_id: str
    def __init__(self, trial_id: _Optional[str] = ...) -> None: ...

class ImportPart(_message.Message):
    __slots__ = ("source", "user", "workloads", "jobs", "records", "history", "imported_unix_s")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    IMPORTED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    source: str
    user: str
    workloads: _containers.RepeatedCompositeFieldContainer[_record_pb2.Workload]
    jobs: _containers.RepeatedCompositeFieldContainer[_job_pb2.Job]
    records: _containers.RepeatedCompositeFieldContainer[_record_pb2.Record]
    history: _containers.RepeatedCompositeFieldContainer[_record_pb2.HistoryLine]
    imported_unix_s: float
    def __init__(self, source: _Optional[str] = ..., user: _Optional[str] = ..., workloads: _Optional[_Iterable[_Union[_record_pb2.Workload, _Mapping]]] = ..., jobs: _Optional[_Iterable[_Union[_job_pb2.Job, _Mapping]]] = ..., records: _Optional[_Iterable[_Union[_record_pb2.Record, _Mapping]]] = ..., history: _Optional[_Iterable[_Union[_record_pb2.HistoryLine, _Mapping]]] = ..., imported_unix_s: _Optional[float] = ...) -> None: ...

class ImportReport(_message.Message):
    __slots__ = ("records", "known_records", "history", "known_history", "imported_unix_s")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    KNOWN_RECORDS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    KNOWN_HISTORY_FIELD_NUMBER: _ClassVar[int]
    IMPORTED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    records: int
    known_records: int
    history: int
    known_history: int
    imported_unix_s: float
    def __init__(self, records: _Optional[int] = ..., known_records: _Optional[int] = ..., history: _Optional[int] = ..., known_history: _Optional[int] = ..., imported_unix_s: _Optional[float] = ...) -> None: ...

class TrialIds(_message.Message):
    __slots__ = ("trial_ids",)
    TRIAL_IDS_FIELD_NUMBER: _ClassVar[int]
    trial_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, trial_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CompactRequest(_message.Message):
    __slots__ = ("keep", "dry_run")
    KEEP_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    keep: int
    dry_run: bool
    def __init__(self, keep: _Optional[int] = ..., dry_run: bool = ...) -> None: ...

class Compaction(_message.Message):
    __slots__ = ("records", "to_remove", "removed", "file_bytes", "bytes_to_free", "shrinks", "done")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    TO_REMOVE_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    FILE_BYTES_FIELD_NUMBER: _ClassVar[int]
    BYTES_TO_FREE_FIELD_NUMBER: _ClassVar[int]
    SHRINKS_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    records: int
    to_remove: int
    removed: int
    file_bytes: int
    bytes_to_free: int
    shrinks: bool
    done: bool
    def __init__(self, records: _Optional[int] = ..., to_remove: _Optional[int] = ..., removed: _Optional[int] = ..., file_bytes: _Optional[int] = ..., bytes_to_free: _Optional[int] = ..., shrinks: bool = ..., done: bool = ...) -> None: ...

class ArtifactUpload(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class GetArtifactRequest(_message.Message):
    __slots__ = ("digest",)
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    digest: str
    def __init__(self, digest: _Optional[str] = ...) -> None: ...

class ArtifactDownload(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class ListRuntimesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRuntimesResponse(_message.Message):
    __slots__ = ("runtimes",)
    RUNTIMES_FIELD_NUMBER: _ClassVar[int]
    runtimes: _containers.RepeatedCompositeFieldContainer[_runtime_pb2.Runtime]
    def __init__(self, runtimes: _Optional[_Iterable[_Union[_runtime_pb2.Runtime, _Mapping]]] = ...) -> None: ...

class MeasureCall(_message.Message):
    __slots__ = ("open", "failed_builds", "trials", "cancelled")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FAILED_BUILDS_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    open: OpenMeasure
    failed_builds: _containers.RepeatedCompositeFieldContainer[FailedBuild]
    trials: _containers.RepeatedCompositeFieldContainer[Trial]
    cancelled: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, open: _Optional[_Union[OpenMeasure, _Mapping]] = ..., failed_builds: _Optional[_Iterable[_Union[FailedBuild, _Mapping]]] = ..., trials: _Optional[_Iterable[_Union[Trial, _Mapping]]] = ..., cancelled: _Optional[_Iterable[str]] = ...) -> None: ...

class OpenMeasure(_message.Message):
    __slots__ = ("client", "job_id", "pool", "device_class", "whole_models", "device_id", "user", "priority", "fresh")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    WHOLE_MODELS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    client: str
    job_id: str
    pool: str
    device_class: str
    whole_models: bool
    device_id: str
    user: str
    priority: int
    fresh: bool
    def __init__(self, client: _Optional[str] = ..., job_id: _Optional[str] = ..., pool: _Optional[str] = ..., device_class: _Optional[str] = ..., whole_models: bool = ..., device_id: _Optional[str] = ..., user: _Optional[str] = ..., priority: _Optional[int] = ..., fresh: bool = ...) -> None: ...

class Trial(_message.Message):
    __slots__ = ("request", "context")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    request: _measurement_pb2.MeasureRequest
    context: RecordContext
    def __init__(self, request: _Optional[_Union[_measurement_pb2.MeasureRequest, _Mapping]] = ..., context: _Optional[_Union[RecordContext, _Mapping]] = ...) -> None: ...

class RecordContext(_message.Message):
    __slots__ = ("task_id", "workload", "workload_name", "target", "engine", "trace", "proposed_s", "built_s", "versions", "searched_s", "building_s", "compiled_s")
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_S_FIELD_NUMBER: _ClassVar[int]
    BUILT_S_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    SEARCHED_S_FIELD_NUMBER: _ClassVar[int]
    BUILDING_S_FIELD_NUMBER: _ClassVar[int]
    COMPILED_S_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    workload: str
    workload_name: str
    target: str
    engine: str
    trace: str
    proposed_s: float
    built_s: float
    versions: _containers.ScalarMap[str, str]
    searched_s: float
    building_s: float
    compiled_s: float
    def __init__(self, task_id: _Optional[str] = ..., workload: _Optional[str] = ..., workload_name: _Optional[str] = ..., target: _Optional[str] = ..., engine: _Optional[str] = ..., trace: _Optional[str] = ..., proposed_s: _Optional[float] = ..., built_s: _Optional[float] = ..., versions: _Optional[_Mapping[str, str]] = ..., searched_s: _Optional[float] = ..., building_s: _Optional[float] = ..., compiled_s: _Optional[float] = ...) -> None: ...

class FailedBuild(_message.Message):
    __slots__ = ("trial_id", "outcome", "detail", "plan", "context")
    TRIAL_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    trial_id: str
    outcome: _measurement_pb2.Outcome
    detail: str
    plan: _measurement_pb2.TimingPlan
    context: RecordContext
    def __init__(self, trial_id: _Optional[str] = ..., outcome: _Optional[_Union[_measurement_pb2.Outcome, str]] = ..., detail: _Optional[str] = ..., plan: _Optional[_Union[_measurement_pb2.TimingPlan, _Mapping]] = ..., context: _Optional[_Union[RecordContext, _Mapping]] = ...) -> None: ...

class MeasureReply(_message.Message):
    __slots__ = ("measurements", "capacity")
    MEASUREMENTS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    measurements: _containers.RepeatedCompositeFieldContainer[_measurement_pb2.Measurement]
    capacity: Capacity
    def __init__(self, measurements: _Optional[_Iterable[_Union[_measurement_pb2.Measurement, _Mapping]]] = ..., capacity: _Optional[_Union[Capacity, _Mapping]] = ...) -> None: ...

class Capacity(_message.Message):
    __slots__ = ("devices", "slots")
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    devices: int
    slots: int
    def __init__(self, devices: _Optional[int] = ..., slots: _Optional[int] = ...) -> None: ...

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
