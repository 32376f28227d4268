from tvm_farm.protos.farm.v1 import job_pb2 as _job_pb2
from tvm_farm.protos.farm.v1 import record_pb2 as _record_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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
