"""TVM Farm's one name among all that Python can import.

A person's script needs what stands here: Farm, a connection to a tracker, with what its calls take and raise; and
FarmBuilder, FarmRunner and FarmDatabase, MetaSchedule's interfaces on the farm. Each is loaded when it is asked for,
the last three with TVM, so that a board, which has none, imports this package too.

A checkout has the folders agent, tracker and protos beside this one, and links here lead to them. A wheel has them.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # typing's own name costs a program that starts as much time as all else here
if TYPE_CHECKING:
    from tvm_farm.tracker.client.errors import FarmError
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import JobKind, JobSpec
    from tvm_farm.tracker.script import FarmBuilder, FarmDatabase, FarmRunner

__all__ = ["Farm", "FarmBuilder", "FarmDatabase", "FarmError", "FarmRunner", "JobKind", "JobSpec"]

_MODULES = {
    "Farm": "client.farm",
    "FarmBuilder": "script",
    "FarmDatabase": "script",
    "FarmError": "client.errors",
    "FarmRunner": "script",
    "JobKind": "domain",
    "JobSpec": "domain",
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
