"""TVM Farm's one name among all that Python can import.

A person's script needs what stands here: FarmBuilder, FarmRunner and FarmDatabase, MetaSchedule's interfaces on the
farm. They load TVM when they are asked for, so that a board, which has none, imports this package too.

A checkout has the folders agent, tracker and protos beside this one, and links here lead to them. A wheel has them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm_farm.tracker.script import FarmBuilder, FarmDatabase, FarmRunner

__all__ = ["FarmBuilder", "FarmDatabase", "FarmRunner"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("tvm_farm.tracker.script"), name)
