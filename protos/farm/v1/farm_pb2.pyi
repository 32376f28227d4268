from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

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
