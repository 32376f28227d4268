from protos.farm.v1 import measurement_pb2 as _measurement_pb2
from protos.farm.v1 import device_pb2 as _device_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Record(_message.Message):
    __slots__ = ("trial_id", "job_id", "task_id", "workload", "workload_name", "target", "engine", "trace", "measurement", "plan", "versions", "runner_mode", "user", "copied_from")
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TRIAL_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENT_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    RUNNER_MODE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    COPIED_FROM_FIELD_NUMBER: _ClassVar[int]
    trial_id: str
    job_id: str
    task_id: str
    workload: str
    workload_name: str
    target: str
    engine: str
    trace: str
    measurement: _measurement_pb2.Measurement
    plan: _measurement_pb2.TimingPlan
    versions: _containers.ScalarMap[str, str]
    runner_mode: _device_pb2.RunnerMode
    user: str
    copied_from: str
    def __init__(self, trial_id: _Optional[str] = ..., job_id: _Optional[str] = ..., task_id: _Optional[str] = ..., workload: _Optional[str] = ..., workload_name: _Optional[str] = ..., target: _Optional[str] = ..., engine: _Optional[str] = ..., trace: _Optional[str] = ..., measurement: _Optional[_Union[_measurement_pb2.Measurement, _Mapping]] = ..., plan: _Optional[_Union[_measurement_pb2.TimingPlan, _Mapping]] = ..., versions: _Optional[_Mapping[str, str]] = ..., runner_mode: _Optional[_Union[_device_pb2.RunnerMode, str]] = ..., user: _Optional[str] = ..., copied_from: _Optional[str] = ...) -> None: ...

class RecordFilter(_message.Message):
    __slots__ = ("job_id", "task_id", "workload", "device_class", "device", "engine", "outcome", "since_unix_s", "pool", "workload_name", "limit", "newest_first", "target")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    task_id: str
    workload: str
    device_class: str
    device: str
    engine: str
    outcome: _measurement_pb2.Outcome
    since_unix_s: float
    pool: str
    workload_name: str
    limit: int
    newest_first: bool
    target: str
    def __init__(self, job_id: _Optional[str] = ..., task_id: _Optional[str] = ..., workload: _Optional[str] = ..., device_class: _Optional[str] = ..., device: _Optional[str] = ..., engine: _Optional[str] = ..., outcome: _Optional[_Union[_measurement_pb2.Outcome, str]] = ..., since_unix_s: _Optional[float] = ..., pool: _Optional[str] = ..., workload_name: _Optional[str] = ..., limit: _Optional[int] = ..., newest_first: bool = ..., target: _Optional[str] = ...) -> None: ...

class Workload(_message.Message):
    __slots__ = ("key", "name", "module", "flops")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODULE_FIELD_NUMBER: _ClassVar[int]
    FLOPS_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    module: str
    flops: float
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., module: _Optional[str] = ..., flops: _Optional[float] = ...) -> None: ...
