"""Processes that have so much memory together and no more: a control group of this host, version 1 or 2."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from types import TracebackType

__all__ = ["MISSING", "MemoryGroup"]

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


def _root() -> Path | None:
    return next((root for root in (_V1, _V2) if (root / "cgroup.procs").exists()), None)


def _missing() -> str:
    root = _root()
    if root is None:
        return "no control group for memory is mounted in /sys/fs/cgroup"
    if root == _V2 and "memory" not in (root / "cgroup.subtree_control").read_text().split():
        return "this host's control groups do not limit memory (memory is not in cgroup.subtree_control)"
    tried = root / f"tvm-farm-{uuid.uuid4().hex}"
    try:
        tried.mkdir()
        tried.rmdir()
    except OSError as error:
        return f"no control group can be made here ({error.strerror})"
    return ""


#: Why there can be none here, "" where there can.
MISSING = _missing()


class MemoryGroup:
    """``with MemoryGroup(megabytes) as group``: who is started by ``inside`` is in it, with all that it starts."""

    def __init__(self, megabytes: int) -> None:
        self._bytes = str(megabytes << 20)

    def __enter__(self) -> MemoryGroup:
        root = _root()
        assert root is not None
        self._folder = root / f"tvm-farm-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._folder.mkdir()
        limits = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes") if root == _V1 else ("memory.max",)
        for name in limits:
            if (self._folder / name).exists():  # no memsw: a kernel that does not count swap
                (self._folder / name).write_text(self._bytes)
        if (self._folder / "memory.swap.max").exists():
            (self._folder / "memory.swap.max").write_text("0")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.rmdir()

    @property
    def inside(self) -> list[str]:
        """What to put before a command line."""
        return ["sh", "-c", f'echo $$ > {self._folder}/cgroup.procs && exec "$@"', "sh"]
