"""TVM's runtime for boards: which release, which libraries of which wheels, which C library they need."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tvm_farm.protos.runtime import Runtime

__all__ = [
    "LIBRARIES",
    "TVM_FFI_VERSION",
    "TVM_VERSION",
    "Library",
    "glibc_of",
    "glibc_of_tags",
    "unfit",
]

#: What tuning workers compile with and boards run: pinned in pyproject.toml, where the reason stands.
TVM_VERSION = "0.27.0.post1"
TVM_FFI_VERSION = "0.1.14.post1"


@dataclass(frozen=True)
class Library:
    """A library and where it lies in the wheel of ``distribution``, and below site-packages once that is installed."""

    distribution: str
    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


#: What full mode loads, in this order. The last has the functions of rarer operators: sorting, random numbers.
LIBRARIES = (
    Library("apache-tvm-ffi", "tvm_ffi/lib/libtvm_ffi.so"),
    Library("apache-tvm", "tvm/lib/libtvm_runtime.so"),
    Library("apache-tvm", "tvm/lib/libtvm_runtime_extra.so"),
)

_TAG = re.compile(r"manylinux_(\d+)_(\d+)_(\w+)")
#: PEP 600: the older names of three of them.
_OLD_TAGS = {"manylinux1": "manylinux_2_5", "manylinux2010": "manylinux_2_12", "manylinux2014": "manylinux_2_17"}


def glibc_of_tags(tags: Iterable[str]) -> dict[str, tuple[int, int]]:
    """For each architecture the oldest glibc that a wheel with these platform tags works with."""
    oldest: dict[str, tuple[int, int]] = {}
    for tag in tags:
        kind, _, arch = tag.partition("_")
        found = _TAG.fullmatch(f"{_OLD_TAGS[kind]}_{arch}" if kind in _OLD_TAGS else tag)
        if found:
            needs = (int(found[1]), int(found[2]))
            oldest[found[3]] = min(needs, oldest.get(found[3], needs))
    return oldest


def glibc_of(libc: str) -> tuple[int, int] | None:
    """(2, 36) of a fingerprint's "glibc 2.36"; None for any other C library and for none."""
    found = re.fullmatch(r"glibc (\d+)\.(\d+).*", libc)
    return (int(found[1]), int(found[2])) if found else None


def unfit(runtime: Runtime, libc: str) -> str:
    """Why a board with ``libc`` cannot load ``runtime``, a clause; "" where it can."""
    needs, has = glibc_of(runtime.libc), glibc_of(libc)
    if needs is None or (has is not None and has >= needs):
        return ""
    if has is None:
        return f"TVM's runtime needs glibc and this board has {libc or 'another C library'}"
    return (
        f"TVM's runtime for {runtime.arch} needs {runtime.libc} and this board has {libc}: "
        "a newer system on the board would bring it"
    )
