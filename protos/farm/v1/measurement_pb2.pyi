from tvm_farm.protos.farm.v1 import device_pb2 as _device_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProgramKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROGRAM_KIND_UNSPECIFIED: _ClassVar[ProgramKind]
    PROGRAM_KIND_KERNEL: _ClassVar[ProgramKind]
    PROGRAM_KIND_MODEL: _ClassVar[ProgramKind]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_OK: _ClassVar[Outcome]
    OUTCOME_BUILD_ERROR: _ClassVar[Outcome]
    OUTCOME_BUILD_TIMEOUT: _ClassVar[Outcome]
    OUTCOME_RUN_ERROR: _ClassVar[Outcome]
    OUTCOME_RUN_TIMEOUT: _ClassVar[Outcome]
    OUTCOME_CRASH: _ClassVar[Outcome]
    OUTCOME_OUT_OF_MEMORY: _ClassVar[Outcome]
    OUTCOME_WRONG_RESULT: _ClassVar[Outcome]
    OUTCOME_CANCELLED: _ClassVar[Outcome]
    OUTCOME_UNPLACEABLE: _ClassVar[Outcome]
    OUTCOME_HOST_FAULT: _ClassVar[Outcome]
PROGRAM_KIND_UNSPECIFIED: ProgramKind
PROGRAM_KIND_KERNEL: ProgramKind
PROGRAM_KIND_MODEL: ProgramKind
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_OK: Outcome
OUTCOME_BUILD_ERROR: Outcome
OUTCOME_BUILD_TIMEOUT: Outcome
OUTCOME_RUN_ERROR: Outcome
OUTCOME_RUN_TIMEOUT: Outcome
OUTCOME_CRASH: Outcome
OUTCOME_OUT_OF_MEMORY: Outcome
OUTCOME_WRONG_RESULT: Outcome
OUTCOME_CANCELLED: Outcome
OUTCOME_UNPLACEABLE: Outcome
OUTCOME_HOST_FAULT: Outcome

class Artifact(_message.Message):
    __slots__ = ("digest", "size", "inline")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    digest: str
    size: int
    inline: bytes
    def __init__(self, digest: _Optional[str] = ..., size: _Optional[int] = ..., inline: _Optional[bytes] = ...) -> None: ...

class Argument(_message.Message):
    __slots__ = ("shape", "dtype", "fill_seed", "data", "param")
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    FILL_SEED_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PARAM_FIELD_NUMBER: _ClassVar[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    dtype: str
    fill_seed: int
    data: bytes
    param: str
    def __init__(self, shape: _Optional[_Iterable[int]] = ..., dtype: _Optional[str] = ..., fill_seed: _Optional[int] = ..., data: _Optional[bytes] = ..., param: _Optional[str] = ...) -> None: ...

class Program(_message.Message):
    __slots__ = ("kind", "library", "entry", "args", "params", "outputs")
    KIND_FIELD_NUMBER: _ClassVar[int]
    LIBRARY_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    kind: ProgramKind
    library: Artifact
    entry: str
    args: _containers.RepeatedCompositeFieldContainer[Argument]
    params: Artifact
    outputs: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, kind: _Optional[_Union[ProgramKind, str]] = ..., library: _Optional[_Union[Artifact, _Mapping]] = ..., entry: _Optional[str] = ..., args: _Optional[_Iterable[_Union[Argument, _Mapping]]] = ..., params: _Optional[_Union[Artifact, _Mapping]] = ..., outputs: _Optional[_Iterable[int]] = ...) -> None: ...

class TimingPlan(_message.Message):
    __slots__ = ("number", "repeat", "min_repeat_ms", "cooldown_ms", "repeats_to_cooldown", "cache_flush_bytes")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REPEAT_FIELD_NUMBER: _ClassVar[int]
    MIN_REPEAT_MS_FIELD_NUMBER: _ClassVar[int]
    COOLDOWN_MS_FIELD_NUMBER: _ClassVar[int]
    REPEATS_TO_COOLDOWN_FIELD_NUMBER: _ClassVar[int]
    CACHE_FLUSH_BYTES_FIELD_NUMBER: _ClassVar[int]
    number: int
    repeat: int
    min_repeat_ms: int
    cooldown_ms: int
    repeats_to_cooldown: int
    cache_flush_bytes: int
    def __init__(self, number: _Optional[int] = ..., repeat: _Optional[int] = ..., min_repeat_ms: _Optional[int] = ..., cooldown_ms: _Optional[int] = ..., repeats_to_cooldown: _Optional[int] = ..., cache_flush_bytes: _Optional[int] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("run_timeout_s", "memory_bytes", "hopeless_s")
    RUN_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    HOPELESS_S_FIELD_NUMBER: _ClassVar[int]
    run_timeout_s: float
    memory_bytes: int
    hopeless_s: float
    def __init__(self, run_timeout_s: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., hopeless_s: _Optional[float] = ...) -> None: ...

class MeasureRequest(_message.Message):
    __slots__ = ("trial_id", "program", "plan", "limits")
    TRIAL_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    trial_id: str
    program: Program
    plan: TimingPlan
    limits: Limits
    def __init__(self, trial_id: _Optional[str] = ..., program: _Optional[_Union[Program, _Mapping]] = ..., plan: _Optional[_Union[TimingPlan, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ...) -> None: ...

class OutputTensor(_message.Message):
    __slots__ = ("shape", "dtype", "data")
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    dtype: str
    data: bytes
    def __init__(self, shape: _Optional[_Iterable[int]] = ..., dtype: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class Timeline(_message.Message):
    __slots__ = ("searched_s", "proposed_s", "building_s", "compiled_s", "built_s", "queued_s", "sent_s", "received_s", "started_s", "finished_s", "answered_s", "stored_s")
    SEARCHED_S_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_S_FIELD_NUMBER: _ClassVar[int]
    BUILDING_S_FIELD_NUMBER: _ClassVar[int]
    COMPILED_S_FIELD_NUMBER: _ClassVar[int]
    BUILT_S_FIELD_NUMBER: _ClassVar[int]
    QUEUED_S_FIELD_NUMBER: _ClassVar[int]
    SENT_S_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_S_FIELD_NUMBER: _ClassVar[int]
    STARTED_S_FIELD_NUMBER: _ClassVar[int]
    FINISHED_S_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_S_FIELD_NUMBER: _ClassVar[int]
    STORED_S_FIELD_NUMBER: _ClassVar[int]
    searched_s: float
    proposed_s: float
    building_s: float
    compiled_s: float
    built_s: float
    queued_s: float
    sent_s: float
    received_s: float
    started_s: float
    finished_s: float
    answered_s: float
    stored_s: float
    def __init__(self, searched_s: _Optional[float] = ..., proposed_s: _Optional[float] = ..., building_s: _Optional[float] = ..., compiled_s: _Optional[float] = ..., built_s: _Optional[float] = ..., queued_s: _Optional[float] = ..., sent_s: _Optional[float] = ..., received_s: _Optional[float] = ..., started_s: _Optional[float] = ..., finished_s: _Optional[float] = ..., answered_s: _Optional[float] = ..., stored_s: _Optional[float] = ...) -> None: ...

class Measurement(_message.Message):
    __slots__ = ("trial_id", "outcome", "detail", "signal", "run_secs", "outputs", "device_id", "device_name", "device_class", "before", "after", "timeline", "cut_short")
    TRIAL_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    RUN_SECS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    CUT_SHORT_FIELD_NUMBER: _ClassVar[int]
    trial_id: str
    outcome: Outcome
    detail: str
    signal: int
    run_secs: _containers.RepeatedScalarFieldContainer[float]
    outputs: _containers.RepeatedCompositeFieldContainer[OutputTensor]
    device_id: str
    device_name: str
    device_class: str
    before: _device_pb2.Telemetry
    after: _device_pb2.Telemetry
    timeline: Timeline
    cut_short: bool
    def __init__(self, trial_id: _Optional[str] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., detail: _Optional[str] = ..., signal: _Optional[int] = ..., run_secs: _Optional[_Iterable[float]] = ..., outputs: _Optional[_Iterable[_Union[OutputTensor, _Mapping]]] = ..., device_id: _Optional[str] = ..., device_name: _Optional[str] = ..., device_class: _Optional[str] = ..., before: _Optional[_Union[_device_pb2.Telemetry, _Mapping]] = ..., after: _Optional[_Union[_device_pb2.Telemetry, _Mapping]] = ..., timeline: _Optional[_Union[Timeline, _Mapping]] = ..., cut_short: bool = ...) -> None: ...
