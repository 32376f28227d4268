"""Wheels of TVM in small: their names, metadata and libraries, with a few bytes in each library."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["library_bytes", "make_wheel", "make_wheels"]

_LIBRARIES = {
    "apache-tvm": ("tvm/lib/libtvm_runtime.so", "tvm/lib/libtvm_runtime_extra.so"),
    "apache-tvm-ffi": ("tvm_ffi/lib/libtvm_ffi.so",),
}
_VERSIONS = {"apache-tvm": "0.27.0.post1", "apache-tvm-ffi": "0.1.14.post1"}


def library_bytes(name: str, arch: str) -> bytes:
    return f"{name} for {arch}".encode() * 100


def make_wheel(
    folder: Path,
    distribution: str,
    arch: str = "aarch64",
    *,
    version: str = "",
    glibcs: Sequence[str] = ("2_27", "2_28"),
    leave_out: str = "",
) -> Path:
    """A wheel as pip takes it. ``leave_out``: a library that it lacks."""
    version = version or _VERSIONS[distribution]
    stem = f"{distribution.replace('-', '_')}-{version}"
    platforms = [f"manylinux_{glibc}_{arch}" for glibc in glibcs]
    path = folder / f"{stem}-py3-none-{'.'.join(platforms)}.whl"
    tags = "".join(f"Tag: py3-none-{platform}\n" for platform in platforms)
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for library in _LIBRARIES.get(distribution, ()):
            if library != leave_out:
                wheel.writestr(library, library_bytes(library.rpartition("/")[2], arch))
        about = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        wheel.writestr(f"{stem}.dist-info/METADATA", about)
        wheel.writestr(f"{stem}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n{tags}")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return path


def make_wheels(folder: Path, arch: str = "aarch64") -> list[Path]:
    """Both of them."""
    return [make_wheel(folder, distribution, arch) for distribution in _VERSIONS]
