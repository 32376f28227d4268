from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunnerMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUNNER_MODE_UNSPECIFIED: _ClassVar[RunnerMode]
    RUNNER_MODE_FULL: _ClassVar[RunnerMode]
    RUNNER_MODE_MICRO: _ClassVar[RunnerMode]
    RUNNER_MODE_SYNTHETIC: _ClassVar[RunnerMode]

class DeviceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEVICE_STATE_UNSPECIFIED: _ClassVar[DeviceState]
    DEVICE_STATE_IDLE: _ClassVar[DeviceState]
    DEVICE_STATE_MEASURING: _ClassVar[DeviceState]
    DEVICE_STATE_DRAINING: _ClassVar[DeviceState]
    DEVICE_STATE_LOST: _ClassVar[DeviceState]
RUNNER_MODE_UNSPECIFIED: RunnerMode
RUNNER_MODE_FULL: RunnerMode
RUNNER_MODE_MICRO: RunnerMode
RUNNER_MODE_SYNTHETIC: RunnerMode
DEVICE_STATE_UNSPECIFIED: DeviceState
DEVICE_STATE_IDLE: DeviceState
DEVICE_STATE_MEASURING: DeviceState
DEVICE_STATE_DRAINING: DeviceState
DEVICE_STATE_LOST: DeviceState

class CpuCluster(_message.Message):
    __slots__ = ("cpus", "implementer", "part", "name", "min_khz", "max_khz", "governor")
    CPUS_FIELD_NUMBER: _ClassVar[int]
    IMPLEMENTER_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MIN_KHZ_FIELD_NUMBER: _ClassVar[int]
    MAX_KHZ_FIELD_NUMBER: _ClassVar[int]
    GOVERNOR_FIELD_NUMBER: _ClassVar[int]
    cpus: _containers.RepeatedScalarFieldContainer[int]
    implementer: str
    part: str
    name: str
    min_khz: int
    max_khz: int
    governor: str
    def __init__(self, cpus: _Optional[_Iterable[int]] = ..., implementer: _Optional[str] = ..., part: _Optional[str] = ..., name: _Optional[str] = ..., min_khz: _Optional[int] = ..., max_khz: _Optional[int] = ..., governor: _Optional[str] = ...) -> None: ...

class Fingerprint(_message.Message):
    __slots__ = ("arch", "board_model", "hostname", "clusters", "cpu_features", "memory_bytes", "os", "kernel", "libc", "python_version", "agent_version")
    ARCH_FIELD_NUMBER: _ClassVar[int]
    BOARD_MODEL_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    CPU_FEATURES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    LIBC_FIELD_NUMBER: _ClassVar[int]
    PYTHON_VERSION_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    arch: str
    board_model: str
    hostname: str
    clusters: _containers.RepeatedCompositeFieldContainer[CpuCluster]
    cpu_features: _containers.RepeatedScalarFieldContainer[str]
    memory_bytes: int
    os: str
    kernel: str
    libc: str
    python_version: str
    agent_version: str
    def __init__(self, arch: _Optional[str] = ..., board_model: _Optional[str] = ..., hostname: _Optional[str] = ..., clusters: _Optional[_Iterable[_Union[CpuCluster, _Mapping]]] = ..., cpu_features: _Optional[_Iterable[str]] = ..., memory_bytes: _Optional[int] = ..., os: _Optional[str] = ..., kernel: _Optional[str] = ..., libc: _Optional[str] = ..., python_version: _Optional[str] = ..., agent_version: _Optional[str] = ...) -> None: ...

class Machine(_message.Message):
    __slots__ = ("start_id", "boot_id", "serial", "macs", "via")
    START_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    MACS_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    start_id: str
    boot_id: str
    serial: str
    macs: _containers.RepeatedScalarFieldContainer[str]
    via: str
    def __init__(self, start_id: _Optional[str] = ..., boot_id: _Optional[str] = ..., serial: _Optional[str] = ..., macs: _Optional[_Iterable[str]] = ..., via: _Optional[str] = ...) -> None: ...

class RunnerInfo(_message.Message):
    __slots__ = ("mode", "protocol_version", "tvm_version", "tvm_ffi_version", "threads", "target_kinds", "full_mode_missing")
    MODE_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    TVM_VERSION_FIELD_NUMBER: _ClassVar[int]
    TVM_FFI_VERSION_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    TARGET_KINDS_FIELD_NUMBER: _ClassVar[int]
    FULL_MODE_MISSING_FIELD_NUMBER: _ClassVar[int]
    mode: RunnerMode
    protocol_version: int
    tvm_version: str
    tvm_ffi_version: str
    threads: int
    target_kinds: _containers.RepeatedScalarFieldContainer[str]
    full_mode_missing: str
    def __init__(self, mode: _Optional[_Union[RunnerMode, str]] = ..., protocol_version: _Optional[int] = ..., tvm_version: _Optional[str] = ..., tvm_ffi_version: _Optional[str] = ..., threads: _Optional[int] = ..., target_kinds: _Optional[_Iterable[str]] = ..., full_mode_missing: _Optional[str] = ...) -> None: ...

class Telemetry(_message.Message):
    __slots__ = ("at_unix_s", "temperature_c", "frequency_khz", "throttling", "load_1m", "memory_available_bytes", "cpu_percent", "runtime_share", "disk_fault")
    AT_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_C_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_KHZ_FIELD_NUMBER: _ClassVar[int]
    THROTTLING_FIELD_NUMBER: _ClassVar[int]
    LOAD_1M_FIELD_NUMBER: _ClassVar[int]
    MEMORY_AVAILABLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_SHARE_FIELD_NUMBER: _ClassVar[int]
    DISK_FAULT_FIELD_NUMBER: _ClassVar[int]
    at_unix_s: float
    temperature_c: float
    frequency_khz: _containers.RepeatedScalarFieldContainer[int]
    throttling: _containers.RepeatedScalarFieldContainer[str]
    load_1m: float
    memory_available_bytes: int
    cpu_percent: float
    runtime_share: float
    disk_fault: str
    def __init__(self, at_unix_s: _Optional[float] = ..., temperature_c: _Optional[float] = ..., frequency_khz: _Optional[_Iterable[int]] = ..., throttling: _Optional[_Iterable[str]] = ..., load_1m: _Optional[float] = ..., memory_available_bytes: _Optional[int] = ..., cpu_percent: _Optional[float] = ..., runtime_share: _Optional[float] = ..., disk_fault: _Optional[str] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("user", "since_unix_s", "until_unix_s")
    USER_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    user: str
    since_unix_s: float
    until_unix_s: float
    def __init__(self, user: _Optional[str] = ..., since_unix_s: _Optional[float] = ..., until_unix_s: _Optional[float] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("user", "since_unix_s", "reason")
    USER_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    user: str
    since_unix_s: float
    reason: str
    def __init__(self, user: _Optional[str] = ..., since_unix_s: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class AgentCode(_message.Message):
    __slots__ = ("digest", "refuses", "failed_upgrade", "failure")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    REFUSES_FIELD_NUMBER: _ClassVar[int]
    FAILED_UPGRADE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    digest: str
    refuses: str
    failed_upgrade: str
    failure: str
    def __init__(self, digest: _Optional[str] = ..., refuses: _Optional[str] = ..., failed_upgrade: _Optional[str] = ..., failure: _Optional[str] = ...) -> None: ...

class Upgrade(_message.Message):
    __slots__ = ("id", "version", "digest", "size", "user", "since_unix_s", "share", "restarting", "failure")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    RESTARTING_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: str
    digest: str
    size: int
    user: str
    since_unix_s: float
    share: float
    restarting: bool
    failure: str
    def __init__(self, id: _Optional[str] = ..., version: _Optional[str] = ..., digest: _Optional[str] = ..., size: _Optional[int] = ..., user: _Optional[str] = ..., since_unix_s: _Optional[float] = ..., share: _Optional[float] = ..., restarting: bool = ..., failure: _Optional[str] = ...) -> None: ...

class Clone(_message.Message):
    __slots__ = ("machine", "hostname", "seen_unix_s")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    SEEN_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    machine: Machine
    hostname: str
    seen_unix_s: float
    def __init__(self, machine: _Optional[_Union[Machine, _Mapping]] = ..., hostname: _Optional[str] = ..., seen_unix_s: _Optional[float] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("id", "name", "fingerprint", "runner", "labels", "pools", "device_class", "target", "target_origin", "state", "joined_unix_s", "last_heard_unix_s", "stopped", "telemetry", "held", "measured", "utilisation", "lease", "drain", "hand_labels", "ailing", "code", "upgrade", "machine", "clone", "shares_cpus_with")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class HandLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    RUNNER_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TARGET_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    JOINED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    LAST_HEARD_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    UTILISATION_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    HAND_LABELS_FIELD_NUMBER: _ClassVar[int]
    AILING_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    UPGRADE_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLONE_FIELD_NUMBER: _ClassVar[int]
    SHARES_CPUS_WITH_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    fingerprint: Fingerprint
    runner: RunnerInfo
    labels: _containers.ScalarMap[str, str]
    pools: _containers.RepeatedScalarFieldContainer[str]
    device_class: str
    target: str
    target_origin: str
    state: DeviceState
    joined_unix_s: float
    last_heard_unix_s: float
    stopped: bool
    telemetry: Telemetry
    held: int
    measured: int
    utilisation: float
    lease: Lease
    drain: Drain
    hand_labels: _containers.ScalarMap[str, str]
    ailing: str
    code: AgentCode
    upgrade: Upgrade
    machine: Machine
    clone: Clone
    shares_cpus_with: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., fingerprint: _Optional[_Union[Fingerprint, _Mapping]] = ..., runner: _Optional[_Union[RunnerInfo, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., pools: _Optional[_Iterable[str]] = ..., device_class: _Optional[str] = ..., target: _Optional[str] = ..., target_origin: _Optional[str] = ..., state: _Optional[_Union[DeviceState, str]] = ..., joined_unix_s: _Optional[float] = ..., last_heard_unix_s: _Optional[float] = ..., stopped: bool = ..., telemetry: _Optional[_Union[Telemetry, _Mapping]] = ..., held: _Optional[int] = ..., measured: _Optional[int] = ..., utilisation: _Optional[float] = ..., lease: _Optional[_Union[Lease, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., hand_labels: _Optional[_Mapping[str, str]] = ..., ailing: _Optional[str] = ..., code: _Optional[_Union[AgentCode, _Mapping]] = ..., upgrade: _Optional[_Union[Upgrade, _Mapping]] = ..., machine: _Optional[_Union[Machine, _Mapping]] = ..., clone: _Optional[_Union[Clone, _Mapping]] = ..., shares_cpus_with: _Optional[_Iterable[str]] = ...) -> None: ...

class Pool(_message.Message):
    __slots__ = ("name", "selector", "built_in", "devices", "connected")
    class SelectorEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    BUILT_IN_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    name: str
    selector: _containers.ScalarMap[str, str]
    built_in: bool
    devices: _containers.RepeatedScalarFieldContainer[str]
    connected: int
    def __init__(self, name: _Optional[str] = ..., selector: _Optional[_Mapping[str, str]] = ..., built_in: bool = ..., devices: _Optional[_Iterable[str]] = ..., connected: _Optional[int] = ...) -> None: ...
