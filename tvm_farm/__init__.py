"""TVM Farm's one name among all that Python can import.

A person's script needs what stands here: Farm and AsyncFarm, connections to a tracker, with what their calls take, give
and raise; and FarmBuilder, FarmRunner and FarmDatabase, MetaSchedule's interfaces on the farm. Each is loaded when it
is asked for, the last three with TVM, so that a board, which has none, imports this package too.

A checkout has the folders agent, tracker and protos beside this one, and links here lead to them. A wheel has them.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # typing's own name costs a program that starts as much time as all else here
if TYPE_CHECKING:
    from tvm_farm.tracker.client.async_farm import AsyncFarm, AsyncJobHandle, AsyncJobPackage
    from tvm_farm.tracker.client.errors import (
        BadInput,
        FarmError,
        JobCancelled,
        JobFailed,
        JobRefused,
        NoBoard,
        TrackerUnreachable,
        WaitTimeout,
    )
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.client.handle import JobHandle, JobPackage
    from tvm_farm.tracker.domain import Job, JobGroup, JobKind, JobResult, JobSpec, JobState
    from tvm_farm.tracker.script import FarmBuilder, FarmDatabase, FarmRunner

__all__ = [
    "AsyncFarm",
    "AsyncJobHandle",
    "AsyncJobPackage",
    "BadInput",
    "Farm",
    "FarmBuilder",
    "FarmDatabase",
    "FarmError",
    "FarmRunner",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobGroup",
    "JobHandle",
    "JobKind",
    "JobPackage",
    "JobRefused",
    "JobResult",
    "JobSpec",
    "JobState",
    "NoBoard",
    "TrackerUnreachable",
    "WaitTimeout",
]

_MODULES = {
    "AsyncFarm": "client.async_farm",
    "AsyncJobHandle": "client.async_farm",
    "AsyncJobPackage": "client.async_farm",
    "BadInput": "client.errors",
    "Farm": "client.farm",
    "FarmBuilder": "script",
    "FarmDatabase": "script",
    "FarmError": "client.errors",
    "FarmRunner": "script",
    "Job": "domain",
    "JobCancelled": "client.errors",
    "JobFailed": "client.errors",
    "JobGroup": "domain",
    "JobHandle": "client.handle",
    "JobKind": "domain",
    "JobPackage": "client.handle",
    "JobRefused": "client.errors",
    "JobResult": "domain",
    "JobSpec": "domain",
    "JobState": "domain",
    "NoBoard": "client.errors",
    "TrackerUnreachable": "client.errors",
    "WaitTimeout": "client.errors",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"tvm_farm.tracker.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "tvm_farm":
            raise
        from tvm_farm.tracker.client.errors import missing_part

        raise ImportError(f"{name}: {missing_part(error)}") from error
