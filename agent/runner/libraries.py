"""Where the runner's program and TVM's runtime libraries lie on this machine."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
import struct
from dataclasses import dataclass
from pathlib import Path

from tvm_farm.agent.runner.contract import RunnerError

__all__ = [
    "EXTRA",
    "FFI",
    "RUNTIME",
    "CLibrary",
    "RuntimeLibraries",
    "find_libc",
    "find_runner",
    "find_runtime",
    "runner_arch",
]

FFI, RUNTIME, EXTRA = "libtvm_ffi.so", "libtvm_runtime.so", "libtvm_runtime_extra.so"
_LIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1", "libstdc++.so.6")
_ARCHES = {"amd64": "x86_64", "arm64": "aarch64", "armv8l": "armv7l"}


@dataclass(frozen=True)
class RuntimeLibraries:
    """TVM's runtime on this machine; ``extra`` holds its rarer functions (sorting, random numbers).

    The versions are those of the distributions that brought the files, "" where they came as bare files.
    """

    ffi: Path
    runtime: Path
    extra: Path | None = None
    tvm_version: str = ""
    tvm_ffi_version: str = ""


@dataclass(frozen=True)
class CLibrary:
    """The GNU C library for a device that has another: its ``loader`` runs programs with ``libraries``."""

    loader: Path
    libraries: tuple[Path, ...]

    @property
    def digest(self) -> str:
        found = hashlib.sha256()
        for path in (self.loader, *self.libraries):
            found.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return found.hexdigest()


def find_libc(directory: Path) -> CLibrary:
    """The C library in ``directory``. Raises RunnerError where it is not there whole."""
    loaders = sorted(directory.glob("ld-linux*.so.*"))
    libraries = tuple(directory / name for name in _LIBC if (directory / name).is_file())
    if len(loaders) != 1 or not {"libc.so.6", "libm.so.6"} <= {path.name for path in libraries}:
        raise RunnerError(f"{directory} holds no C library: it needs one ld-linux*.so.*, libc.so.6 and libm.so.6")
    return CLibrary(loaders[0], libraries)


def runner_arch(machine: str | None = None, pointer_bytes: int = struct.calcsize("P")) -> str:
    """The name of the runner's folder for this process: a 32-bit one on a 64-bit kernel counts as 32-bit."""
    name = (machine or platform.machine()).lower()
    name = _ARCHES.get(name, name)
    return "armv7l" if name == "aarch64" and pointer_bytes == 4 else name


def find_runner(arch: str | None = None) -> Path:
    """The runner built for ``arch``, this machine's by default. Raises RunnerError where there is none."""
    arch = arch or runner_arch()
    native = Path(__file__).parent / "native"
    found = native / "bin" / arch / "tvm-farm-runner"
    if found.is_file():
        return found
    built = sorted(path.parent.name for path in native.glob("bin/*/tvm-farm-runner"))
    if built:
        raise RunnerError(
            f"no runner for {arch}: this installation carries one for {', '.join(built)}, and boards of another "
            "architecture cannot be lent"
        )
    raise RunnerError(f"no runner is built: run python {native / 'build.py'}, or install the project again")


def find_runtime(directory: Path | None = None) -> RuntimeLibraries | None:
    """TVM's runtime in ``directory``, else among the installed distributions, which are not imported."""
    if directory is not None:
        return _complete(directory / FFI, directory / RUNTIME, directory / EXTRA, "", "")
    ffi, ffi_version = _installed("apache-tvm-ffi", "tvm_ffi/lib")
    tvm, tvm_version = _installed("apache-tvm", "tvm/lib")
    if ffi is None or tvm is None:
        return None
    return _complete(ffi / FFI, tvm / RUNTIME, tvm / EXTRA, tvm_version, ffi_version)


def _installed(distribution: str, folder: str) -> tuple[Path | None, str]:
    """Where a distribution has ``folder``, and its version, from names alone: importlib.metadata brings the whole
    of ``email``, 3 MB of memory that a board then never uses."""
    package, _, rest = folder.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None, ""
    found = Path(next(iter(spec.submodule_search_locations)))
    for info in sorted(found.parent.glob(f"{distribution.replace('-', '_')}-*.dist-info")):
        return found / rest, info.name.removesuffix(".dist-info").rpartition("-")[2]
    return None, ""


def _complete(ffi: Path, runtime: Path, extra: Path, version: str, ffi_version: str) -> RuntimeLibraries | None:
    if not (ffi.is_file() and runtime.is_file()):
        return None
    return RuntimeLibraries(ffi, runtime, extra if extra.is_file() else None, version, ffi_version)
