from tvm_farm.protos.farm.v1 import measurement_pb2 as _measurement_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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
