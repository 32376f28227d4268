"""TVM's runtime on its way from the tracker to a board, as both hold it: mirrors of runtime.proto."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_farm.protos.measurement import Artifact

__all__ = ["Runtime", "RuntimeLibrary", "RuntimeOffer", "RuntimeRequest"]


@dataclass(frozen=True)
class RuntimeLibrary:
    """A library by its file name."""

    name: str
    artifact: Artifact


@dataclass(frozen=True)
class Runtime:
    """What boards of ``arch`` with ``libc`` or a later one run in full mode with.

    ``added_unix_s`` 0: it was found among the packages of the tracker's own host.
    """

    arch: str = ""
    libc: str = ""
    tvm_version: str = ""
    tvm_ffi_version: str = ""
    libraries: tuple[RuntimeLibrary, ...] = ()
    added_unix_s: float = 0.0

    @property
    def size(self) -> int:
        """Of all libraries, in bytes."""
        return sum(library.artifact.size for library in self.libraries)


@dataclass(frozen=True)
class RuntimeRequest:
    """A board that asks for a runtime: as in its fingerprint."""

    arch: str = ""
    libc: str = ""


@dataclass(frozen=True)
class RuntimeOffer:
    """``runtime`` for the board that asked, or the ``reason`` why there is none; what the farm compiles with."""

    runtime: Runtime | None = None
    reason: str = ""
    tvm_version: str = ""
