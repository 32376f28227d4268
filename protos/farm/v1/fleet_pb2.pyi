from tvm_farm.protos.farm.v1 import device_pb2 as _device_pb2
from tvm_farm.protos.farm.v1 import measurement_pb2 as _measurement_pb2
from tvm_farm.protos.farm.v1 import runtime_pb2 as _runtime_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReportRequest(_message.Message):
    __slots__ = ("device_id", "message")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    message: AgentMessage
    def __init__(self, device_id: _Optional[str] = ..., message: _Optional[_Union[AgentMessage, _Mapping]] = ...) -> None: ...

class ReportReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AgentMessage(_message.Message):
    __slots__ = ("sent_unix_s", "join", "heartbeat", "draining", "given_back", "started", "upgrade", "measurements")
    SENT_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    GIVEN_BACK_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    UPGRADE_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENTS_FIELD_NUMBER: _ClassVar[int]
    sent_unix_s: float
    join: Join
    heartbeat: Heartbeat
    draining: bool
    given_back: _containers.RepeatedCompositeFieldContainer[GiveBack]
    started: _containers.RepeatedScalarFieldContainer[str]
    upgrade: _device_pb2.Upgrade
    measurements: _containers.RepeatedCompositeFieldContainer[_measurement_pb2.Measurement]
    def __init__(self, sent_unix_s: _Optional[float] = ..., join: _Optional[_Union[Join, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., draining: bool = ..., given_back: _Optional[_Iterable[_Union[GiveBack, _Mapping]]] = ..., started: _Optional[_Iterable[str]] = ..., upgrade: _Optional[_Union[_device_pb2.Upgrade, _Mapping]] = ..., measurements: _Optional[_Iterable[_Union[_measurement_pb2.Measurement, _Mapping]]] = ...) -> None: ...

class Join(_message.Message):
    __slots__ = ("protocol_version", "device_id", "name", "fingerprint", "runner", "labels", "slots", "telemetry", "short_slots", "code", "machine")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    RUNNER_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_FIELD_NUMBER: _ClassVar[int]
    SHORT_SLOTS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    device_id: str
    name: str
    fingerprint: _device_pb2.Fingerprint
    runner: _device_pb2.RunnerInfo
    labels: _containers.ScalarMap[str, str]
    slots: int
    telemetry: _device_pb2.Telemetry
    short_slots: int
    code: _device_pb2.AgentCode
    machine: _device_pb2.Machine
    def __init__(self, protocol_version: _Optional[int] = ..., device_id: _Optional[str] = ..., name: _Optional[str] = ..., fingerprint: _Optional[_Union[_device_pb2.Fingerprint, _Mapping]] = ..., runner: _Optional[_Union[_device_pb2.RunnerInfo, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., slots: _Optional[int] = ..., telemetry: _Optional[_Union[_device_pb2.Telemetry, _Mapping]] = ..., short_slots: _Optional[int] = ..., code: _Optional[_Union[_device_pb2.AgentCode, _Mapping]] = ..., machine: _Optional[_Union[_device_pb2.Machine, _Mapping]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("telemetry",)
    TELEMETRY_FIELD_NUMBER: _ClassVar[int]
    telemetry: _device_pb2.Telemetry
    def __init__(self, telemetry: _Optional[_Union[_device_pb2.Telemetry, _Mapping]] = ...) -> None: ...

class GiveBack(_message.Message):
    __slots__ = ("trial_ids", "reason")
    TRIAL_IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    trial_ids: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, trial_ids: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class TrackerMessage(_message.Message):
    __slots__ = ("joined", "refused", "acknowledged", "cancelled", "measure", "heard", "upgrade")
    JOINED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    HEARD_FIELD_NUMBER: _ClassVar[int]
    UPGRADE_FIELD_NUMBER: _ClassVar[int]
    joined: Joined
    refused: Refused
    acknowledged: _containers.RepeatedScalarFieldContainer[str]
    cancelled: _containers.RepeatedScalarFieldContainer[str]
    measure: _containers.RepeatedCompositeFieldContainer[_measurement_pb2.MeasureRequest]
    heard: bool
    upgrade: _device_pb2.Upgrade
    def __init__(self, joined: _Optional[_Union[Joined, _Mapping]] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ..., acknowledged: _Optional[_Iterable[str]] = ..., cancelled: _Optional[_Iterable[str]] = ..., measure: _Optional[_Iterable[_Union[_measurement_pb2.MeasureRequest, _Mapping]]] = ..., heard: bool = ..., upgrade: _Optional[_Union[_device_pb2.Upgrade, _Mapping]] = ...) -> None: ...

class Joined(_message.Message):
    __slots__ = ("farm", "tracker_version", "heartbeat_s", "device_class", "target", "pools", "warning")
    FARM_FIELD_NUMBER: _ClassVar[int]
    TRACKER_VERSION_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    farm: str
    tracker_version: str
    heartbeat_s: float
    device_class: str
    target: str
    pools: _containers.RepeatedScalarFieldContainer[str]
    warning: str
    def __init__(self, farm: _Optional[str] = ..., tracker_version: _Optional[str] = ..., heartbeat_s: _Optional[float] = ..., device_class: _Optional[str] = ..., target: _Optional[str] = ..., pools: _Optional[_Iterable[str]] = ..., warning: _Optional[str] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("reason", "retry_after_s")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    reason: str
    retry_after_s: float
    def __init__(self, reason: _Optional[str] = ..., retry_after_s: _Optional[float] = ...) -> None: ...

class ArtifactRequest(_message.Message):
    __slots__ = ("digest", "offset")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    digest: str
    offset: int
    def __init__(self, digest: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class ArtifactChunk(_message.Message):
    __slots__ = ("data", "offset")
    DATA_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    offset: int
    def __init__(self, data: _Optional[bytes] = ..., offset: _Optional[int] = ...) -> None: ...
