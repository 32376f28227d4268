"""The tracker as programs see it: ``farm_client`` calls it, ``errors`` is what can go wrong.

The command line, the tuning worker and anybody's own script use the same client. Nothing is
imported here, since ``farm --help`` should not pay for gRPC: FarmBuilder, FarmRunner and
FarmDatabase, MetaSchedule's interfaces on the farm, load TVM when they are asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["FarmBuilder", "FarmDatabase", "FarmRunner"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("tracker.script"), name)
