"""The commands of the tracker's side: ``farm`` for people and ``tracker`` for the server.

Both are click groups, imported when they are first asked for: a shell that waits for
``farm --help`` should not pay for gRPC.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tvm_farm.protos.program.interrupts import ended_by_interrupt

if TYPE_CHECKING:
    from tvm_farm.tracker.cli.farm_cmd import farm
    from tvm_farm.tracker.cli.tracker_cmd import tracker

__all__ = ["farm", "tracker"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with ended_by_interrupt():
        return getattr(import_module(f"{__name__}.{name}_cmd"), name)
