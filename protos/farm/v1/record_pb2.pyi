from tvm_farm.protos.farm.v1 import measurement_pb2 as _measurement_pb2
from tvm_farm.protos.farm.v1 import device_pb2 as _device_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecordOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECORD_ORDER_UNSPECIFIED: _ClassVar[RecordOrder]
    RECORD_ORDER_LATENCY: _ClassVar[RecordOrder]
    RECORD_ORDER_THROUGHPUT: _ClassVar[RecordOrder]
    RECORD_ORDER_BOARD_TIME: _ClassVar[RecordOrder]
RECORD_ORDER_UNSPECIFIED: RecordOrder
RECORD_ORDER_LATENCY: RecordOrder
RECORD_ORDER_THROUGHPUT: RecordOrder
RECORD_ORDER_BOARD_TIME: RecordOrder

class Record(_message.Message):
    __slots__ = ("trial_id", "job_id", "task_id", "workload", "workload_name", "target", "engine", "trace", "measurement", "plan", "versions", "runner_mode", "user", "imported_from", "imported_unix_s", "copied_from")
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
    IMPORTED_FROM_FIELD_NUMBER: _ClassVar[int]
    IMPORTED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
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
    imported_from: str
    imported_unix_s: float
    copied_from: str
    def __init__(self, trial_id: _Optional[str] = ..., job_id: _Optional[str] = ..., task_id: _Optional[str] = ..., workload: _Optional[str] = ..., workload_name: _Optional[str] = ..., target: _Optional[str] = ..., engine: _Optional[str] = ..., trace: _Optional[str] = ..., measurement: _Optional[_Union[_measurement_pb2.Measurement, _Mapping]] = ..., plan: _Optional[_Union[_measurement_pb2.TimingPlan, _Mapping]] = ..., versions: _Optional[_Mapping[str, str]] = ..., runner_mode: _Optional[_Union[_device_pb2.RunnerMode, str]] = ..., user: _Optional[str] = ..., imported_from: _Optional[str] = ..., imported_unix_s: _Optional[float] = ..., copied_from: _Optional[str] = ...) -> None: ...

class RecordFilter(_message.Message):
    __slots__ = ("job_id", "task_id", "workload", "device_class", "device", "engine", "outcome", "since_unix_s", "pool", "workload_name", "limit", "newest_first", "target", "user", "shapes", "order", "reverse")
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
    USER_FIELD_NUMBER: _ClassVar[int]
    SHAPES_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
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
    user: str
    shapes: _containers.RepeatedScalarFieldContainer[str]
    order: RecordOrder
    reverse: bool
    def __init__(self, job_id: _Optional[str] = ..., task_id: _Optional[str] = ..., workload: _Optional[str] = ..., device_class: _Optional[str] = ..., device: _Optional[str] = ..., engine: _Optional[str] = ..., outcome: _Optional[_Union[_measurement_pb2.Outcome, str]] = ..., since_unix_s: _Optional[float] = ..., pool: _Optional[str] = ..., workload_name: _Optional[str] = ..., limit: _Optional[int] = ..., newest_first: bool = ..., target: _Optional[str] = ..., user: _Optional[str] = ..., shapes: _Optional[_Iterable[str]] = ..., order: _Optional[_Union[RecordOrder, str]] = ..., reverse: bool = ...) -> None: ...

class SqlQuery(_message.Message):
    __slots__ = ("sql", "limit")
    SQL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    sql: str
    limit: int
    def __init__(self, sql: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class SqlAnswer(_message.Message):
    __slots__ = ("columns", "rows", "cut")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    rows: _containers.RepeatedCompositeFieldContainer[SqlRow]
    cut: bool
    def __init__(self, columns: _Optional[_Iterable[str]] = ..., rows: _Optional[_Iterable[_Union[SqlRow, _Mapping]]] = ..., cut: bool = ...) -> None: ...

class SqlRow(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[SqlValue]
    def __init__(self, values: _Optional[_Iterable[_Union[SqlValue, _Mapping]]] = ...) -> None: ...

class SqlValue(_message.Message):
    __slots__ = ("integer", "real", "text", "blob")
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    REAL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    BLOB_FIELD_NUMBER: _ClassVar[int]
    integer: int
    real: float
    text: str
    blob: bytes
    def __init__(self, integer: _Optional[int] = ..., real: _Optional[float] = ..., text: _Optional[str] = ..., blob: _Optional[bytes] = ...) -> None: ...

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

class HistoryLine(_message.Message):
    __slots__ = ("format", "task", "target", "device_class", "cost_s", "error_no", "measured_unix_s", "line", "imported_from", "imported_unix_s")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    COST_S_FIELD_NUMBER: _ClassVar[int]
    ERROR_NO_FIELD_NUMBER: _ClassVar[int]
    MEASURED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    IMPORTED_FROM_FIELD_NUMBER: _ClassVar[int]
    IMPORTED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    format: str
    task: str
    target: str
    device_class: str
    cost_s: float
    error_no: int
    measured_unix_s: float
    line: str
    imported_from: str
    imported_unix_s: float
    def __init__(self, format: _Optional[str] = ..., task: _Optional[str] = ..., target: _Optional[str] = ..., device_class: _Optional[str] = ..., cost_s: _Optional[float] = ..., error_no: _Optional[int] = ..., measured_unix_s: _Optional[float] = ..., line: _Optional[str] = ..., imported_from: _Optional[str] = ..., imported_unix_s: _Optional[float] = ...) -> None: ...

class HistoryFilter(_message.Message):
    __slots__ = ("format", "task", "failed", "limit")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    format: str
    task: str
    failed: bool
    limit: int
    def __init__(self, format: _Optional[str] = ..., task: _Optional[str] = ..., failed: bool = ..., limit: _Optional[int] = ...) -> None: ...
