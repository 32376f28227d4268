"""The commands of the tracker's side: ``farm`` for people and ``tracker`` for the server.

Both are click groups, imported when they are first asked for: a shell that waits for
``farm --help`` should not pay for gRPC.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm_farm.tracker.cli.farm_cmd import farm
    from tvm_farm.tracker.cli.tracker_cmd import tracker

__all__ = ["farm", "tracker"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{name}_cmd"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "tvm_farm":
            raise
        from tvm_farm.tracker.client.errors import missing_part

        raise SystemExit(f"Error: {missing_part(error)}") from None
