"""TVM's runtime among the packages of the tracker's own host: files and their description, nothing is loaded."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tvm_farm.tracker.domain.runtime import LIBRARIES, TVM_FFI_VERSION, TVM_VERSION, glibc_of_tags

__all__ = ["HostRuntime", "find_host_runtime"]

_PINNED = {"apache-tvm": TVM_VERSION, "apache-tvm-ffi": TVM_FFI_VERSION}


@dataclass(frozen=True)
class HostRuntime:
    """Files by library name, for boards like this host. ``libc`` as in a fingerprint."""

    arch: str
    libc: str
    files: Mapping[str, Path]


def find_host_runtime() -> HostRuntime | None:
    """The runtime that is installed here; None without one, or where it is not the farm's release."""
    tags: dict[str, dict[str, tuple[int, int]]] = {}
    files: dict[str, Path] = {}
    try:
        found = {name: importlib.metadata.distribution(name) for name in _PINNED}
    except importlib.metadata.PackageNotFoundError:
        return None
    for name, distribution in found.items():
        if distribution.version != _PINNED[name]:
            return None
        lines = (distribution.read_text("WHEEL") or "").splitlines()
        tags[name] = glibc_of_tags(line.rpartition("-")[2] for line in lines if line.startswith("Tag:"))
    for library in LIBRARIES:
        path = Path(str(found[library.distribution].locate_file(library.path)))
        if not path.is_file():
            return None
        files[library.name] = path
    arches = set.intersection(*(set(glibcs) for glibcs in tags.values()))
    if len(arches) != 1:
        return None  # built here: what it needs of a board is not written anywhere
    arch = arches.pop()
    needs = max(glibcs[arch] for glibcs in tags.values())
    return HostRuntime(arch, f"glibc {needs[0]}.{needs[1]}", files)
