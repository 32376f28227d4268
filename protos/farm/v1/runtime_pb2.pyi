from tvm_farm.protos.farm.v1 import measurement_pb2 as _measurement_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Runtime(_message.Message):
    __slots__ = ("arch", "libc", "tvm_version", "tvm_ffi_version", "libraries", "added_unix_s")
    ARCH_FIELD_NUMBER: _ClassVar[int]
    LIBC_FIELD_NUMBER: _ClassVar[int]
    TVM_VERSION_FIELD_NUMBER: _ClassVar[int]
    TVM_FFI_VERSION_FIELD_NUMBER: _ClassVar[int]
    LIBRARIES_FIELD_NUMBER: _ClassVar[int]
    ADDED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    arch: str
    libc: str
    tvm_version: str
    tvm_ffi_version: str
    libraries: _containers.RepeatedCompositeFieldContainer[RuntimeLibrary]
    added_unix_s: float
    def __init__(self, arch: _Optional[str] = ..., libc: _Optional[str] = ..., tvm_version: _Optional[str] = ..., tvm_ffi_version: _Optional[str] = ..., libraries: _Optional[_Iterable[_Union[RuntimeLibrary, _Mapping]]] = ..., added_unix_s: _Optional[float] = ...) -> None: ...

class RuntimeLibrary(_message.Message):
    __slots__ = ("name", "artifact")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    name: str
    artifact: _measurement_pb2.Artifact
    def __init__(self, name: _Optional[str] = ..., artifact: _Optional[_Union[_measurement_pb2.Artifact, _Mapping]] = ...) -> None: ...

class RuntimeRequest(_message.Message):
    __slots__ = ("arch", "libc")
    ARCH_FIELD_NUMBER: _ClassVar[int]
    LIBC_FIELD_NUMBER: _ClassVar[int]
    arch: str
    libc: str
    def __init__(self, arch: _Optional[str] = ..., libc: _Optional[str] = ...) -> None: ...

class RuntimeOffer(_message.Message):
    __slots__ = ("runtime", "reason", "tvm_version")
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TVM_VERSION_FIELD_NUMBER: _ClassVar[int]
    runtime: Runtime
    reason: str
    tvm_version: str
    def __init__(self, runtime: _Optional[_Union[Runtime, _Mapping]] = ..., reason: _Optional[str] = ..., tvm_version: _Optional[str] = ...) -> None: ...
